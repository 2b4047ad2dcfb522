//! F07: threads come and go, with what they hold or without.

use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tagheap::Tag;

use crate::HEAP;
use crate::support::{Piece, alone, assert_gone, blocks, bytes, objects};

const SIZES: [usize; 4] = [16, 100, 3000, 20_000];

fn pieces(tag: Tag) -> [Piece; 4] {
    SIZES.map(|size| Piece::take(tag, bytes(size), size as u8))
}

#[test]
fn f07_what_a_thread_leaves_is_freed_by_others() {
    const TAG: Tag = Tag::named("f07");
    alone(|| {
        for _ in 0..100 {
            let left: Vec<_> = (0..4)
                .map(|_| thread::spawn(|| pieces(TAG)).join().unwrap())
                .collect();
            assert_eq!(objects(TAG), 16);
            // Those who come later took its spans over: both what was there and what they had are in them.
            assert!(blocks(TAG) <= 8, "{}", HEAP.report());
            let by_another = |pieces: [Piece; 4]| {
                thread::spawn(|| pieces.into_iter().for_each(Piece::give_back))
                    .join()
                    .unwrap();
            };
            left.into_iter().for_each(by_another);
            assert_gone(TAG);
        }
    });
}

/// What it kept at hand for its next requests is nobody's when it goes.
#[test]
fn f07_what_a_thread_keeps_at_hand_goes_with_it() {
    const TAG: Tag = Tag::named("f07 warm");
    alone(|| {
        let use_and_go = || {
            pieces(TAG).into_iter().for_each(Piece::give_back);
            assert_eq!((objects(TAG), blocks(TAG)), (0, 3));
        };
        thread::spawn(use_and_go).join().unwrap();
        assert_eq!(blocks(TAG), 0);
    });
}

/// They come, take, leave one piece each and go: what is held is what is in use.
#[test]
fn f07_ten_thousand_threads_come_and_go() {
    const TAG: Tag = Tag::named("f07 many");
    const BOOKS: Tag = Tag::named("tagheap");
    alone(|| {
        let mut left = std::collections::VecDeque::new();
        for number in 0..10_000 {
            let stay = thread::spawn(move || {
                let taken = pieces(TAG);
                let stay = Piece::take(TAG, bytes(100), number as u8);
                taken.into_iter().for_each(Piece::give_back);
                stay
            });
            left.push_back(stay.join().unwrap());
            if left.len() > 50 {
                left.pop_front().unwrap().give_back();
            }
            if number % 500 == 0 {
                assert_eq!(objects(TAG), left.len());
                assert!(blocks(TAG) <= 4, "{}", HEAP.report());
                // This thread's record, and theirs, who were never two at once.
                assert!(HEAP.holding(BOOKS).unwrap().bytes < 200_000);
            }
        }
        left.into_iter().for_each(Piece::give_back);
        assert_gone(TAG);
    });
}

/// Many at once come and go while others free what those left.
#[test]
fn f07_threads_come_while_others_go() {
    const TAG: Tag = Tag::named("f07 mixd");
    alone(|| {
        let table: Vec<Mutex<Option<Piece>>> = (0..64).map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let live = || {
            let number = next.fetch_add(1, Ordering::Relaxed);
            for step in 0..40 {
                let piece = Piece::take(TAG, bytes(3000), step);
                let seat = &table[(number * 7 + usize::from(step)) % table.len()];
                let before = seat.lock().unwrap().replace(piece);
                before.into_iter().for_each(Piece::give_back);
            }
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        thread::scope(|scope| scope.spawn(live).join().unwrap());
                    }
                });
            }
        });
        let left = table
            .into_iter()
            .filter_map(|seat| seat.into_inner().unwrap());
        left.for_each(Piece::give_back);
        assert_eq!(objects(TAG), 0);
        HEAP.check().unwrap();
    });
}

/// Threads take over what others left, while somebody else looks through that.
#[test]
fn f07_threads_come_while_somebody_tidies_what_others_left() {
    const TAG: Tag = Tag::named("f07 tidy");
    alone(|| {
        let (send, receive) = mpsc::channel();
        let over = AtomicBool::new(false);
        let live = |byte| {
            let left = Piece::take(TAG, bytes(100), byte);
            // Long enough for two in one record, if that could be, to meet.
            for _ in 0..20 {
                let take = |n: usize| Piece::take(TAG, bytes(n % 5 * 30 + 50), byte);
                let kept: Vec<_> = (0..50).map(take).collect();
                kept.into_iter().for_each(Piece::give_back);
            }
            left
        };
        thread::scope(|scope| {
            let workers = [(); 3].map(|()| {
                let (send, over) = (send.clone(), &over);
                scope.spawn(move || {
                    for byte in (0..=255).cycle() {
                        let left = thread::scope(|scope| scope.spawn(|| live(byte)).join());
                        if over.load(Ordering::Relaxed) {
                            return left.unwrap().give_back();
                        }
                        send.send(left.unwrap()).unwrap();
                    }
                })
            });
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1500) {
                // Given back before the next thread comes, or while it does.
                if let Ok(left) = receive.try_recv() {
                    left.give_back();
                    HEAP.trim().unwrap();
                }
                thread::yield_now();
            }
            over.store(true, Ordering::Relaxed);
            // A scope waits for what threads do, not for their ends, and they may have taken over such records.
            for worker in workers {
                worker.join().unwrap();
            }
        });
        receive.try_iter().for_each(Piece::give_back);
        assert_gone(TAG);
        HEAP.check().unwrap();
    });
}

