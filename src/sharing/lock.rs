//! A lock that says when the thread that wants it has it already, instead of waiting for itself.
//!
//! # The protocol
//!
//! Beside a mutex stands a word that names the thread which holds it. It is written after the mutex was
//! taken and cleared before it is given back, so for a few instructions the mutex is taken and the word
//! names nobody. A signal handler that interrupts its own thread just there cannot tell that from another
//! thread which stands there; it gives others a thousand chances to run on and then says that the lock was
//! re-entered. Whoever finds a name that is not his own waits, as every mutex lets him.
//!
//! # Safety
//!
//! The one unsafe operation gives a mutex back whose guard was forgotten for the length of a fork.
#![allow(unsafe_code)]

use core::fmt;

use lock_api::RawMutex;

use crate::sharing::atomic::{AtomicUsize, Ordering};
use crate::sharing::thread;
use crate::words::error::Misuse;

/// A value behind a lock, reached by one thread at a time.
pub(crate) struct Guarded<T, L: RawMutex> {
    holder: AtomicUsize,
    mutex: lock_api::Mutex<L, T>,
}

/// Nobody holds the lock, or whoever holds it is about to say or just unsaid so.
const NOBODY: usize = 0;

/// How often somebody who finds the lock taken and no holder's name looks again.
const CHANCES: usize = 1000;

impl<T, L: RawMutex> Guarded<T, L> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            holder: AtomicUsize::new(NOBODY),
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
        let value = match self.mutex.try_lock() {
            Some(value) => value,
            None => self.wait(me)?,
        };
        self.holder.store(me, Ordering::Relaxed);
        Ok(Entered {
            holder: &self.holder,
            value,
        })
    }

    #[cold]
    fn wait(&self, me: usize) -> Result<lock_api::MutexGuard<'_, L, T>, Misuse> {
        for _ in 0..CHANCES {
            match self.holder.load(Ordering::Relaxed) {
                NOBODY => thread::give_way(),
                holder if holder == me => return Err(Misuse::Reentered),
                _somebody_else => return Ok(self.mutex.lock()),
            }
            if let Some(value) = self.mutex.try_lock() {
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
