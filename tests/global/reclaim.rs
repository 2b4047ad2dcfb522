//! B02: a request is refused only when what is kept at hand for others would not help.

use core::ptr;
use core::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use tagheap::{Error, HEADER, Shortage, Tag, scope};

use crate::HEAP;
use crate::careless::{face, free, try_take};
use crate::storm::{Storm, handle};
use crate::support::{LARGEST, Piece, alone, blocks, bytes, holding, objects};

/// So many spans.
const LIMIT: usize = 16 << 16;

/// All that is served.
fn fill(tag: Tag, size: usize) -> Vec<Piece> {
    let take = |n: usize| Piece::try_take(tag, bytes(size), n as u8).ok();
    (0..).map_while(take).collect()
}

fn give_back(pieces: Vec<Piece>) {
    pieces.into_iter().for_each(Piece::give_back);
}

/// Leaves a span of each class at hand, in which nobody has anything.
fn warm(tag: Tag, sizes: [usize; 3]) {
    let before = holding(tag);
    sizes
        .map(|size| Piece::take(tag, bytes(size), 1))
        .into_iter()
        .for_each(Piece::give_back);
    let (objects, blocks) = (before.objects, before.held.blocks + 3);
    assert_eq!(
        (objects, blocks),
        (holding(tag).objects, holding(tag).held.blocks)
    );
}

#[test]
fn b02_what_a_class_keeps_under_a_limit_is_for_all() {
    const TAG: Tag = Tag::named("press c");
    alone(|| {
        HEAP.set_limit(TAG, Some(LIMIT)).unwrap();
        for size in [16, 100, 1000, LARGEST, 16, LARGEST, 40] {
            let held = fill(TAG, size);
            assert_eq!((blocks(TAG), holding(TAG).held.bytes), (16, LIMIT));
            give_back(held);
            assert!(objects(TAG) == 0 && blocks(TAG) > 0);
        }
    });
}

#[test]
fn b02_what_classes_keep_under_a_limit_is_for_large_blocks() {
    const TAG: Tag = Tag::named("press b");
    const WHOLE: usize = LIMIT - HEADER;
    alone(|| {
        HEAP.set_limit(TAG, Some(LIMIT)).unwrap();
        let sizes = [16, 1000, LARGEST];
        warm(TAG, sizes);
        Piece::take(TAG, bytes(WHOLE), 2).give_back();
        warm(TAG, sizes);
        let zeroed = scope(TAG, || face::alloc_zeroed(bytes(WHOLE))).unwrap();
        Piece::of(zeroed, bytes(WHOLE), 3).give_back();
        let mut grown = Piece::take(TAG, bytes(LIMIT / 2), 4);
        warm(TAG, sizes);
        grown.resize(bytes(WHOLE)).unwrap();
        assert_eq!((objects(TAG), blocks(TAG)), (1, 1));
        grown.give_back();
        // Out of its slot: with one span in use, all but that.
        let mut grown = Piece::take(TAG, bytes(100), 5);
        warm(TAG, sizes);
        grown.resize(bytes(WHOLE - (1 << 16))).unwrap();
        assert_eq!(objects(TAG), 1);
        grown.give_back();
    });
}

/// It is this tag's alone: others keep what they have at hand.
#[test]
fn b02_a_tag_at_its_limit_takes_nothing_of_others() {
    const TAG: Tag = Tag::named("press t");
    const OTHER: Tag = Tag::named("press o");
    alone(|| {
        HEAP.set_limit(TAG, Some(LIMIT)).unwrap();
        warm(TAG, [16, 100, 1000]);
        warm(OTHER, [16, 100, 1000]);
        let before = holding(OTHER);
        let Err(Error::OutOfMemory(lacking)) = try_take(TAG, bytes(LIMIT)) else {
            panic!("more than the limit");
        };
        let (limit, held) = (LIMIT, 0);
        assert_eq!(lacking.cause, Shortage::Limit { limit, held });
        assert_eq!((blocks(TAG), holding(OTHER)), (0, before));
    });
}

