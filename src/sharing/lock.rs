//! A lock that says when the thread that wants it has it already, instead of waiting for itself.
//!
//! # The protocol
//!
//! In front of a mutex is a gate, a word that names the thread which is entering; behind it a word that names
//! the thread which holds the mutex. Nobody takes the mutex but in the gate, or leaves the gate before the other
//! word names him; and who leaves gives the mutex back before he clears his name, for which his successor
//! waits. So a thread that has the mutex finds its name in one of the words at every moment: a signal handler
//! which interrupts its own thread anywhere knows so at once, and whoever finds other names can wait.
//! In the gate one waits in the mutex, as the mutex does; for the gate, by looking again after others had a
//! chance to run.
//!
//! A fork is made by a thread that holds both, so that in the child neither names a thread which is not there.
//!
//! # Safety
//!
//! The one unsafe operation gives a mutex back whose guard was forgotten for the length of a fork.
#![allow(unsafe_code)]

use core::fmt;

use lock_api::RawMutex;

use crate::sharing::atomic::{AtomicUsize, Ordering, spin_loop};
use crate::sharing::thread;
use crate::words::error::Misuse;

/// A value behind a lock, reached by one thread at a time.
pub(crate) struct Guarded<T, L: RawMutex> {
    holder: AtomicUsize,
    entering: AtomicUsize,
    mutex: lock_api::Mutex<L, T>,
}

/// In place of a thread's name.
const NOBODY: usize = 0;

/// How often somebody who waits looks again at once, and how often in all before he naps.
const SPINS: usize = 100;
const LOOKS: usize = 200;

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
        let value = self.lock()?;
        // After the other word names this thread, as a handler of its own must see it.
        self.entering.store(NOBODY, Ordering::Release);
        let holder = &self.holder;
        Ok(Entered {
            value,
            _name: Named { holder },
        })
    }

    /// Takes the mutex, and stays in the gate.
    #[inline]
    fn lock(&self) -> Result<lock_api::MutexGuard<'_, L, T>, Misuse> {
        let me = thread::current().get();
        if self.holder.load(Ordering::Relaxed) == me {
            return Err(Misuse::Reentered);
        }
        if self.pass(me).is_err() {
            self.wait(me)?;
        }
        let value = self.mutex.lock();
        if self.holder.load(Ordering::Relaxed) != NOBODY {
            self.succeed();
        }
        self.holder.store(me, Ordering::Relaxed);
        Ok(value)
    }

    /// Goes into the gate, unless somebody is there.
    #[inline]
    fn pass(&self, me: usize) -> Result<usize, usize> {
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        let entering = &self.entering;
        entering.compare_exchange(NOBODY, me, success, failure)
    }

    /// Waits for the gate.
    #[cold]
    fn wait(&self, me: usize) -> Result<(), Misuse> {
        let mut patience = Patience { looks: 0 };
        while let Err(entering) = self.pass(me) {
            if entering == me {
                return Err(Misuse::Reentered);
            }
            patience.wait();
        }
        Ok(())
    }

    /// Waits until whoever gave the mutex back has cleared his name.
    #[cold]
    fn succeed(&self) {
        let mut patience = Patience { looks: 0 };
        while self.holder.load(Ordering::Relaxed) != NOBODY {
            patience.wait();
        }
    }

    /// Takes the lock and keeps it, for a fork to find it in this thread's hands.
    pub(crate) fn before_fork(&self) -> Result<(), Misuse> {
        core::mem::forget(self.lock()?);
        Ok(())
    }

    /// Gives back what [`before_fork`](Guarded::before_fork) took: once in the parent, once in the child.
    ///
    /// # Safety
    ///
    /// This thread, or the one it is the forked copy of, called `before_fork` and has not called this since.
    pub(crate) unsafe fn after_fork(&self) {
        // SAFETY: the caller took the mutex and forgot its guard.
        unsafe { self.mutex.force_unlock() };
        self.holder.store(NOBODY, Ordering::Release);
        self.entering.store(NOBODY, Ordering::Release);
    }
}

/// The lock, held: others see by whom, until this goes.
struct Entered<'a, T, L: RawMutex> {
    // Dropped, so given back, before the holder's name is cleared.
    value: lock_api::MutexGuard<'a, L, T>,
    _name: Named<'a>,
}

/// The holder's name, until this goes.
struct Named<'a> {
    holder: &'a AtomicUsize,
}

impl Drop for Named<'_> {
    #[inline]
    fn drop(&mut self) {
        // After the mutex was given back, as a handler of this thread must see it.
        self.holder.store(NOBODY, Ordering::Release);
    }
}

/// Waits longer the more often it is asked to.
struct Patience {
    looks: usize,
}

impl Patience {
    fn wait(&mut self) {
        self.looks += 1;
        if self.looks <= SPINS {
            spin_loop();
        } else if self.looks <= LOOKS {
            thread::give_way();
        } else {
            thread::nap();
        }
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
