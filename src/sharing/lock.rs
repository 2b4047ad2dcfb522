//! A lock that says when the thread that wants it has it already, instead of waiting for itself.
//!
//! # The protocol
//!
//! Beside a mutex stands a word that names the thread which holds it. It is written after the mutex was
//! taken and cleared before it is given back, so for a few instructions the mutex is taken and the word
//! names nobody. Whoever finds a name that is not his own waits, as every mutex lets him.
//!
//! A signal handler that interrupts its own thread just there must not wait for it. So a thread that sees the
//! mutex free says in a second word that it is about to take it, and unsays so when it has it or not: a
//! handler that finds its own name there has interrupted its own thread. It may not find it: others may
//! have said the same since, and a thread that waited in the mutex takes it without saying so. Then the
//! handler cannot tell its own thread from another that was stopped there. It gives others time to run on, a
//! tenth of a second or more if the machine is busy, and then says that the lock was re-entered.
//!
//! # Safety
//!
//! The one unsafe operation gives a mutex back whose guard was forgotten for the length of a fork.
#![allow(unsafe_code)]

use core::fmt;

use lock_api::RawMutex;

use crate::sharing::atomic::{AtomicUsize, Ordering, compiler_fence};
use crate::sharing::thread;
use crate::words::error::Misuse;

/// A value behind a lock, reached by one thread at a time.
pub(crate) struct Guarded<T, L: RawMutex> {
    holder: AtomicUsize,
    entering: AtomicUsize,
    mutex: lock_api::Mutex<L, T>,
}

/// Nobody holds the lock, or whoever holds it is about to say or just unsaid so.
const NOBODY: usize = 0;

/// How often somebody who finds the lock taken and no holder's name looks again at once.
const CHANCES: usize = 1000;

/// How often he looks again after a nap.
const NAPS: usize = 1000;

impl<T, L: RawMutex> Guarded<T, L> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            holder: AtomicUsize::new(NOBODY),
            entering: AtomicUsize::new(NOBODY),
            mutex: lock_api::Mutex::from_raw(L::INIT, value),
        }
    }

    /// Uses the value, alone.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] if this thread uses it already.
    #[inline]
    pub(crate) fn with<U>(&self, work: impl FnOnce(&mut T) -> U) -> Result<U, Misuse> {
        let mut entered = self.enter()?;
        Ok(work(&mut entered.value))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.mutex.get_mut()
    }

    pub(crate) fn into_inner(self) -> T {
        self.mutex.into_inner()
    }

    #[inline]
    fn enter(&self) -> Result<Entered<'_, T, L>, Misuse> {
        let me = thread::current().get();
        let value = match self.take(me) {
            Some(value) => value,
            None => self.wait(me)?,
        };
        self.holder.store(me, Ordering::Relaxed);
        // In this order, for a signal handler of this thread.
        compiler_fence(Ordering::Release);
        self.entering.store(NOBODY, Ordering::Relaxed);
        Ok(Entered {
            holder: &self.holder,
            value,
        })
    }

    /// The mutex, if it is free; and says who is entering.
    #[inline]
    fn take(&self, me: usize) -> Option<lock_api::MutexGuard<'_, L, T>> {
        // Who just took it may still need his name there.
        if self.mutex.is_locked() {
            return None;
        }
        self.entering.store(me, Ordering::Relaxed);
        compiler_fence(Ordering::Release);
        let taken = self.mutex.try_lock();
        if taken.is_none() {
            self.entering.store(NOBODY, Ordering::Relaxed);
        }
        taken
    }

    #[cold]
    fn wait(&self, me: usize) -> Result<lock_api::MutexGuard<'_, L, T>, Misuse> {
        for chance in 0..CHANCES + NAPS {
            match self.holder.load(Ordering::Relaxed) {
                NOBODY if self.entering.load(Ordering::Relaxed) == me => break,
                NOBODY if chance < CHANCES => thread::give_way(),
                NOBODY => thread::nap(),
                holder if holder == me => break,
                _somebody_else => return Ok(self.mutex.lock()),
            }
            if let Some(value) = self.take(me) {
                return Ok(value);
            }
        }
        Err(Misuse::Reentered)
    }

    /// Takes the lock and keeps it, for a fork to find it in this thread's hands.
    pub(crate) fn before_fork(&self) -> Result<(), Misuse> {
        core::mem::forget(self.enter()?);
        Ok(())
    }

    /// Gives back what [`before_fork`](Guarded::before_fork) took: once in the parent, once in the child.
    ///
    /// # Safety
    ///
    /// This thread, or the one it is the forked copy of, called `before_fork` and has not called this since.
    pub(crate) unsafe fn after_fork(&self) {
        self.holder.store(NOBODY, Ordering::Relaxed);
        // SAFETY: the caller took the mutex and forgot its guard.
        unsafe { self.mutex.force_unlock() };
    }
}

/// The lock, held: others see by whom, until this goes.
struct Entered<'a, T, L: RawMutex> {
    holder: &'a AtomicUsize,
    // Dropped, so given back, after the holder's name is cleared.
    value: lock_api::MutexGuard<'a, L, T>,
}

impl<T, L: RawMutex> Drop for Entered<'_, T, L> {
    #[inline]
    fn drop(&mut self) {
        self.holder.store(NOBODY, Ordering::Relaxed);
    }
}

impl<T, L: RawMutex> fmt::Debug for Guarded<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.mutex.is_locked();
        f.debug_struct("Guarded")
            .field("held", &held)
            .finish_non_exhaustive()
    }
}
