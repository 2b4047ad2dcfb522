//! Signals to a thread: a handler for one, and a timer that sends it.

use core::ptr;
use std::time::Duration;

/// Has a handler called for a signal, with nothing blocked but that.
pub(crate) fn handle(signal: i32, handler: extern "C" fn(i32)) {
    // SAFETY: all zeroes are a value of it.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler uses atomics and what it is here to test.
    let answer = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    assert_eq!(answer, 0);
}

/// A thread interrupted by a timer, every so often, for as long as this lives.
pub(crate) struct Storm(libc::timer_t);

impl Storm {
    pub(crate) fn over_this_thread(signal: i32, every: Duration) -> Self {
        // SAFETY: all zeroes are a value of it.
        let mut event: libc::sigevent = unsafe { core::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        // SAFETY: asks only.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer = ptr::null_mut();
        let clock = libc::CLOCK_MONOTONIC;
        // SAFETY: there is a handler.
        let made = unsafe { libc::timer_create(clock, &raw mut event, &raw mut timer) };
        assert_eq!(made, 0);
        let every = libc::timespec {
            tv_sec: 0,
            tv_nsec: every.as_nanos() as i64,
        };
        let times = libc::itimerspec {
            it_interval: every,
            it_value: every,
        };
        // SAFETY: the timer was just made.
        let set = unsafe { libc::timer_settime(timer, 0, &raw const times, ptr::null_mut()) };
        assert_eq!(set, 0);
        Self(timer)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        // SAFETY: the timer is this value's.
        unsafe { libc::timer_delete(self.0) };
    }
}
