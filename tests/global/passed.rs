//! Pieces that one thread takes and another gives back, again and again: the other gives them without an exchange then.
//!
//! Whatever a thread gives back in that way counts at once, is told when it is given back twice, and serves its owner.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use tagheap::Tag;

use crate::HEAP;
use crate::careless::{free, resize};
use crate::storm::{Storm, handle};
use crate::support::{
    Piece, alone, assert_gone, blocks, bytes, double_free, holding, objects, pieces, rounds, slots,
};

/// Sizes of which more than 64 slots are in a span, so that a thread may give them without an exchange, and of fewer.
const SIZES: [usize; 6] = [16, 64, 200, 800, 1500, 8000];

/// A thread that gives back what it is sent, and says so; it lives until this goes.
struct Other {
    send: Option<Sender<Vec<Piece>>>,
    done: Receiver<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Other {
    fn start() -> Self {
        let (send, receive) = channel::<Vec<Piece>>();
        let (say, done) = channel();
        let give = move || {
            for pieces in receive {
                pieces.into_iter().for_each(Piece::give_back);
                say.send(()).unwrap();
            }
        };
        Self {
            send: Some(send),
            done,
            thread: Some(thread::spawn(give)),
        }
    }

    fn give(&self, pieces: Vec<Piece>) {
        self.send.as_ref().unwrap().send(pieces).unwrap();
        self.done.recv().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.send = None;
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn what_is_given_counts_at_once_and_serves_again() {
    const TAG: Tag = Tag::named("pass count");
    alone(|| {
        let other = Other::start();
        let mut rng = Rng::with_seed(1);
        for size in SIZES {
            let count = 3 * slots(size);
            // What is in use, at hand, and in part of a span.
            let most = 3 + 1 + 128 / slots(size) + 2;
            for round in 0..30 {
                let mut held = pieces(TAG, size, count);
                assert!(blocks(TAG) <= most, "{size} {round}: {}", HEAP.report());
                if round % 3 == 1 {
                    rng.shuffle(&mut held);
                }
                while !held.is_empty() {
                    let some = rng.usize(1..=held.len().min(count / 3));
                    other.give(held.drain(..some).collect());
                    assert_eq!(objects(TAG), held.len(), "{size} {round}");
                    assert_eq!(holding(TAG).bytes % held.len().max(1), 0);
                    if round % 5 == 4 {
                        // Its own beside them, and new ones.
                        held.drain(held.len() / 3 * 2..).for_each(Piece::give_back);
                        let more = pieces(TAG, size, held.len() / 3);
                        held.extend(more);
                        assert_eq!(objects(TAG), held.len());
                    }
                }
            }
            assert_gone(TAG);
        }
    });
}

#[test]
fn c01_whoever_gives_it_back_again_is_told() {
    const TAG: Tag = Tag::named("pass twice");
    alone(|| {
        for size in SIZES {
            let held = pieces(TAG, size, 2 * slots(size));
            let (back, kept) = held.split_at(slots(size) + slots(size) / 2);
            thread::scope(|scope| {
                let (say, hear) = channel();
                let (go, wait) = channel::<()>();
                let other = scope.spawn(move || {
                    back.iter().for_each(|piece| piece.free().unwrap());
                    say.send(()).unwrap();
                    // While all others did it too.
                    wait.recv().unwrap();
                    for piece in back {
                        assert_eq!(piece.free(), Err(double_free(piece.start)));
                    }
                });
                hear.recv().unwrap();
                let all_refuse = || {
                    for piece in back {
                        let told = double_free(piece.start);
                        assert_eq!(piece.free(), Err(told));
                        assert_eq!(HEAP.tag_of(piece.start), Err(told));
                        assert_eq!(HEAP.usable_size(piece.start), Err(told));
                        assert_eq!(resize(piece.start, piece.layout, bytes(1)), Err(told));
                    }
                };
                all_refuse();
                thread::scope(|scope| scope.spawn(all_refuse).join().unwrap());
                assert_eq!(objects(TAG), kept.len());
                go.send(()).unwrap();
                other.join().unwrap();
            });
            assert_eq!(objects(TAG), kept.len());
            for piece in kept {
                piece.assert_whole();
                piece.free().unwrap();
                assert_eq!(piece.free(), Err(double_free(piece.start)));
            }
            // Or there is no span any more.
            assert!(back.iter().all(|piece| piece.free().is_err()));
            assert_gone(TAG);
        }
    });
}

/// Whoever gave a piece back, its giver is told who does so again, whatever he saw in use before.
#[test]
fn c01_a_giver_is_told_what_others_gave_back() {
    const TAG: Tag = Tag::named("pass told");
    const STEPS: usize = 3000;
    alone(|| {
        thread::scope(|scope| {
            // Threads that give back what they are sent, and answer what came of it.
            let start = || {
                let (send, receive) = channel::<Piece>();
                let (say, hear) = channel();
                scope.spawn(move || {
                    receive
                        .iter()
                        .for_each(|piece| say.send(piece.free()).unwrap())
                });
                move |piece: &Piece| {
                    send.send(piece.again()).unwrap();
                    hear.recv().unwrap()
                }
            };
            let (giver, third) = (start(), start());
            let mut rng = Rng::with_seed(1);
            for size in SIZES {
                let new = || Piece::take(TAG, bytes(size), 1);
                // Those in use, the oldest first, and some that are not.
                let most = 2 * slots(size).min(1000);
                let mut held: VecDeque<_> = (0..most).map(|_| new()).collect();
                let mut gone: Vec<Piece> = Vec::new();
                let mut told = 0;
                for step in 0..STEPS {
                    let is_any = rng.u8(..8) == 0;
                    let place = if is_any { rng.usize(..held.len()) } else { 0 };
                    let piece = held.remove(place).unwrap();
                    match rng.u8(..16) {
                        0..4 => piece.free().unwrap(),
                        4 => third(&piece).unwrap(),
                        _ => giver(&piece).unwrap(),
                    }
                    gone.push(piece);
                    let latest = gone
                        .len()
                        .saturating_sub(if rng.bool() { 8 } else { STEPS });
                    if let Some(piece) = rng.choice(&gone[latest..]) {
                        // Or its span is gone.
                        let answer = giver(piece);
                        assert!(answer.is_err(), "{size} {step}");
                        told += usize::from(answer == Err(double_free(piece.start)));
                    }
                    // Seldom, so that its owner often has no room for what he gives back.
                    if held.len() < most / 4 + 2 {
                        held.extend((held.len()..most).map(|_| new()));
                        let used: HashSet<_> = held.iter().map(|piece| piece.start).collect();
                        gone.retain(|piece| !used.contains(&piece.start));
                    }
                }
                assert!(told > STEPS / 2, "{size}: {told}");
                held.drain(..).for_each(|piece| piece.free().unwrap());
            }
        });
        assert_gone(TAG);
    });
}

/// Who gives back its own last frees the spans with it, asking for nothing.
#[test]
fn spans_go_with_what_their_owner_gives_back_beside() {
    const TAG: Tag = Tag::named("pass beside");
    alone(|| {
        let other = Other::start();
        for size in SIZES {
            for _ in 0..3 {
                let held = pieces(TAG, size, 20 * slots(size));
                let (own, theirs): (Vec<_>, Vec<_>) =
                    { held.into_iter().enumerate() }.partition(|(n, _)| n % 2 == 0);
                other.give(theirs.into_iter().map(|(_, piece)| piece).collect());
                assert_eq!(objects(TAG), own.len());
                own.into_iter().for_each(|(_, piece)| piece.give_back());
                assert_eq!(objects(TAG), 0);
                // As many as have a slot at hand, and a warm one.
                let most = 1 + 128_usize.div_ceil(slots(size)) + 1;
                assert!(blocks(TAG) <= most, "{size}: {}", HEAP.report());
            }
            assert_gone(TAG);
        }
    });
}

/// In many spans at once: more than are looked at before there is a new one.
#[test]
fn many_spans_take_no_more_than_is_under_way() {
    const TAG: Tag = Tag::named("pass many");
    alone(|| {
        let other = Other::start();
        let mut rng = Rng::with_seed(1);
        for size in [64, 800] {
            let spans = 100;
            let mut held = pieces(TAG, size, spans * slots(size));
            assert_eq!(blocks(TAG), spans);
            for _ in 0..100 {
                rng.shuffle(&mut held);
                other.give(held.split_off(held.len() - 3 * slots(size)));
                held.extend(pieces(TAG, size, 3 * slots(size)));
                assert_eq!(objects(TAG), held.len());
                assert!(blocks(TAG) <= spans * 5 / 4, "{}", HEAP.report());
            }
            other.give(held);
            assert_gone(TAG);
        }
    });
}

#[test]
fn f02_spans_of_a_released_tag_serve_again() {
    const TAGS: [Tag; 2] = [Tag::named("pass rel 1"), Tag::named("pass rel 2")];
    alone(|| {
        let other = Other::start();
        for round in 0..40 {
            let (tag, size) = (TAGS[round % 2], SIZES[round / 2 % 4]);
            let mut held = pieces(tag, size, 4 * slots(size));
            // Parts of each span, one after the other, with a look at what is back in between.
            for part in 1..4 {
                let mut left = held.len();
                let back = held.extract_if(.., |_| {
                    left -= 1;
                    left.is_multiple_of(5 - part)
                });
                other.give(back.collect());
                assert_eq!(objects(tag), held.len(), "{size} {round}");
                let more = pieces(tag, size, 2 * slots(size));
                assert!(blocks(tag) <= 7, "{size} {round}: {}", HEAP.report());
                more.into_iter().for_each(Piece::give_back);
            }
            if round % 4 < 2 {
                // SAFETY: nobody uses what is under it.
                unsafe { HEAP.release(tag) }.unwrap();
                assert_eq!((objects(tag), blocks(tag)), (0, 0));
            } else {
                other.give(held);
                assert_gone(tag);
            }
        }
        HEAP.check().unwrap();
    });
}

/// Who gives back may end, and others who come have its place; who took may end too.
#[test]
fn f07_threads_end_on_either_side() {
    const TAG: Tag = Tag::named("pass ends");
    alone(|| {
        for size in SIZES {
            let mut held = pieces(TAG, size, 3 * slots(size));
            while !held.is_empty() {
                let some = held.split_off(held.len() - (slots(size) / 5).clamp(1, held.len()));
                Other::start().give(some);
                assert_eq!(objects(TAG), held.len());
            }
            assert_gone(TAG);
            let other = Other::start();
            for _ in 0..3 {
                let (send, receive) = channel();
                let (go, wait) = channel::<()>();
                let owner = thread::spawn(move || {
                    // Of each span every second before the end, so that there is one who gives back then.
                    let mut late = pieces(TAG, size, 3 * slots(size));
                    let mut number = 0;
                    let early = late.extract_if(.., |_| {
                        number += 1;
                        number % 2 == 0
                    });
                    send.send(early.collect()).unwrap();
                    wait.recv().unwrap();
                    late
                });
                other.give(receive.recv().unwrap());
                go.send(()).unwrap();
                let late = owner.join().unwrap();
                assert_eq!(objects(TAG), late.len());
                HEAP.trim().unwrap();
                other.give(late);
                assert_gone(TAG);
            }
        }
    });
}

/// Pieces for handlers to give back.
static SEATS: [AtomicUsize; 512] = [const { AtomicUsize::new(0) }; 512];
static STRUCK: AtomicUsize = AtomicUsize::new(0);
static WRONG: AtomicUsize = AtomicUsize::new(0);

extern "C" fn strike(_signal: i32) {
    for _ in 0..2 {
        let seat = STRUCK.fetch_add(1, Relaxed) % SEATS.len();
        if let Ok(address) = SEATS[seat].swap(0, Relaxed).try_into() {
            let at = core::ptr::NonNull::without_provenance(address);
            if free(at, bytes(64)).is_err() {
                WRONG.fetch_add(1, Relaxed);
            }
        }
    }
}

/// Handlers give back what is of the same spans as what the thread is giving back at that moment.
#[test]
fn f05_handlers_give_back_beside_their_thread() {
    const TAG: Tag = Tag::named("pass signals");
    alone(|| {
        let signal = libc::SIGRTMIN();
        handle(signal, strike);
        let (send, receive) = channel::<Vec<Piece>>();
        let (say, done) = channel();
        let other = thread::spawn(move || {
            let _storm = Storm::over_this_thread(signal, Duration::from_micros(60));
            for pieces in receive {
                pieces.into_iter().for_each(Piece::give_back);
                say.send(()).unwrap();
            }
        });
        for _ in rounds(1500) {
            let mut held = pieces(TAG, 64, 900);
            for (seat, piece) in SEATS.iter().zip(held.iter().step_by(3)) {
                let address = piece.start.expose_provenance().get();
                if let Err(old) = seat.compare_exchange(0, address, Relaxed, Relaxed) {
                    assert_ne!(old, address);
                    piece.free().unwrap();
                }
            }
            let mut number = 0;
            held.retain(|_| {
                number += 1;
                number % 3 != 1
            });
            send.send(held).unwrap();
            done.recv().unwrap();
        }
        drop(send);
        other.join().unwrap();
        let left = SEATS.iter().filter(|seat| seat.load(Relaxed) != 0).count();
        assert_eq!(objects(TAG), left);
        assert!(STRUCK.load(Relaxed) > 100, "{STRUCK:?}");
        assert_eq!(WRONG.load(Relaxed), 0);
        (0..SEATS.len()).for_each(|_| strike(signal));
        assert_eq!(WRONG.load(Relaxed), 0);
        assert_gone(TAG);
    });
}
