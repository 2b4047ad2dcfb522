//! The processor that this thread runs on: how long it has had one, and which.

use std::time::Duration;

/// How long it has had one: what others do meanwhile does not count. By `clock_gettime(2)`, in user and kernel together.
pub(crate) fn time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to the place given.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(answer, 0, "every Linux has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Stays on this one, from 0 on, of those that it may run on, if there are so many. By `sched_setaffinity(2)`.
pub(crate) fn stay_on(place: usize) {
    let bytes = size_of::<libc::cpu_set_t>();
    // SAFETY: all-zero bytes are the empty set.
    let mut all: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes to the set given.
    if unsafe { libc::sched_getaffinity(0, bytes, &raw mut all) } != 0 {
        return;
    }
    // SAFETY: only numbers that a set can have are asked for.
    let is_in = |number: &usize| unsafe { libc::CPU_ISSET(*number, &all) };
    let Some(number) = (0..bytes * 8).filter(is_in).nth(place) else {
        return;
    };
    // SAFETY: as above.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a number that a set can have.
    unsafe { libc::CPU_SET(number, &mut one) };
    // SAFETY: reads the set given; what is refused leaves all as it was.
    unsafe { libc::sched_setaffinity(0, bytes, &raw const one) };
}
