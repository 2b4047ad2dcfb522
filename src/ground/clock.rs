//! How long a cycle of the time-stamp counter takes.
//!
//! The counter runs at a constant rate, whatever the processor's frequency, on every x86-64 processor since 2008;
//! at which, nothing tells on all of them. So it is held against `CLOCK_MONOTONIC`, once in a process, for a
//! millisecond, unless somebody says it. The kernel is asked by a system call, for the way around it that libc's
//! take (vDSO) has to be found first, which programs without libc cannot.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::ground::sys;

/// Nanoseconds of a cycle, times 2^32; 0 while not known.
static RATE: AtomicU64 = AtomicU64::new(0);

/// How long the two clocks are held against each other, in nanoseconds.
const SPAN: u64 = 1_000_000;

const NANOSECONDS: u64 = 1_000_000_000;

/// The rate of a counter that counts nanoseconds: for one of which nothing can be known.
const ONE: u64 = 1 << 32;

/// So many cycles in nanoseconds, rounded to the nearest. The first call in a process takes a millisecond.
pub(crate) fn nanoseconds(cycles: u64) -> u64 {
    let scaled = u128::from(cycles) * u128::from(rate());
    u64::try_from((scaled + (1 << 31)) >> 32).unwrap_or(u64::MAX)
}

/// So many nanoseconds in cycles, as [`nanoseconds`] turns back.
pub(crate) fn cycles(nanoseconds: u64) -> u64 {
    let scaled = u128::from(nanoseconds) << 32;
    u64::try_from(scaled / u128::from(rate())).unwrap_or(u64::MAX)
}

fn rate() -> u64 {
    match RATE.load(Ordering::Relaxed) {
        0 => know(measure()),
        rate => rate,
    }
}

/// Keeps a rate for all times to come, unless there is one; answers which it is.
fn know(rate: u64) -> u64 {
    let relaxed = Ordering::Relaxed;
    let known = RATE.compare_exchange(0, rate, relaxed, relaxed);
    known.map_or_else(|before| before, |_none| rate)
}

/// Says how many cycles of the time-stamp counter a second has, as a device's maker does: a
/// [`Timed`](crate::Timed) pool then asks no kernel for the time, and none of its users waits a millisecond. O(1).
///
/// ```standalone_crate
/// use core::time::Duration;
/// use tagheap::{Buffer, Heap, LocalHeap, Operation, Pool, Tag, Timed};
///
/// assert!(tagheap::assume_cycles_per_second(2_000_000_000)); // first of all
/// let mut memory = [0; 1024];
/// let heap = LocalHeap::new(Heap::new(Buffer::new(&mut memory))?);
/// let motor = Timed::new(Pool::new(&heap, Tag::named("motor")));
/// let motor = motor.limited(Operation::Allocate, Duration::from_micros(5));
/// let limit = motor.timing(Operation::Allocate).limit;
/// assert!(limit.is_some_and(|limit| (limit.cycles, limit.nanoseconds) == (10_000, 5_000)));
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// Answers whether that is so from now on. Once a limit or a timing was asked for it is not: the rate is known, and
/// stays. Nor is it for 0. If the counter runs at another rate after all, nanoseconds are wrong, and cycles right.
pub fn assume_cycles_per_second(cycles: u64) -> bool {
    let scaled = (NANOSECONDS << 32).checked_div(cycles);
    scaled.is_some_and(|rate| know(rate.max(1)) == rate.max(1))
}

#[cold]
fn measure() -> u64 {
    let Some(first) = moment() else {
        return ONE;
    };
    loop {
        let Some(last) = moment() else {
            return ONE;
        };
        let nanoseconds = last.1.saturating_sub(first.1);
        if nanoseconds >= SPAN {
            let cycles = u128::from(last.0.saturating_sub(first.0).max(1));
            let rate = (u128::from(nanoseconds) << 32) / cycles;
            return u64::try_from(rate).unwrap_or(u64::MAX).max(1);
        }
    }
}

/// What both clocks show: the counter, and nanoseconds. Of a few looks the one least interrupted. `None` where the
/// kernel tells no time.
fn moment() -> Option<(u64, u64)> {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..8 {
        let before = sys::cycles();
        let [seconds, part] = sys::monotonic_time()?;
        let width = sys::cycles().wrapping_sub(before);
        if width < best.0 {
            best = (width, before + width / 2, seconds * NANOSECONDS + part);
        }
    }
    Some((best.1, best.2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use std::thread::sleep;
    use std::time::Instant;

    #[test]
    fn both_clocks_show_the_same_time() {
        rate();
        let (start, before) = (Instant::now(), sys::cycles());
        sleep(Duration::from_millis(50));
        let (real, shown) = (start.elapsed().as_nanos() as u64, sys::cycles() - before);
        let shown = nanoseconds(shown);
        assert!(shown.abs_diff(real) < real / 100, "{shown} ns of {real}");
    }

    #[test]
    fn what_is_known_stays() {
        let before = rate();
        assert!(!assume_cycles_per_second(0));
        assert!(!assume_cycles_per_second(1_000_000));
        assert_eq!(rate(), before);
    }

    #[test]
    fn conversions_turn_back() {
        for time in [0, 1, 25, 1000, 123_456_789, 1 << 40] {
            let back = nanoseconds(cycles(time));
            assert!(back.abs_diff(time) <= 1, "{time} ns became {back}");
        }
        assert_eq!(cycles(u64::MAX).max(nanoseconds(u64::MAX)), u64::MAX);
    }
}
