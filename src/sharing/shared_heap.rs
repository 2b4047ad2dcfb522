//! A heap shared by threads, behind a lock.
//!
//! # Safety
//!
//! The lock lends the heap to one thread at a time, and what it lends is not replaced (see
//! [`Share`](crate::sharing::share)).
#![allow(unsafe_code)]

use core::fmt;

use lock_api::RawMutex;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::policy::directory::Directory;
use crate::policy::placement::Placement;
use crate::policy::rule::{Rule, Split};
use crate::sharing::lock::Guarded;
use crate::sharing::share::Share;
use crate::words::error::Misuse;

/// The lock that a [`SharedHeap`] and a [`Locked`](crate::Locked) pool have unless another is named: one
/// word, waited for in the kernel (`futex(2)`), without libc.
pub type Futex = rustix_futex_sync::RawMutex;

/// A heap that pools of many threads share, behind a lock.
///
/// The lock is any of `lock_api`'s; by default a [`Futex`]. A thread is told from others by the address of its
/// thread-local memory; threads made by hand that share one are taken for one another, and told that they
/// re-enter where they should wait. Whether threads have such memory, the first lock of a process asks the kernel;
/// where they have none, each lock asks it for the thread's number. Where there is one thread, say so, and none asks:
/// [`assume_one_thread`](crate::assume_one_thread).
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{Heap, Reserve, Share, SharedHeap, Tag};
///
/// let heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?);
/// std::thread::scope(|scope| {
///     for number in 1..=4 {
///         let heap = &heap;
///         scope.spawn(move || heap.allocate(Tag::new(number), Layout::new::<u64>()).map(drop));
///     }
/// });
/// assert_eq!(heap.look(|heap| heap.tags().count())?, 4);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// # Fork
///
/// The child of a fork has the memory but only the forking thread. If another thread held the lock just
/// then, nobody in the child ever gives it back. So call [`before_fork`](SharedHeap::before_fork) ahead of the
/// fork and [`after_fork`](SharedHeap::after_fork) behind it in both; `pthread_atfork` takes the three.
pub struct SharedHeap<S: Source, R: Rule = Split, P: Placement = Directory, L: RawMutex = Futex> {
    heap: Guarded<Heap<S, R, P>, L>,
}

impl<S: Source, R: Rule, P: Placement, L: RawMutex> SharedHeap<S, R, P, L> {
    /// Shares a heap.
    pub const fn new(heap: Heap<S, R, P>) -> Self {
        let heap = Guarded::new(heap);
        Self { heap }
    }

    /// The heap, which nobody else holds.
    pub fn get_mut(&mut self) -> &mut Heap<S, R, P> {
        self.heap.get_mut()
    }

    /// The heap, no longer shared.
    pub fn into_inner(self) -> Heap<S, R, P> {
        self.heap.into_inner()
    }

    /// Takes the lock ahead of a fork, so that no other thread holds it in the middle of a change.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] if this thread has it already, or waits for it: a fork from a signal handler that interrupted the
    /// heap must not use it in the child.
    pub fn before_fork(&self) -> Result<(), Misuse> {
        self.heap.before_fork()
    }

    /// Gives the lock back after a fork, in the parent and in the child.
    ///
    /// # Safety
    ///
    /// This thread called [`before_fork`](SharedHeap::before_fork), which succeeded, and forked since; it is
    /// called once in the parent and once in the child.
    pub unsafe fn after_fork(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.heap.after_fork() };
    }
}

// SAFETY: the lock lends its heap to one thread, and only here; who replaces it holds the lock exclusively.
unsafe impl<S: Source, R: Rule, P: Placement, L: RawMutex> Share for SharedHeap<S, R, P, L> {
    type Source = S;
    type Rule = R;
    type Placement = P;

    #[inline]
    unsafe fn with<T>(&self, work: impl FnOnce(&mut Heap<S, R, P>) -> T) -> Result<T, Misuse> {
        self.heap.with(work)
    }
}

impl<S: Source, R: Rule, P: Placement, L: RawMutex> fmt::Debug for SharedHeap<S, R, P, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedHeap")
            .field("heap", &self.heap)
            .finish()
    }
}