/// Given back to a thread that is gone: it keeps them no longer than until somebody wants them.
#[test]
fn b02_what_gone_threads_left_under_a_limit_is_for_large_blocks() {
    const TAG: Tag = Tag::named("press l");
    alone(|| {
        HEAP.set_limit(TAG, Some(LIMIT)).unwrap();
        for size in [16, 1000, LARGEST] {
            let left = thread::spawn(move || fill(TAG, size)).join().unwrap();
            give_back(left);
            assert_eq!((objects(TAG), blocks(TAG)), (0, 16));
            Piece::take(TAG, bytes(LIMIT - HEADER), 1).give_back();
        }
    });
}

/// All there is by the process's limit on data.
#[test]
fn b02_what_tags_keep_is_for_others_where_the_heap_may_not_grow() {
    const KEPT: Tag = Tag::named("press k");
    const WANTED: Tag = Tag::named("press w");
    alone(|| {
        let tags = || (1..=40).map(|number| Tag::new(1 << 33 | number));
        let held: Vec<_> = tags()
            .flat_map(|tag| [16, 100, 1000, LARGEST].map(|size| Piece::take(tag, bytes(size), 1)))
            .collect();
        let mut rest = Vec::with_capacity(1 << 20);
        let limit = libc::rlimit {
            rlim_cur: 64 << 20,
            rlim_max: 64 << 20,
        };
        // SAFETY: of this process, which is the test's.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) };
        assert_eq!(set, 0);
        for size in [1 << 20, 50_000, LARGEST + 1] {
            while let Ok(piece) = Piece::try_take(KEPT, bytes(size), 2) {
                rest.push(piece);
            }
        }
        held.into_iter().for_each(Piece::give_back);
        assert!(tags().all(|tag| objects(tag) == 0 && blocks(tag) == 4));
        Piece::take(WANTED, bytes(150_000), 3).give_back();
        assert!(tags().all(|tag| blocks(tag) == 0));
        rest.into_iter().for_each(Piece::give_back);
        HEAP.check().unwrap();
    });
}

/// A handler that came into a request finds no memory either, and takes nothing out of the thread's hands.
#[test]
fn b02_f05_handlers_where_there_is_no_memory() {
    const TAG: Tag = Tag::named("press s");
    static SEAT: [AtomicUsize; 16] = [const { AtomicUsize::new(0) }; 16];
    static STRUCK: AtomicUsize = AtomicUsize::new(0);
    fn size(seat: usize) -> usize {
        [16, 100, 1000, 5000, LARGEST, 20_000, 100_000][seat % 7]
    }
    fn visit(number: usize) {
        let (seat, layout) = (&SEAT[number], bytes(size(number)));
        let at = match NonNull::<u8>::new(ptr::without_provenance_mut(seat.swap(0, Relaxed))) {
            // What is refused stays.
            Some(at) => free(at, layout).err().map(|_| at),
            None => scope(TAG, || face::alloc(layout)),
        };
        seat.store(at.map_or(0, |at| at.addr().get()), Relaxed);
    }
    extern "C" fn strike(_signal: i32) {
        visit(STRUCK.fetch_add(1, Relaxed) * 5 % SEAT.len());
    }
    alone(|| {
        let signal = libc::SIGRTMIN();
        handle(signal, strike);
        HEAP.set_limit(TAG, Some(LIMIT)).unwrap();
        let mut refused = 0;
        let storm = Storm::over_this_thread(signal, Duration::from_micros(60));
        let start = Instant::now();
        for round in 0.. {
            let held = fill(TAG, size(round));
            refused += usize::from(held.len() < LIMIT / size(round));
            give_back(held);
            if start.elapsed() > Duration::from_millis(800) {
                break;
            }
        }
        drop(storm);
        let left = SEAT.iter().filter(|seat| seat.load(Relaxed) != 0).count();
        assert_eq!(objects(TAG), left);
        assert!(refused > 10 && STRUCK.load(Relaxed) > 100, "{refused}");
        let seated = |number: &usize| SEAT[*number].load(Relaxed) != 0;
        (0..SEAT.len()).filter(seated).for_each(visit);
        assert_eq!(objects(TAG), 0);
        Piece::take(TAG, bytes(LIMIT - HEADER), 1).give_back();
        assert_eq!(blocks(TAG), 0);
        HEAP.check().unwrap();
    });
}
