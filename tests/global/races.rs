//! F: threads at once in the one heap.

use core::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
// Compiled here, so that ThreadSanitizer sees what it orders.
use spin::Mutex;
use tagheap::{Error, Tag};
use tagheap_trace::Held;

use crate::HEAP;
use crate::careless::{free, take};
use crate::support::{Piece, alone, blocks, bytes, double_free, layout, objects, rounds, time};

/// Joined, so that what they leave is left when this is over.
fn run_threads(work: impl Fn(u64) + Sync, count: u64) {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

/// What one thread does: takes, resizes and gives back pieces, its own and those it finds on the table, which nobody
/// touches meanwhile.
fn live(table: &[Mutex<Option<Held<Piece>>>], tags: &[Tag], seed: u64, time: Duration) {
    let mut rng = Rng::with_seed(seed);
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..200 {
            let seat = &table[rng.usize(..table.len())];
            let found = seat.lock().take().map(Held::show);
            let power = rng.u32(1..15);
            let size = rng.usize(..1 << power);
            let asked = layout(size, 1 << rng.u32(..7));
            match found {
                None => {
                    let piece = Piece::take(tags[rng.usize(..tags.len())], asked, rng.u8(..));
                    let before = seat.lock().replace(piece.hide());
                    before.into_iter().for_each(Piece::shown_and_given_back);
                }
                Some(mut piece) if rng.u8(..4) == 0 => {
                    piece.resize(asked).unwrap();
                    piece.give_back();
                }
                Some(piece) => piece.give_back(),
            }
        }
    }
}

#[test]
fn f01_threads_share_all_they_have() {
    alone(|| {
        let tags = [
            Tag::named("f01 a"),
            Tag::named("f01 b"),
            Tag::named("f01 c"),
        ];
        // Many pieces, and few that all fight for.
        for seats in [2000, 5] {
            let table: Vec<_> = (0..seats).map(|_| Mutex::new(None)).collect();
            let time = time(Duration::from_millis(800));
            run_threads(|seed| live(&table, &tags, seed, time), 4);
            let left: Vec<_> = table
                .into_iter()
                .filter_map(|seat| seat.into_inner())
                .collect();
            assert_eq!(tags.map(objects).iter().sum::<usize>(), left.len());
            left.into_iter().for_each(Piece::shown_and_given_back);
            HEAP.check().unwrap();
            assert_eq!(tags.map(objects), [0; 3]);
            HEAP.trim().unwrap();
            assert_eq!(tags.map(blocks), [0; 3]);
        }
    });
}

#[test]
fn f01_pieces_go_from_thread_to_thread() {
    const TAGS: [Tag; 4] = [
        Tag::named("sent a"),
        Tag::named("sent b"),
        Tag::named("sent c"),
        Tag::named("sent d"),
    ];
    const EACH: usize = 30_000;
    alone(|| {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..4).map(|_| mpsc::channel()).unzip();
        thread::scope(|scope| {
            let hand_round = |number: usize, mine: mpsc::Receiver<Held<Piece>>| {
                let senders = senders.clone();
                move || {
                    let mut rng = Rng::with_seed(number as u64);
                    for _ in rounds(EACH) {
                        let size = match rng.u8(..50) {
                            0 => rng.usize(..40_000),
                            _ => rng.usize(..1000),
                        };
                        let piece = Piece::take(TAGS[rng.usize(..4)], bytes(size), rng.u8(..));
                        senders[rng.usize(..4)].send(piece.hide()).unwrap();
                        mine.try_iter()
                            .take(2)
                            .for_each(Piece::shown_and_given_back);
                    }
                    drop(senders);
                    mine
                }
            };
            let threads: Vec<_> = { receivers.into_iter().enumerate() }
                .map(|(number, mine)| scope.spawn(hand_round(number, mine)))
                .collect();
            // What is left of those that are gone is freed here, when nobody sends any more.
            let left: Vec<_> = threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect();
            left.iter()
                .flat_map(|mine| mine.try_iter())
                .for_each(Piece::shown_and_given_back);
        });
        assert_eq!(TAGS.map(objects), [0; 4]);
        HEAP.trim().unwrap();
        assert_eq!(TAGS.map(blocks), [0; 4]);
        HEAP.check().unwrap();
    });
}

