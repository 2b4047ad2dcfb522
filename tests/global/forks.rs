//! F06: forks while other threads are in the heap.
//!
//! A child has one thread and must not rely on anything of libc's that takes a lock; it says by its exit code how
//! things went.

use std::panic;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use fastrand::Rng;
use tagheap::Tag;

use crate::HEAP;
use crate::support::{Piece, alone, bytes, objects, rounds};

const SIZES: [usize; 5] = [16, 100, 4000, 8193, 100_000];

fn pieces(tag: Tag, byte: u8) -> [Piece; 5] {
    SIZES.map(|size| Piece::take(tag, bytes(size), byte))
}

/// Forks, and has the child work; answers its status. It ends without running anything of the parent's.
fn fork(work: impl FnOnce()) -> i32 {
    // SAFETY: the child calls what it may, and this heap.
    let process = unsafe { libc::fork() };
    see_through(process, work)
}

/// Has the child of a fork work, and waits for it in the parent.
fn see_through(process: i32, work: impl FnOnce()) -> i32 {
    assert!(process >= 0);
    if process == 0 {
        // SAFETY: deadly, if the child hangs.
        unsafe { libc::alarm(20) };
        panic::set_hook(Box::new(|_| {}));
        let went = panic::catch_unwind(panic::AssertUnwindSafe(work));
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(went.is_err())) };
    }
    let mut status = 0;
    // SAFETY: our own child.
    let ended = unsafe { libc::waitpid(process, &raw mut status, 0) };
    assert_eq!(ended, process);
    status
}

#[test]
fn f06_children_of_forks_use_the_heap() {
    const BUSY: [Tag; 2] = [Tag::named("f06 busy"), Tag::named("f06 2")];
    const KEPT: Tag = Tag::named("f06 kept");
    alone(|| {
        let over = AtomicBool::new(false);
        let busy = |number: usize| {
            let mut rng = Rng::with_seed(number as u64);
            while !over.load(Relaxed) {
                let size = SIZES[rng.usize(..5)];
                let more = [1, 2, 3].map(|byte| Piece::take(BUSY[number], bytes(size), byte));
                more.into_iter().for_each(Piece::give_back);
            }
        };
        thread::scope(|scope| {
            let busy = &busy;
            for number in 0..2 {
                scope.spawn(move || busy(number));
            }
            for round in rounds(300) {
                let mine = pieces(KEPT, 1);
                // Of another thread, which is gone in the parent, and one that never was in the child.
                let theirs = thread::spawn(|| pieces(KEPT, 2)).join().unwrap();
                let status = fork(|| {
                    let more = pieces(KEPT, 3);
                    assert_eq!(objects(KEPT), 15);
                    [mine.each_ref(), theirs.each_ref(), more.each_ref()]
                        .into_iter()
                        .flatten()
                        .for_each(|piece| {
                            piece.assert_whole();
                            piece.free().unwrap();
                        });
                    assert_eq!(objects(KEPT), 0);
                    HEAP.check().unwrap();
                    if round % 3 == 0 {
                        let there = thread::spawn(|| pieces(KEPT, 4)).join().unwrap();
                        assert_eq!(objects(KEPT), 5);
                        there.into_iter().for_each(Piece::give_back);
                    }
                    HEAP.trim().unwrap();
                });
                if status != 0 {
                    over.store(true, Relaxed);
                    panic!("the child of round {round} ended with status {status:#x}");
                }
                [mine, theirs]
                    .into_iter()
                    .flatten()
                    .for_each(Piece::give_back);
                assert_eq!(objects(KEPT), 0);
            }
            over.store(true, Relaxed);
        });
        assert_eq!(BUSY.map(objects), [0, 0]);
        HEAP.check().unwrap();
    });
}

/// What is pending where the parent forks is there in the child too, and grandchildren are as good as children.
#[test]
fn f06_a_child_collects_what_was_given_back_in_its_parent() {
    const TAG: Tag = Tag::named("f06 pend");
    alone(|| {
        let kept = pieces(TAG, 1);
        let back: Vec<_> = (0..100).map(|_| pieces(TAG, 2)).collect();
        let give_all = || back.into_iter().flatten().for_each(Piece::give_back);
        thread::spawn(give_all).join().unwrap();
        let generation = || {
            assert_eq!(objects(TAG), 5);
            HEAP.trim().unwrap();
            assert!(HEAP.holding(TAG).unwrap().held.blocks <= 5);
            pieces(TAG, 3).into_iter().for_each(Piece::give_back);
        };
        let status = fork(|| {
            generation();
            assert_eq!(fork(generation), 0);
            generation();
        });
        assert_eq!(status, 0);
        generation();
        kept.into_iter().for_each(Piece::give_back);
        assert_eq!(objects(TAG), 0);
    });
}

/// A handler that came into the heap forks: it is for the child not to use the heap, and for the parent to go on.
#[test]
fn f06_a_fork_inside_the_lock_leaves_the_parent_its_lock() {
    extern "C" fn handler(_signal: i32) {
        // SAFETY: the child ends at once.
        let process = unsafe { libc::fork() };
        if process == 0 {
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: our own child.
        unsafe { libc::waitpid(process, core::ptr::null_mut(), 0) };
        // The lock is held yet.
        IS_HELD.store(HEAP.check().is_err(), Relaxed);
    }
    static IS_HELD: AtomicBool = AtomicBool::new(false);
    alone(|| {
        pieces(Tag::named("f06 lock"), 1)
            .into_iter()
            .for_each(Piece::give_back);
        // SAFETY: the handler calls what it may, and this heap.
        unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
        HEAP.before_fork().unwrap();
        // SAFETY: there is a handler, which has run when this is over.
        unsafe { libc::raise(libc::SIGUSR1) };
        if !IS_HELD.load(Relaxed) {
            exit(1);
        }
        // SAFETY: taken above.
        unsafe { HEAP.after_fork() };
        HEAP.check().unwrap();
        assert_eq!(fork(|| HEAP.check().unwrap()), 0);
    });
}

/// As a program without libc has to: nobody is told of the fork but by the two calls.
#[test]
fn f06_a_fork_that_the_c_library_knows_nothing_of() {
    const TAG: Tag = Tag::named("f06 hand");
    alone(|| {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    pieces(TAG, 1).into_iter().for_each(Piece::give_back);
                }
            });
            let kept = pieces(Tag::named("f06 mine"), 2);
            for round in rounds(300) {
                HEAP.before_fork().unwrap();
                // SAFETY: the child calls this heap only.
                let process = unsafe { libc::syscall(libc::SYS_fork) } as i32;
                // SAFETY: taken above; once in each process.
                unsafe { HEAP.after_fork() };
                let status = see_through(process, || {
                    kept.iter().for_each(|piece| piece.free().unwrap());
                    pieces(TAG, 3).into_iter().for_each(Piece::give_back);
                    HEAP.trim().unwrap();
                    HEAP.check().unwrap();
                });
                if status != 0 {
                    over.store(true, Relaxed);
                    panic!("the child of round {round} ended with status {status:#x}");
                }
            }
            kept.into_iter().for_each(Piece::give_back);
            over.store(true, Relaxed);
        });
        assert_eq!(objects(TAG), 0);
    });
}
