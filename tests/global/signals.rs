//! F05: signal handlers that allocate and give back, wherever they come in.

use core::ptr::{self, NonNull};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tagheap::{Error, Misuse, Tag, scope};

use crate::HEAP;
use crate::careless::{face, free};
use crate::storm::{Storm, handle};
use crate::support::{Piece, alone, assert_filled, bytes, double_free, objects};

const INSIDE: Tag = Tag::named("handler");
const TAGS: [Tag; 2] = [Tag::named("f05 a"), Tag::named("f05 b")];

/// Memory that handlers hold: by a seat's number one knows its size, and what is in it.
const SEATS: usize = 60;
static SEAT: [AtomicUsize; SEATS] = [const { AtomicUsize::new(0) }; SEATS];
static STRUCK: AtomicUsize = AtomicUsize::new(0);

/// What handlers met: requests served, refused, and misuse other than re-entry.
static SERVED: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);
static WRONG: AtomicUsize = AtomicUsize::new(0);

fn size_of(seat: usize) -> usize {
    match seat % 10 {
        9 => 9000 + 700 * seat,
        other => other * other * 90 + 1,
    }
}

fn note<T>(answer: Result<T, Error>) -> Option<T> {
    match answer {
        Ok(value) => {
            SERVED.fetch_add(1, Relaxed);
            return Some(value);
        }
        Err(Error::Misuse(Misuse::Reentered)) => REFUSED.fetch_add(1, Relaxed),
        Err(_) => WRONG.fetch_add(1, Relaxed),
    };
    None
}

/// Gives back what is in the seat, or puts something there. What is refused stays as it was.
fn visit(number: usize) {
    let (seat, layout, byte) = (&SEAT[number], bytes(size_of(number)), number as u8);
    match NonNull::new(ptr::without_provenance_mut(seat.swap(0, Relaxed))) {
        Some(at) => {
            assert_filled(at, layout.size(), byte);
            if note(free(at, layout)).is_none() && seat.swap(at.addr().get(), Relaxed) != 0 {
                WRONG.fetch_add(1, Relaxed);
            }
        }
        None => {
            let served = match number % 3 {
                0 => scope(INSIDE, || HEAP.allocate(layout)),
                // From the stock that the thread is at.
                _ => HEAP.allocate(layout),
            };
            let Some(at) = note(served) else {
                return;
            };
            let piece = Piece::of(at.cast(), layout, byte);
            let before = seat.compare_exchange(0, piece.address(), Relaxed, Relaxed);
            if before.is_err() && note(piece.free()).is_none() {
                WRONG.fetch_add(1, Relaxed);
            }
        }
    }
}

extern "C" fn strike(_signal: i32) {
    // Two threads' handlers have seats of their own each: the one's cannot fill what the other's emptied.
    // SAFETY: asks only.
    let half = unsafe { libc::gettid() } as usize % 2;
    for _ in 0..4 {
        visit(STRUCK.fetch_add(1, Relaxed) * 7 % (SEATS / 2) * 2 + half);
    }
}

/// What a thread does meanwhile; answers how often.
fn work(tag: Tag, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut held: Vec<Option<Piece>> = (0..200).map(|_| None).collect();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        for _ in 0..100 {
            let seat = &mut held[rng.usize(..200)];
            let size = match rng.u8(..20) {
                0 => rng.usize(8000..30_000),
                _ => size_of(rng.usize(..9)),
            };
            match seat.take() {
                None => *seat = Some(Piece::take(tag, bytes(size), rng.u8(..))),
                Some(mut piece) if rng.u8(..4) == 0 => {
                    piece.resize(bytes(size)).unwrap();
                    *seat = Some(piece);
                }
                Some(piece) => piece.give_back(),
            }
        }
    }
    held.into_iter().flatten().for_each(Piece::give_back);
}

#[test]
fn f05_a_storm_of_signals_over_two_threads() {
    alone(|| {
        let signal = libc::SIGRTMIN();
        handle(signal, strike);
        thread::scope(|threads| {
            let threads: Vec<_> = (0..2)
                .map(|number| {
                    let work = move || {
                        let _storm = Storm::over_this_thread(signal, Duration::from_micros(60));
                        work(TAGS[number], number as u64);
                    };
                    threads.spawn(move || scope(TAGS[number], work))
                })
                .collect();
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        });
        let met = [&SERVED, &REFUSED, &WRONG].map(|count| count.load(Relaxed));
        println!("served {}, refused {}, wrong {}", met[0], met[1], met[2]);
        assert!(met[0] > 1000 && met[2] == 0, "{met:?}");
        let left = (0..SEATS)
            .filter(|seat| SEAT[*seat].load(Relaxed) != 0)
            .count();
        let held = || objects(INSIDE) + objects(TAGS[0]) + objects(TAGS[1]);
        assert_eq!(held(), left);
        (0..SEATS)
            .filter(|seat| SEAT[*seat].load(Relaxed) != 0)
            .for_each(visit);
        assert_eq!(held(), 0);
        HEAP.check().unwrap();
    });
}

