//! The lock: one at a time, whoever comes back is told so, and whoever waits gets it.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::mutex::{RawMutex, handle};
use crate::sharing::atomic::Fault;
use crate::sharing::lock::Guarded;
use crate::sharing::thread::set_number;
use crate::words::error::Misuse;
use crate::{check, must_fail};

/// A counter that the checker watches: two who use it at once are found.
type Counter = Guarded<UnsafeCell<usize>, RawMutex>;

fn counter() -> Arc<Counter> {
    let lock = Arc::new(Counter::new(UnsafeCell::new(0)));
    // Makes the atomics known to the checker before other threads use them.
    assert_eq!(raise(&lock), Ok(1));
    lock
}

/// Counts one more, in the lock; answers how many.
fn raise(lock: &Counter) -> Result<usize, Misuse> {
    lock.with(|counter| {
        counter.with_mut(|count| {
            // SAFETY: in the lock.
            let count = unsafe { &mut *count };
            *count += 1;
            *count
        })
    })
}

/// Two threads enter: each finds the lock held by the other or free, never by itself, and gets it.
fn others_wait() {
    let lock = counter();
    let other = thread::spawn({
        let lock = Arc::clone(&lock);
        move || {
            set_number(2);
            raise(&lock)
        }
    });
    let mine = raise(&lock).unwrap();
    let others = other.join().unwrap().unwrap();
    assert_eq!(mine + others, 2 + 3);
}

/// A thread that comes back while another waits is told so; afterwards all is as before.
fn who_comes_back_is_told() {
    let lock = counter();
    let other = thread::spawn({
        let lock = Arc::clone(&lock);
        move || {
            set_number(2);
            raise(&lock).unwrap();
        }
    });
    let inside = lock.with(|_counter| raise(&lock));
    assert_eq!(inside, Ok(Err(Misuse::Reentered)));
    other.join().unwrap();
    assert_eq!(raise(&lock), Ok(3));
}

/// As for a fork: the lock is kept, and given back later.
fn a_lock_is_kept_for_a_fork() {
    let lock = counter();
    let other = thread::spawn({
        let lock = Arc::clone(&lock);
        move || {
            set_number(2);
            raise(&lock).unwrap()
        }
    });
    lock.before_fork().unwrap();
    assert_eq!(raise(&lock), Err(Misuse::Reentered));
    assert_eq!(lock.before_fork(), Err(Misuse::Reentered));
    // SAFETY: taken above.
    unsafe { lock.after_fork() };
    let others = other.join().unwrap();
    let mine = raise(&lock).unwrap();
    assert_eq!((others, mine), (2, 3));
}

/// Two threads enter, and signals come to each while it has the mutex and its handler wants it too.
fn handlers_are_told() {
    let lock = counter();
    handle(Some(Box::new({
        let lock = Arc::clone(&lock);
        move || assert_eq!(raise(&lock), Err(Misuse::Reentered))
    })));
    let other = thread::spawn({
        let lock = Arc::clone(&lock);
        move || {
            set_number(2);
            raise(&lock)
        }
    });
    let mine = raise(&lock).unwrap();
    let others = other.join().unwrap().unwrap();
    handle(None);
    assert_eq!(mine + others, 2 + 3);
}

#[test]
fn others_wait_and_get_it() {
    check(0, others_wait);
}

#[test]
fn reentry_is_told() {
    check(0, who_comes_back_is_told);
}

#[test]
fn forks_keep_it() {
    check(0, a_lock_is_kept_for_a_fork);
}

#[test]
fn a_handler_is_told_wherever_it_interrupts() {
    check(0, handlers_are_told);
}

/// What the checker says of a thread that waits for itself: everybody does, or somebody for ever.
const ENDLESS: &[&str] = &["deadlock", "maximum number of branches"];

#[test]
fn a_name_that_stays_is_found() {
    must_fail(Fault::NameStays, &["Reentered"], others_wait);
}

#[test]
fn a_name_that_is_missing_is_found() {
    must_fail(Fault::NoName, ENDLESS, who_comes_back_is_told);
}

#[test]
fn a_name_that_is_missing_in_a_handler_is_found() {
    must_fail(Fault::NoName, ENDLESS, handlers_are_told);
}
