//! Memory that nobody uses goes back to the kernel of itself, where that is asked for: some time after much was given back.
//!
//! What is given back is counted block by block, spans among them. Whoever comes the slow way, for or with memory, looks
//! whether it is time: there is no thread for it.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use crate::global::center;
use crate::ground::{clock, sys};

/// Bytes below which nothing is given back to the kernel.
const LEAST: usize = 1 << 20;

/// Cycles that it waits, and one more; 0 for ever.
static WAIT: AtomicU64 = AtomicU64::new(0);

/// Bytes that were given back since the kernel last got what nobody uses.
static GIVEN: AtomicUsize = AtomicUsize::new(0);

/// When the kernel gets it next, by the processor's counter; 0 while there is too little.
static DUE: AtomicU64 = AtomicU64::new(0);

/// From now on it waits so long, or for ever. What was given back before does not count.
pub(super) fn set_wait(wait: Option<Duration>) {
    let cycles = wait.map_or(0, |wait| {
        let nanoseconds = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        clock::cycles(nanoseconds).saturating_add(1)
    });
    WAIT.store(cycles, Ordering::Relaxed);
    DUE.store(0, Ordering::Relaxed);
    GIVEN.store(0, Ordering::Relaxed);
}

/// Counts a block that was given back.
#[inline]
pub(super) fn count(bytes: usize) {
    if WAIT.load(Ordering::Relaxed) != 0 {
        GIVEN.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Gives the kernel what nobody uses, if it is time. Outside the heap's lock.
#[inline]
pub(super) fn look() {
    if GIVEN.load(Ordering::Relaxed) >= LEAST {
        look_at_clock();
    }
}

#[cold]
#[inline(never)]
fn look_at_clock() {
    let relaxed = Ordering::Relaxed;
    let wait = WAIT.load(relaxed);
    if wait == 0 {
        return;
    }
    let (now, due) = (sys::cycles(), DUE.load(relaxed));
    if due == 0 {
        DUE.store(now.saturating_add(wait), relaxed);
    } else if now >= due && DUE.compare_exchange(due, 0, relaxed, relaxed).is_ok() {
        GIVEN.store(0, relaxed);
        // Damage is for those to find who meet it next. A signal handler that came in has its thread do this later.
        let done = center::with(|center| center.heap.purge());
        if done.is_err() {
            GIVEN.store(LEAST, relaxed);
        }
    }
}
