//! A heap that several pools hold: each use has it alone for as long as it takes.
//!
//! # Safety
//!
//! What pools hand out lives in the heap they share, so nobody may replace that heap, or release what is a
//! pool's, while they do. That is why exclusive access to a shared heap is unsafe to ask for, and why the
//! heap is given whole only to whoever holds the sharing value exclusively, which no pool then borrows.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::RefCell;
use core::fmt;
use core::ptr::NonNull;

use lock_api::RawMutex;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::policy::directory::Directory;
use crate::policy::placement::Placement;
use crate::policy::rule::{Rule, Split};
use crate::sharing::lock::Guarded;
use crate::words::error::{Error, Misuse};
use crate::words::stats::{Amount, TagStats};
use crate::words::tag::Tag;

/// The lock that a [`SharedHeap`] and a [`Locked`](crate::Locked) pool have unless another is named: one
/// word, waited for in the kernel (`futex(2)`), without libc.
pub type Futex = rustix_futex_sync::RawMutex;

/// A heap that several hold, such as pools: `&LocalHeap` in one thread, `&SharedHeap` in many.
///
/// Every call has the heap for itself. One that comes while the same thread is in another, from a signal
/// handler or a callback, is answered by [`Misuse::Reentered`].
///
/// # Safety
///
/// - `with` gives the same heap every time, to one caller at a time.
/// - That heap is neither replaced nor dropped while the value, or what it was copied from, is there or
///   borrowed.
pub unsafe trait Share {
    /// The heap's source.
    type Source: Source;
    /// The heap's rule.
    type Rule: Rule;
    /// The heap's placement.
    type Placement: Placement;

    /// Uses the heap, alone.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] if this thread uses it already.
    ///
    /// # Safety
    ///
    /// - The heap is not replaced.
    /// - Blocks under a tag that a pool owns are left alone, unless nobody uses what the pool handed out.
    unsafe fn with<T>(
        &self,
        work: impl FnOnce(&mut Heap<Self::Source, Self::Rule, Self::Placement>) -> T,
    ) -> Result<T, Misuse>;

    /// Looks at the heap: walks it, checks it, prints its table.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] if this thread uses it already.
    fn look<T>(
        &self,
        work: impl FnOnce(&Heap<Self::Source, Self::Rule, Self::Placement>) -> T,
    ) -> Result<T, Misuse> {
        // SAFETY: a shared reference neither replaces the heap nor frees a block.
        unsafe { self.with(|heap| work(heap)) }
    }

    /// As [`Heap::allocate`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    fn allocate(&self, tag: Tag, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: a new block is nobody's yet.
        unsafe { self.with(|heap| heap.allocate(tag, layout)) }?
    }

    /// As [`Heap::deallocate`]. Of two who free a block at once, or free it while its tag is released, one does; the
    /// other is told [`Misuse::Released`] or [`Misuse::DoubleFree`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// As there, and the block is not a pool's.
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        let give_back = |heap: &mut Heap<_, _, _>| {
            // SAFETY: the caller's promise.
            unsafe { heap.deallocate(ptr, layout) }
        };
        // SAFETY: the caller's own block.
        unsafe { self.with(give_back) }?
    }

    /// As [`Heap::release`]; a block that somebody frees meanwhile is freed by one of the two, and counted by that
    /// one.
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// As there: if a pool owns the tag, nobody uses what it handed out, nor the pool itself, which is dropped
    /// before another pool gets the tag.
    unsafe fn release(&self, tag: Tag) -> Result<Amount, Error> {
        let release = |heap: &mut Heap<_, _, _>| {
            // SAFETY: the caller's promise.
            unsafe { heap.release(tag) }
        };
        // SAFETY: the caller's promise.
        unsafe { self.with(release) }?
    }

    /// As [`Heap::stats_of`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    fn stats_of(&self, tag: Tag) -> Result<TagStats, Error> {
        Ok(self.look(|heap| heap.stats_of(tag))??)
    }

    /// As [`Heap::set_limit`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    fn set_limit(&self, tag: Tag, limit: Option<usize>) -> Result<(), Error> {
        // SAFETY: no block changes.
        unsafe { self.with(|heap| heap.set_limit(tag, limit)) }?
    }

    /// As [`Heap::set_name`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    fn set_name(&self, tag: Tag, name: &str) -> Result<(), Error> {
        // SAFETY: no block changes.
        unsafe { self.with(|heap| heap.set_name(tag, name)) }?
    }

    /// As [`Heap::trim`].
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`].
    fn trim(&self) -> Result<usize, Misuse> {
        // SAFETY: no block changes.
        unsafe { self.with(Heap::trim) }
    }
}

// SAFETY: the same heap as the value referred to.
unsafe impl<H: Share + ?Sized> Share for &H {
    type Source = H::Source;
    type Rule = H::Rule;
    type Placement = H::Placement;

    #[inline(always)]
    unsafe fn with<T>(
        &self,
        work: impl FnOnce(&mut Heap<Self::Source, Self::Rule, Self::Placement>) -> T,
    ) -> Result<T, Misuse> {
        // SAFETY: the caller's promise.
        unsafe { (**self).with(work) }
    }
}

/// A heap that several pools of one thread share.
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{Heap, LocalHeap, Reserve, Share, Tag};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let (one, two) = (&heap, &heap);
/// one.allocate(Tag::new(1), Layout::new::<u64>())?;
/// two.allocate(Tag::new(2), Layout::new::<u64>())?;
/// println!("{}", heap.look(|heap| heap.table().to_string())?);
/// # Ok::<(), tagheap::Error>(())
/// ```
#[derive(Debug)]
pub struct LocalHeap<S: Source, R: Rule = Split, P: Placement = Directory> {
    heap: RefCell<Heap<S, R, P>>,
}

impl<S: Source, R: Rule, P: Placement> LocalHeap<S, R, P> {
    /// Shares a heap.
    pub const fn new(heap: Heap<S, R, P>) -> Self {
        let heap = RefCell::new(heap);
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
}

// SAFETY: the cell lends its heap to one borrower, and only here; who replaces it holds the cell exclusively.
unsafe impl<S: Source, R: Rule, P: Placement> Share for LocalHeap<S, R, P> {
    type Source = S;
    type Rule = R;
    type Placement = P;

    #[inline(always)]
    unsafe fn with<T>(&self, work: impl FnOnce(&mut Heap<S, R, P>) -> T) -> Result<T, Misuse> {
        match self.heap.try_borrow_mut() {
            Ok(mut heap) => Ok(work(&mut heap)),
            Err(_) => Err(Misuse::Reentered),
        }
    }
}

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
