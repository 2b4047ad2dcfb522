//! Refusals of the language's allocator: who is told of them, and what.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::{panic, thread};

use tagheap::{Error, Global, OutOfMemory, Shortage, Tag, current_tag, scope};

use crate::HEAP;
use crate::careless::{face, resize_or, try_take};
use crate::support::{Piece, alone, bytes, ends, holding, is_done, text};

const TAG: Tag = Tag::named("refused");
const LIMIT: usize = 1 << 20;

static TOLD: Mutex<Vec<Error>> = Mutex::new(Vec::new());

fn note(error: &Error) {
    assert_eq!(current_tag(), Global::UNTAGGED);
    TOLD.lock().unwrap().push(*error);
}

/// What was told since this was asked last.
fn told() -> Vec<Error> {
    core::mem::take(&mut TOLD.lock().unwrap())
}

fn limited() {
    HEAP.set_limit(TAG, Some(LIMIT)).unwrap();
}

#[test]
fn each_refusal_is_told_once_with_all_that_is_known() {
    alone(|| {
        limited();
        let mut small = Piece::take(TAG, bytes(100), 1);
        let large = Piece::take(TAG, bytes(300_000), 2);
        assert!(HEAP.set_refusal_hook(Some(note)).is_none());
        // Served, and refused by values.
        assert!(try_take(TAG, bytes(LIMIT)).is_err());
        let mut answered = None;
        let at = scope(TAG, || {
            HEAP.allocate_or(bytes(LIMIT), |error| {
                answered = Some(error);
                core::ptr::null_mut()
            })
        });
        assert!(at.is_null() && matches!(answered, Some(Error::OutOfMemory(of)) if of.tag == TAG));
        small.resize(bytes(120)).unwrap();
        assert_eq!(told(), []);

        // What the tag has and does not use went back before.
        let too_large = |size| OutOfMemory {
            tag: TAG,
            size,
            align: 8,
            cause: Shortage::Limit {
                limit: LIMIT,
                held: holding(TAG).held.bytes,
            },
        };
        for ask in [face::alloc, face::alloc_zeroed] {
            for size in [LIMIT, usize::MAX / 4] {
                let layout = crate::support::layout(size, 8);
                assert_eq!(scope(TAG, || ask(layout)), None);
                let told = told();
                match told[..] {
                    [Error::OutOfMemory(of)] if size == LIMIT => assert_eq!(of, too_large(size)),
                    [Error::OutOfMemory(of)] => assert_eq!((of.tag, of.size), (TAG, size)),
                    _ => panic!("{told:?}"),
                }
            }
        }
        for (piece, size) in [(&small, LIMIT), (&large, 2 * LIMIT)] {
            let by_layout = || face::realloc(piece.start, piece.layout, size);
            let by_address = || resize_or(piece.start, bytes(size)).unwrap();
            for ask in [&by_layout as &dyn Fn() -> _, &by_address] {
                assert_eq!(ask(), None);
                let told = told();
                assert!(
                    matches!(told[..], [Error::OutOfMemory(of)] if (of.tag, of.size) == (TAG, size)),
                    "{told:?}"
                );
            }
        }
        // Spans of other classes have to go back before these are served, which is no refusal.
        HEAP.set_limit(TAG, Some(holding(TAG).held.bytes + 70_000))
            .unwrap();
        for size in [16, 200, 1000, 3000] {
            let one = scope(TAG, || face::alloc(bytes(size))).unwrap();
            face::dealloc(one, bytes(size));
        }
        assert_eq!(told(), []);

        assert_eq!(
            HEAP.set_refusal_hook(None).map(|hook| hook as usize),
            Some(note as fn(&Error) as usize)
        );
        assert_eq!(scope(TAG, || face::alloc(bytes(LIMIT))), None);
        assert_eq!(told(), []);
    });
}

