//! Threads that go, and forks: what is to be done then, by whoever notices it.
//!
//! # Safety
//!
//! The centre's lock is given back only by who took it.
#![allow(unsafe_code)]

use crate::global::{Global, center, local};
use crate::words::error::Error;

impl Global {
    /// Says that the calling thread goes: its spans are for the next one that comes. Feature `std` calls it.
    ///
    /// A thread that says nothing loses nothing: when another comes, the kernel is asked whether it still lives.
    /// One that allocates after all is a new one.
    pub fn leave(&self) {
        leave();
    }

    /// Takes the heap's lock ahead of a fork, so that no other thread holds it in the middle of a change. Feature
    /// `std` does it at every `fork` of the C library's.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`](crate::Misuse::Reentered) from a signal handler that came into the heap: the child must not use
    /// it.
    pub fn before_fork(&self) -> Result<(), Error> {
        self.prepare();
        center::before_fork()
    }

    /// Gives the lock back after a fork, in the parent and in the child.
    ///
    /// # Safety
    ///
    /// This thread called [`before_fork`](Global::before_fork), which succeeded, and forked since; it is called
    /// once in the parent and once in the child.
    pub unsafe fn after_fork(&self) {
        // SAFETY: the caller's promise.
        unsafe { center::after_fork() };
        after_fork_in_child();
    }
}

/// The calling thread goes.
pub(super) fn leave() {
    let Ok(inside) = local::enter() else { return };
    if let Some(thread) = inside.local.thread.replace(None) {
        inside.local.stock.set(None);
        // What cannot be given back stays for the next.
        let _ = thread.trim();
        thread.leave();
    }
}

/// The calling thread may be another one now.
pub(super) fn after_fork_in_child() {
    if let Ok(inside) = local::enter()
        && let Some(thread) = inside.local.thread.get()
    {
        thread.renumber();
    }
}