/// A thread that ends unnoticed: the C library's destructors do not run.
extern "C" fn ends_at_once(left: *mut c_void) -> *mut c_void {
    // SAFETY: who started it waits for it.
    let left = unsafe { &*left.cast::<Mutex<Vec<Piece>>>() };
    let pieces = pieces(UNNOTICED);
    left.lock().unwrap().extend(pieces);
    // SAFETY: ends this thread only, which has nothing to clean up.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    ptr::null_mut()
}

const UNNOTICED: Tag = Tag::named("f07 unno");

#[test]
fn f07_threads_whose_end_nobody_notices() {
    alone(|| {
        let left = Mutex::new(Vec::new());
        for round in 0..2000 {
            let mut thread = 0;
            let argument = ptr::from_ref(&left).cast_mut().cast();
            // SAFETY: a function of that type, and an argument that stays until the thread is joined.
            let started = unsafe {
                libc::pthread_create(&raw mut thread, ptr::null(), ends_at_once, argument)
            };
            assert_eq!(started, 0);
            // SAFETY: started above.
            assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
            let mut left = left.lock().unwrap();
            if left.len() > 100 {
                left.drain(..80).for_each(Piece::give_back);
            }
            // The kernel may still know a thread for a moment after that.
            let most = 4 * 8 + left.len();
            assert!(blocks(UNNOTICED) < most, "{round}: {}", HEAP.report());
        }
        left.into_inner()
            .unwrap()
            .into_iter()
            .for_each(Piece::give_back);
        assert_eq!(objects(UNNOTICED), 0);
        HEAP.check().unwrap();
    });
}

/// A thread may say that it goes, and go on.
#[test]
fn f07_a_thread_that_goes_and_comes_back() {
    const TAG: Tag = Tag::named("f07 back");
    thread::spawn(|| {
        for _ in 0..100 {
            let held = pieces(TAG);
            HEAP.leave();
            let more = pieces(TAG);
            HEAP.leave();
            assert_eq!(objects(TAG), 8);
            held.into_iter().for_each(Piece::give_back);
            more.into_iter().for_each(Piece::give_back);
            assert_eq!(objects(TAG), 0);
        }
    })
    .join()
    .unwrap();
}

/// A thread that has nothing to do with a tag any more goes, while another releases the tag.
#[test]
fn f07_a_thread_goes_while_a_tag_that_it_used_is_released() {
    const KEPT: Tag = Tag::named("f07 kept");
    alone(|| {
        let sizes: Vec<usize> = (0..30).map(|n| 16 + n * n * 9).collect();
        let is_done = AtomicUsize::new(0);
        let kept: Vec<_> = sizes
            .iter()
            .map(|size| Piece::take(KEPT, bytes(*size), 9))
            .collect();
        for round in 0..300 {
            let tag = Tag::new(1 << 32 | round as u64);
            let use_and_go = || {
                let take = |size: &usize| Piece::take(tag, bytes(*size), round as u8);
                let pieces: Vec<_> = sizes.iter().map(take).collect();
                let more: Vec<_> = sizes.iter().map(take).collect();
                for piece in pieces.iter().chain(&more) {
                    assert_eq!(HEAP.tag_of(piece.start), Ok(tag));
                }
                more.into_iter().for_each(Piece::give_back);
                // Half of the spans are in use when it goes.
                let back = pieces.into_iter().skip(round % 2 * 15).step_by(2);
                back.for_each(Piece::give_back);
                is_done.store(round + 1, Ordering::Release);
            };
            thread::scope(|scope| {
                let gone = scope.spawn(use_and_go);
                while is_done.load(Ordering::Acquire) <= round && !gone.is_finished() {
                    thread::yield_now();
                }
                for _ in 0..round % 50 * 20 {
                    core::hint::spin_loop();
                }
                // SAFETY: nobody uses what is under the tag.
                unsafe { HEAP.release(tag) }.unwrap();
                gone.join().unwrap();
            });
            assert_eq!((objects(tag), blocks(tag)), (0, 0));
        }
        kept.into_iter().for_each(Piece::give_back);
        HEAP.check().unwrap();
    });
}