/// By a thread that is in the heap at a place of its own choice: in the lock.
#[test]
fn f05_a_handler_inside_the_lock_is_told_so() {
    const TAG: Tag = Tag::named("f05 lock");
    static HELD: AtomicUsize = AtomicUsize::new(0);
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn handler(_signal: i32) {
        let is_refused = |size| {
            let answer = scope(TAG, || HEAP.allocate(bytes(size)));
            answer == Err(Misuse::Reentered.into())
        };
        let at = || NonNull::without_provenance(HELD.load(Relaxed).try_into().unwrap());
        let told = [
            // A thread's first under a tag, and large ones, need the lock.
            is_refused(100),
            is_refused(10_000),
            scope(TAG, || face::alloc(bytes(100))).is_none(),
            HEAP.holding(TAG) == Err(Misuse::Reentered.into()),
            HEAP.trim() == Err(Misuse::Reentered.into()),
            HEAP.purge() == Err(Misuse::Reentered.into()),
            HEAP.before_fork() == Err(Misuse::Reentered.into()),
            free(at(), bytes(10_000)) == Err(Misuse::Reentered.into()),
        ];
        TOLD.store(told.iter().filter(|told| **told).count(), Relaxed);
    }
    alone(|| {
        let held = Piece::take(TAG, bytes(10_000), 1);
        HELD.store(held.address(), Relaxed);
        handle(libc::SIGUSR1, handler);
        HEAP.before_fork().unwrap();
        // SAFETY: there is a handler, which has run when this is over.
        unsafe { libc::raise(libc::SIGUSR1) };
        // SAFETY: taken above.
        unsafe { HEAP.after_fork() };
        assert_eq!(TOLD.load(Relaxed), 8);
        assert_eq!(objects(TAG), 1);
        held.give_back();
        HEAP.check().unwrap();
    });
}

/// While this thread has the lock: requests of a class that a thread has at hand need none, neither here, nor in a
/// handler, nor in another thread, which may give back what is this one's.
#[test]
fn f05_what_is_at_hand_needs_no_lock() {
    const TAG: Tag = Tag::named("f05 free");
    static SERVED: AtomicUsize = AtomicUsize::new(0);
    /// More than a magazine holds, so that spans are looked at, and one array of them is enough.
    fn take_and_give() {
        let pieces = [(); 200].map(|()| HEAP.allocate(bytes(64)).unwrap().cast());
        pieces
            .into_iter()
            .for_each(|at| free(at, bytes(64)).unwrap());
        let at = face::alloc(bytes(64)).unwrap();
        let at = face::realloc(at, bytes(64), 60).unwrap();
        face::dealloc(at, bytes(60));
        SERVED.fetch_add(201, Relaxed);
    }
    extern "C" fn handler(_signal: i32) {
        take_and_give();
    }
    /// What the first under a tag needs is there.
    fn warm() {
        take_and_give();
        // Full again: a magazine that was emptied is filled without the lock.
        take_and_give();
    }
    alone(|| {
        let meet = Barrier::new(2);
        let theirs = [(); 100].map(|()| Piece::take(TAG, bytes(64), 1));
        handle(libc::SIGUSR1, handler);
        thread::scope(|threads| {
            let other = threads.spawn(|| {
                scope(TAG, || {
                    warm();
                    meet.wait();
                    meet.wait();
                    theirs.iter().for_each(|piece| piece.free().unwrap());
                    theirs.iter().for_each(|piece| {
                        assert_eq!(piece.free(), Err(double_free(piece.start)));
                    });
                    take_and_give();
                    meet.wait();
                });
            });
            scope(TAG, || {
                warm();
                meet.wait();
                SERVED.store(0, Relaxed);
                HEAP.before_fork().unwrap();
                meet.wait();
                take_and_give();
                // SAFETY: there is a handler, which has run when this is over.
                unsafe { libc::raise(libc::SIGUSR1) };
                meet.wait();
                // SAFETY: taken above.
                unsafe { HEAP.after_fork() };
            });
            other.join().unwrap();
        });
        assert_eq!(SERVED.load(Relaxed), 3 * 201);
        assert_eq!(objects(TAG), 0);
        HEAP.check().unwrap();
    });
}

/// The last slot of a span is given back in the lock: the span cannot go then, and does later.
#[test]
fn f05_a_span_emptied_inside_the_lock_goes_later() {
    const TAG: Tag = Tag::named("f05 last");
    static HELD: [AtomicUsize; 30] = [const { AtomicUsize::new(0) }; 30];
    extern "C" fn handler(_signal: i32) {
        for held in &HELD {
            let at = NonNull::without_provenance(held.load(Relaxed).try_into().unwrap());
            face::dealloc(at, bytes(8192));
        }
    }
    alone(|| {
        // All of some spans, more than is kept at hand.
        let pieces: Vec<_> = (0..30).map(|n| Piece::take(TAG, bytes(8192), n)).collect();
        for (held, piece) in HELD.iter().zip(&pieces) {
            held.store(piece.address(), Relaxed);
        }
        let more: Vec<_> = (0..10).map(|n| Piece::take(TAG, bytes(8192), n)).collect();
        handle(libc::SIGUSR1, handler);
        HEAP.before_fork().unwrap();
        // SAFETY: there is a handler, which has run when this is over.
        unsafe { libc::raise(libc::SIGUSR1) };
        // SAFETY: taken above.
        unsafe { HEAP.after_fork() };
        assert_eq!(objects(TAG), 10);
        for piece in &pieces {
            piece.free().unwrap_err();
        }
        more.into_iter().for_each(Piece::give_back);
        HEAP.trim().unwrap();
        assert_eq!(HEAP.holding(TAG).unwrap().held.blocks, 0);
    });
}
