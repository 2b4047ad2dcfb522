//! F07: threads that are cancelled, as the C library does so by default: deferred, at the next of its calls that is a
//! point for it. The heap has none such, so an operation under way is done to its end.
//!
//! The threads are the C library's: cancelling unwinds a stack, which std's threads do not expect. For the same
//! reason nothing on it is to be dropped.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use fastrand::Rng;
use tagheap::{Tag, scope};

use crate::HEAP;
use crate::careless::{face, free};
use crate::support::{LARGEST, alone, blocks, bytes, objects};

const TAG: Tag = Tag::named("f07 canc");

type Start = extern "C-unwind" fn(*mut c_void) -> *mut c_void;

// As POSIX has them; that they unwind is the C library's own way.
unsafe extern "C-unwind" {
    safe fn pthread_testcancel();
    fn pthread_create(
        thread: *mut libc::pthread_t,
        attributes: *const libc::pthread_attr_t,
        start: Start,
        argument: *mut c_void,
    ) -> i32;
}

/// Memory that threads hold: by a seat's number one knows its size.
static SEAT: [AtomicUsize; 60] = [const { AtomicUsize::new(0) }; 60];

/// How often they asked.
static STEPS: AtomicUsize = AtomicUsize::new(0);

fn step() {
    visit(STEPS.fetch_add(1, Relaxed) * 7 % SEAT.len());
}

/// Gives back what is in a seat, or puts something there.
fn visit(number: usize) {
    let size = [16, 100, 1000, LARGEST, LARGEST + 1, 60_000][number % 6];
    let seat = &SEAT[number];
    let at = match NonNull::new(ptr::without_provenance_mut(seat.load(Relaxed))) {
        // What is refused stays.
        Some(at) => free(at, bytes(size)).err().map(|_| at),
        None => scope(TAG, || face::alloc(bytes(size)))
            .and_then(|at| face::realloc(at, bytes(size), 2 * size))
            .and_then(|at| face::realloc(at, bytes(2 * size), size)),
    };
    seat.store(at.map_or(0, |at| at.addr().get()), Relaxed);
}

fn taken() -> usize {
    SEAT.iter().filter(|seat| seat.load(Relaxed) != 0).count()
}

/// Starts a thread, has something done meanwhile, and waits until it was cancelled.
fn until_cancelled(start: Start, meanwhile: impl FnOnce(libc::pthread_t)) {
    /// What a thread answers that was.
    const CANCELLED: usize = usize::MAX;
    let (mut thread, mut answer) = (0, ptr::null_mut());
    let (anything, nothing) = (ptr::null(), ptr::null_mut());
    // SAFETY: a function of that type, which does not look at its argument.
    let started = unsafe { pthread_create(&raw mut thread, anything, start, nothing) };
    assert_eq!(started, 0);
    meanwhile(thread);
    // SAFETY: started above.
    assert_eq!(unsafe { libc::pthread_join(thread, &raw mut answer) }, 0);
    assert_eq!(answer.addr(), CANCELLED);
}

#[test]
fn f07_threads_cancelled_in_the_middle_of_requests() {
    extern "C-unwind" fn start(_: *mut c_void) -> *mut c_void {
        loop {
            (0..20).for_each(|_| step());
            pthread_testcancel();
        }
    }
    alone(|| {
        let mut rng = Rng::with_seed(7);
        for round in 0..1000 {
            let enough = STEPS.load(Relaxed) + rng.usize(1..200);
            until_cancelled(start, |thread| {
                while STEPS.load(Relaxed) < enough {
                    thread::yield_now();
                }
                // SAFETY: started, and not joined yet.
                assert_eq!(unsafe { libc::pthread_cancel(thread) }, 0);
            });
            // What it held is there for others, and what it kept at hand is not.
            assert_eq!(objects(TAG), taken());
            (0..rng.usize(..60)).for_each(|_| step());
            assert_eq!(objects(TAG), taken());
            assert!(blocks(TAG) <= 60, "{round}: {}", HEAP.report());
        }
        let is_taken = |number: &usize| SEAT[*number].load(Relaxed) != 0;
        (0..SEAT.len()).filter(is_taken).for_each(visit);
        HEAP.trim().unwrap();
        assert_eq!((objects(TAG), blocks(TAG)), (0, 0));
        HEAP.check().unwrap();
    });
}

/// Cancelled before its first request: each is served all the same.
#[test]
fn f07_no_operation_is_a_point_where_a_thread_is_cancelled() {
    static DONE: AtomicUsize = AtomicUsize::new(0);
    extern "C-unwind" fn start(_: *mut c_void) -> *mut c_void {
        // SAFETY: asks only.
        let this = unsafe { libc::pthread_self() };
        // SAFETY: this thread; by default that is for later.
        unsafe { libc::pthread_cancel(this) };
        (0..10_000).for_each(|_| step());
        let whole = HEAP.check().is_ok() && HEAP.set_limit(TAG, None).is_ok();
        let is_forked = HEAP.before_fork().is_ok();
        // SAFETY: taken above, and not forked.
        unsafe { HEAP.after_fork() };
        HEAP.print_report();
        let is_trimmed = HEAP.trim().is_ok();
        HEAP.leave();
        (0..10_000).for_each(|_| step());
        DONE.store(
            [whole, is_forked, is_trimmed].map(usize::from).iter().sum(),
            Relaxed,
        );
        pthread_testcancel();
        ptr::null_mut()
    }
    alone(|| {
        until_cancelled(start, |_| {});
        assert_eq!((DONE.load(Relaxed), STEPS.load(Relaxed)), (3, 20_000));
        assert_eq!(objects(TAG), taken());
        HEAP.check().unwrap();
    });
}
