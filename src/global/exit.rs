//! What happens when a thread goes and when the program forks: by feature `std`, of itself.
//!
//! A key of the threads library is used for a thread's end, since its destructors run after those of std's
//! thread-locals, which may still allocate and give back; and for those who do so later the next thread that comes
//! sees to it. A shared library may be closed while threads that used it live on: then nobody is called any more.
//!
//! # Safety
//!
//! The functions of the C library are called as POSIX has them. What they call back takes no arguments that are
//! used, and does not unwind.
#![cfg_attr(feature = "std", allow(unsafe_code))]

#[cfg(not(feature = "std"))]
pub(super) use without::*;

#[cfg(feature = "std")]
pub(super) use with::*;

/// Programs that say themselves when these things happen.
#[cfg(not(feature = "std"))]
mod without {
    /// The heap was made.
    pub(in crate::global) fn prepare() {}

    /// A thread came.
    pub(in crate::global) fn expect() {}
}

#[cfg(feature = "std")]
mod with {
    use core::ffi::c_void;
    use core::ptr;
    use core::sync::atomic::{AtomicU32, Ordering};

    use crate::global::leaving::{after_fork_in_child, leave};
    use crate::global::{asked, center};

    /// The key, and one more; 0 while there is none.
    static KEY: AtomicU32 = AtomicU32::new(0);

    /// The heap was made: asks to be called at a fork and at the end of threads, and does what the environment asks for.
    pub(in crate::global) fn prepare() {
        let mut key = 0;
        // SAFETY: as POSIX has it.
        if unsafe { libc::pthread_key_create(&raw mut key, Some(thread_goes)) } == 0 {
            KEY.store(key + 1, Ordering::Release);
            if !cfg!(miri) {
                // SAFETY: as POSIX has it. Where it is refused, a library that is closed leaves the key behind.
                unsafe { libc::atexit(closes) };
            }
        }
        expect();
        if cfg!(miri) {
            // There are no forks, and the environment may not be asked.
            return;
        }
        // SAFETY: as POSIX has it. Where it is refused, a fork of a program with threads may leave the lock taken.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after_in_child)) };
        asked::prepare();
    }

    /// A thread came: asks to be called when it goes.
    pub(in crate::global) fn expect() {
        if let Some(key) = KEY.load(Ordering::Acquire).checked_sub(1) {
            // Any pointer but null.
            let value = ptr::from_ref(&KEY).cast();
            // SAFETY: a key that was made. Where it is refused, the next thread that comes sees to this one's end.
            unsafe { libc::pthread_setspecific(key, value) };
        }
    }

    /// The program ends, or the shared library is closed that this is in, and its code is about to be gone: threads
    /// that end from now on call nobody. At a fork nobody is called then either, for that the C library sees to.
    extern "C" fn closes() {
        if let Some(key) = KEY.swap(0, Ordering::AcqRel).checked_sub(1) {
            // SAFETY: a key that was made, and is deleted by whoever took it from there.
            unsafe { libc::pthread_key_delete(key) };
        }
    }

    extern "C" fn thread_goes(_: *mut c_void) {
        leave();
    }

    /// Forks under way that came from signal handlers of the thread that has the lock: it stays taken, and their
    /// children must not use the heap. Changed by that thread only.
    static INSIDE: AtomicU32 = AtomicU32::new(0);

    extern "C" fn before() {
        if center::before_fork().is_err() {
            INSIDE.fetch_add(1, Ordering::Relaxed);
        }
    }

    extern "C" fn after() {
        if INSIDE.load(Ordering::Relaxed) > 0 {
            INSIDE.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // SAFETY: `before` took it.
        unsafe { center::after_fork() };
    }

    extern "C" fn after_in_child() {
        after();
        after_fork_in_child();
    }
}
