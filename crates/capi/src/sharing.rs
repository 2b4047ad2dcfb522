//! A heap for one thread or for many: which, is known when the program runs.
//!
//! # Safety
//!
//! Every use goes to the sharing heap within, which keeps the contract.
#![allow(unsafe_code)]

use heap::{Directory, Error, Heap, LocalHeap, Misuse, Rule, Share, SharedHeap};

use crate::ground::Ground;

/// A heap, behind a lock or not.
#[derive(Debug)]
pub(crate) enum Sharing<R: Rule> {
    Alone(LocalHeap<Ground, R>),
    Locked(SharedHeap<Ground, R>),
}

impl<R: Rule> Sharing<R> {
    pub(crate) fn new(heap: Heap<Ground, R>, locked: bool) -> Self {
        if locked {
            Self::Locked(SharedHeap::new(heap))
        } else {
            Self::Alone(LocalHeap::new(heap))
        }
    }

    pub(crate) fn is_locked(&self) -> bool {
        matches!(self, Self::Locked(_))
    }

    /// Takes the lock, if there is one, ahead of a fork.
    pub(crate) fn before_fork(&self) -> Result<(), Error> {
        match self {
            Self::Alone(_) => Ok(()),
            Self::Locked(heap) => Ok(heap.before_fork()?),
        }
    }

    /// Gives it back.
    ///
    /// # Safety
    ///
    /// As for [`SharedHeap::after_fork`].
    pub(crate) unsafe fn after_fork(&self) {
        if let Self::Locked(heap) = self {
            // SAFETY: the caller's promise.
            unsafe { heap.after_fork() };
        }
    }
}

// SAFETY: the same heap every time, lent by the one within.
unsafe impl<R: Rule> Share for Sharing<R> {
    type Source = Ground;
    type Rule = R;
    type Placement = Directory;

    unsafe fn with<T>(&self, work: impl FnOnce(&mut Heap<Ground, R>) -> T) -> Result<T, Misuse> {
        match self {
            // SAFETY: the caller's promise.
            Self::Alone(heap) => unsafe { heap.with(work) },
            // SAFETY: as above.
            Self::Locked(heap) => unsafe { heap.with(work) },
        }
    }
}