#[test]
fn a_hook_may_use_the_heap_and_be_refused_itself() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn greedy(error: &Error) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        let line = format!("{error}, of {:?}", HEAP.holding(TAG).unwrap().held);
        assert!(line.contains("limit"), "{line}");
        assert_eq!(face::alloc(bytes(1 << 50)), None);
        assert_eq!(scope(TAG, || face::alloc(bytes(LIMIT))), None);
        // The next one will be served.
        HEAP.set_limit(TAG, None).unwrap();
        assert_eq!(HEAP.trim().map(drop), Ok(()));
    }
    alone(|| {
        HEAP.set_refusal_hook(Some(greedy));
        for round in 1..4 {
            limited();
            assert_eq!(scope(TAG, || face::alloc(bytes(LIMIT))), None);
            assert_eq!(CALLS.load(Ordering::Relaxed), round);
            let served = scope(TAG, || face::alloc(bytes(LIMIT))).unwrap();
            assert_eq!(CALLS.load(Ordering::Relaxed), round);
            face::dealloc(served, bytes(LIMIT));
        }
        HEAP.check().unwrap();
    });
}

#[test]
fn threads_are_told_of_their_own_while_the_hook_changes() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 500;
    static CALLS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    fn one(_: &Error) {
        CALLS[0].fetch_add(1, Ordering::Relaxed);
    }
    fn other(_: &Error) {
        CALLS[1].fetch_add(1, Ordering::Relaxed);
    }
    alone(|| {
        limited();
        HEAP.set_refusal_hook(Some(one));
        thread::scope(|threads| {
            for _ in 0..THREADS {
                threads.spawn(|| {
                    for _ in 0..ROUNDS {
                        assert_eq!(scope(TAG, || face::alloc(bytes(LIMIT))), None);
                    }
                });
            }
            for round in 0..ROUNDS {
                HEAP.set_refusal_hook(Some([one, other][round % 2]));
            }
        });
        let calls: usize = CALLS
            .iter()
            .map(|calls| calls.load(Ordering::Relaxed))
            .sum();
        assert_eq!(calls, THREADS * ROUNDS);
    });
}

#[test]
fn the_environment_has_refusals_printed_before_the_program_ends() {
    let out_of_memory = || {
        limited();
        scope(TAG, || drop(vec![1_u8; LIMIT]));
    };
    let line = "for tag refused: the tag's limit is 1048576 bytes, and it holds 0\n";
    let output = ends(&[("TAGHEAP_REPORT", "1")], out_of_memory);
    let told = text(&output);
    let (ours, stds) = told.split_once(line).unwrap_or_else(|| panic!("{told}"));
    assert!(
        ours.contains("tagheap: out of memory: 1048576 bytes"),
        "{told}"
    );
    assert!(stds.contains("memory allocation of 1048576 bytes failed"));
    assert!(!is_done(&output));
}

#[test]
fn the_line_names_a_tag_whose_number_spells_nothing() {
    let output = ends(&[("TAGHEAP_REPORT", "1")], || {
        let tag = Tag::new(4711);
        HEAP.set_name(tag, "four thousand").unwrap();
        HEAP.set_limit(tag, Some(LIMIT)).unwrap();
        assert_eq!(scope(tag, || face::alloc(bytes(LIMIT))), None);
    });
    assert!(is_done(&output), "{}", text(&output));
    let line = "and it holds 0; that tag's name is four thousand\n";
    assert!(text(&output).contains(line), "{}", text(&output));
}

#[test]
fn nothing_is_printed_unasked() {
    let output = ends(&[], || {
        limited();
        assert_eq!(scope(TAG, || face::alloc(bytes(LIMIT))), None);
    });
    assert!(
        is_done(&output) && output.stderr.is_empty(),
        "{}",
        text(&output)
    );
}

#[test]
fn nothing_is_printed_where_a_hook_is_told() {
    let output = ends(&[("TAGHEAP_REPORT", "1")], || {
        limited();
        HEAP.set_refusal_hook(Some(note));
        assert_eq!(scope(TAG, || face::alloc(bytes(LIMIT))), None);
        assert_eq!(told().len(), 1);
    });
    assert!(is_done(&output), "{}", text(&output));
    assert!(
        !text(&output).contains("out of memory"),
        "{}",
        text(&output)
    );
}

#[test]
fn a_hook_that_panics_ends_the_program_with_a_line() {
    let output = ends(&[], || {
        limited();
        HEAP.set_refusal_hook(Some(|_| panic::resume_unwind(Box::new(1))));
        let _ = scope(TAG, || face::alloc(bytes(LIMIT)));
    });
    assert!(!is_done(&output));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        told,
        "tagheap: fatal: the hook for refused requests panicked\n"
    );
}
