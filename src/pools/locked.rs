//! A pool of any kind that several threads share, behind a lock.
//!
//! # Safety
//!
//! Pieces live in the kind, so nobody may put another in its place while they are in use. A kind is lent
//! exclusively only by a `Locked` that is borrowed exclusively, from which nobody borrows a piece; and shared
//! only for the length of a call, in which none of a kind's safe functions takes a piece away. Each piece is
//! somebody's alone, so pieces need no lock.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use lock_api::RawMutex;

use crate::pools::kind::Kind;
use crate::sharing::lock::Guarded;
use crate::sharing::shared_heap::Futex;
use crate::words::error::{Error, Misuse};
use crate::words::usage::Usage;

/// A pool of any kind that several threads share.
///
/// Each request has the pool for itself. One that comes while the same thread is in another, from a signal
/// handler or the pool's [`Alarm`](crate::Alarm), is answered by [`Misuse::Reentered`]. It can be shared if
/// the kind can be sent, that is, if it holds its heap by value or as a `&SharedHeap`.
///
/// ```
/// use tagheap::{Bump, Heap, Kind, Locked, Pool, Reserve, SharedHeap, Tag, Typed};
///
/// let heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?);
/// let pool = Locked::new(Bump::new(Pool::new(&heap, Tag::named("frame"))));
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| pool.alloc([0_u64; 8]).map(|words| words[0] = 1));
///     }
/// });
/// assert_eq!(pool.usage()?.used, 4 * 64);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// The lock is any of `lock_api`'s; by default a [`Futex`]. The heap's own lock is taken inside it, when the
/// kind takes a chunk. So whoever has the heap, in a [`look`](crate::Share::look) at it or in a signal handler that
/// interrupted a call, must not ask for the pool: another thread may have it, and wait for the heap. How threads are told
/// apart, see [`SharedHeap`](crate::SharedHeap).
///
/// # Fork
///
/// As for [`SharedHeap`](crate::SharedHeap#fork): between [`before_fork`](Locked::before_fork) and
/// [`after_fork`](Locked::after_fork). The pools' locks are to be taken before the heap's.
pub struct Locked<K, L: RawMutex = Futex> {
    kind: Guarded<K, L>,
}

impl<K: Kind> Locked<K> {
    /// Shares a pool, behind a [`Futex`].
    pub const fn new(kind: K) -> Self {
        Self::with_lock(kind)
    }
}

impl<K: Kind, L: RawMutex> Locked<K, L> {
    /// Shares a pool, behind a lock of the type named.
    pub const fn with_lock(kind: K) -> Self {
        let kind = Guarded::new(kind);
        Self { kind }
    }

    /// The pool, which nobody else holds.
    pub fn get_mut(&mut self) -> &mut K {
        self.kind.get_mut()
    }

    /// The pool, no longer shared.
    pub fn into_inner(self) -> K {
        self.kind.into_inner()
    }

    /// Uses the pool, alone, for several requests at once, or for what only its kind has. What is borrowed
    /// from the pool inside stays inside.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] if this thread uses it already.
    pub fn look<T>(&self, work: impl FnOnce(&K) -> T) -> Result<T, Misuse> {
        self.kind.with(|kind| work(kind))
    }

    /// Takes the lock ahead of a fork, so that no other thread holds it in the middle of a change.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] if this thread has it already, or waits for it: a fork from a signal handler that interrupted the
    /// pool must not use it in the child.
    pub fn before_fork(&self) -> Result<(), Misuse> {
        self.kind.before_fork()
    }

    /// Gives the lock back after a fork, in the parent and in the child.
    ///
    /// # Safety
    ///
    /// This thread called [`before_fork`](Locked::before_fork), which succeeded, and forked since; it is called
    /// once in the parent and once in the child.
    pub unsafe fn after_fork(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.kind.after_fork() };
    }
}

// SAFETY: every request is the kind's own, which keeps the contract; the lock orders them.
unsafe impl<K: Kind, L: RawMutex> Kind for Locked<K, L> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        self.kind.with(|kind| kind.allocate(layout))?
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        let give_back = |kind: &mut K| {
            // SAFETY: the caller's promise.
            unsafe { kind.deallocate(ptr, layout) }
        };
        self.kind.with(give_back)?
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let grow = |kind: &mut K| {
            // SAFETY: the caller's promise.
            unsafe { kind.grow(ptr, old, new) }
        };
        self.kind.with(grow)?
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let shrink = |kind: &mut K| {
            // SAFETY: the caller's promise.
            unsafe { kind.shrink(ptr, old, new) }
        };
        self.kind.with(shrink)?
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.kind.get_mut().reset()
    }

    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        self.kind.with(|kind| kind.contains(ptr))?
    }

    fn check(&self) -> Result<(), Error> {
        self.kind.with(|kind| kind.check())?
    }

    fn usage(&self) -> Result<Usage, Error> {
        self.kind.with(|kind| kind.usage())?
    }
}

impl<K, L: RawMutex> fmt::Debug for Locked<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").field("kind", &self.kind).finish()
    }
}