/// Two do something with a pointer at the same moment, again and again; what they answered is looked at.
fn race<A: Send>(
    usual: usize,
    prepare: impl Fn() -> usize,
    act: impl Fn(NonNull<u8>) -> A + Sync,
    judge: impl Fn(NonNull<u8>, [A; 2]) + Sync,
    by_others: bool,
) {
    let pointer = |at: usize| NonNull::without_provenance(at.try_into().unwrap());
    let (at, turn) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = AtomicBool::new(false);
    // Rounds begin and end where all three, or both, have come.
    let meet = |count: usize| {
        let round = turn.fetch_add(1, Ordering::AcqRel) / count;
        for looks in 0.. {
            if turn.load(Ordering::Acquire) / count != round || over.load(Ordering::Relaxed) {
                break;
            }
            if looks % 50 == 49 {
                thread::yield_now();
            }
        }
    };
    let count = 2 + usize::from(by_others);
    thread::scope(|scope| {
        let other = || {
            let (send, receive) = mpsc::channel();
            let (at, act, meet, over) = (&at, &act, &meet, &over);
            let thread = scope.spawn(move || {
                loop {
                    meet(count);
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    send.send(act(pointer(at.load(Ordering::Acquire)))).unwrap();
                    meet(count);
                }
            });
            (thread, receive)
        };
        let (threads, others): (Vec<_>, Vec<_>) = (1..count).map(|_| other()).unzip();
        let at_the_end = AtTheEnd(&over);
        for _ in rounds(usual) {
            at.store(prepare(), Ordering::Release);
            let subject = pointer(at.load(Ordering::Acquire));
            meet(count);
            let mine = (!by_others).then(|| act(subject));
            meet(count);
            let mut answers = mine
                .into_iter()
                .chain(others.iter().map(|other| other.recv().unwrap()));
            judge(subject, [answers.next().unwrap(), answers.next().unwrap()]);
        }
        drop(at_the_end);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

/// Lets the others go, whether all rounds are over or a test fails.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const SIZE: usize = 100;

fn expose(tag: Tag) -> usize {
    take(tag, bytes(SIZE)).addr().get()
}

#[test]
fn f03_two_others_free_a_slot_at_once() {
    const TAG: Tag = Tag::named("f03 o");
    alone(|| {
        let kept = Piece::take(TAG, bytes(SIZE), 1);
        race(
            10_000,
            || expose(TAG),
            |ptr| free(ptr, bytes(SIZE)),
            |ptr, answers| {
                let twice = Err(double_free(ptr));
                assert!(
                    answers == [Ok(()), twice] || answers == [twice, Ok(())],
                    "{answers:?}"
                );
                assert_eq!(objects(TAG), 1);
                HEAP.trim().unwrap();
            },
            true,
        );
        kept.give_back();
    });
}

/// The owner and another: one is told at once, or, where neither saw the other, whoever collects what was given
/// back.
#[test]
fn f03_the_owner_and_another_free_a_slot_at_once() {
    const TAG: Tag = Tag::named("f03");
    alone(|| {
        let late = AtomicUsize::new(0);
        for shared in [false, true] {
            let kept = Piece::take(TAG, bytes(SIZE), 1);
            let more = Piece::take(TAG, bytes(SIZE), 1);
            if shared {
                // Of a span into which others gave something back, that is known.
                thread::scope(|scope| scope.spawn(|| more.free()).join().unwrap()).unwrap();
            } else {
                more.give_back();
            }
            race(
                5000,
                || expose(TAG),
                |ptr| free(ptr, bytes(SIZE)),
                |ptr, answers| {
                    let twice = Err(double_free(ptr));
                    let collected = HEAP.trim().map(|_| ());
                    if answers == [Ok(()), Ok(())] {
                        assert_eq!(collected, twice);
                        late.fetch_add(1, Ordering::Relaxed);
                    } else {
                        assert!(
                            answers == [Ok(()), twice] || answers == [twice, Ok(())],
                            "{answers:?}"
                        );
                        assert_eq!(collected, Ok(()));
                    }
                    assert_eq!(objects(TAG), 1);
                    assert_eq!(free(ptr, bytes(SIZE)), twice);
                },
                false,
            );
            kept.give_back();
        }
        println!("told late {} times", late.into_inner());
    });
}

/// As above with the last slot of a span, which goes with it.
#[test]
fn f03_the_owner_and_another_free_the_last_slot_of_a_span_at_once() {
    const TAG: Tag = Tag::named("f03 last");
    const LARGE: usize = 8192;
    alone(|| {
        // What is given back before is more than is kept at hand: so the span goes as soon as it is empty.
        let fill = || [(); 7].map(|()| take(TAG, bytes(LARGE)));
        let kept: Vec<_> = (0..7).map(|n| Piece::take(TAG, bytes(LARGE), n)).collect();
        let late = AtomicUsize::new(0);
        race(
            5000,
            || {
                let [last, more @ ..] = fill();
                let behind = [(); 3].map(|()| fill());
                let back = behind.iter().flatten().chain(&more);
                back.for_each(|ptr| free(*ptr, bytes(LARGE)).unwrap());
                last.addr().get()
            },
            |ptr| free(ptr, bytes(LARGE)),
            |_ptr, answers| {
                let is_told = |answer: &Result<(), Error>| matches!(answer, Err(Error::Misuse(_)));
                if answers == [Ok(()), Ok(())] {
                    late.fetch_add(1, Ordering::Relaxed);
                } else {
                    assert!(
                        answers.iter().any(Result::is_ok) && answers.iter().any(is_told),
                        "{answers:?}"
                    );
                }
                // Who is told late may be told nothing, where the span is gone; others are as they were.
                let _ = HEAP.purge();
                kept.iter().for_each(Piece::assert_whole);
                assert_eq!(objects(TAG), 7);
                HEAP.check().unwrap();
            },
            false,
        );
        println!("told late {} times", late.into_inner());
        kept.into_iter().for_each(Piece::give_back);
        HEAP.trim().unwrap();
        assert_eq!(blocks(TAG), 0);
    });
}

#[test]
fn f03_two_free_a_block_at_once() {
    const TAG: Tag = Tag::named("f03 b");
    alone(|| {
        let large = bytes(50_000);
        race(
            5000,
            || take(TAG, large).addr().get(),
            |ptr| free(ptr, large),
            |_ptr, answers| {
                let count = answers.iter().filter(|answer| answer.is_ok()).count();
                let told =
                    |answer: &Result<(), Error>| matches!(answer, Ok(()) | Err(Error::Misuse(_)));
                assert!(count == 1 && answers.iter().all(told), "{answers:?}");
                assert_eq!(objects(TAG), 0);
            },
            false,
        );
    });
}
