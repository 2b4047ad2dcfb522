//! A heap that several pools hold: each use has it alone for as long as it takes.
//!
//! # Safety
//!
//! What pools hand out lives in the heap they share, so nobody may replace that heap, or release what is a
//! pool's, while they do. That is why exclusive access to a shared heap is unsafe to ask for, and why the
//! heap is given whole only to whoever holds the sharing value exclusively, which no pool then borrows.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::error::{Error, Misuse};
use crate::words::stats::{Amount, Mark, TagStats};
use crate::words::tag::Tag;

/// A heap that several hold, such as pools: `&LocalHeap` in one thread, `&SharedHeap` in many; with feature `alloc` also
/// `Rc<LocalHeap>` and `Arc<SharedHeap>`, so that it goes with the last of them.
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

    /// As [`Heap::allocate_zeroed`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    fn allocate_zeroed(&self, tag: Tag, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: a new block is nobody's yet.
        unsafe { self.with(|heap| heap.allocate_zeroed(tag, layout)) }?
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

    /// As [`Heap::deallocate_in`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Share::deallocate).
    unsafe fn deallocate_in(
        &self,
        claimed: Tag,
        ptr: NonNull<u8>,
        layout: Layout,
    ) -> Result<(), Error> {
        let give_back = |heap: &mut Heap<_, _, _>| {
            // SAFETY: the caller's promise.
            unsafe { heap.deallocate_in(claimed, ptr, layout) }
        };
        // SAFETY: the caller's own block.
        unsafe { self.with(give_back) }?
    }

    /// As [`Heap::grow`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// As there, and the block is not a pool's.
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise.
        let grow = |heap: &mut Heap<_, _, _>| unsafe { heap.grow(ptr, old, new) };
        // SAFETY: the caller's own block.
        unsafe { self.with(grow) }?
    }

    /// As [`Heap::grow_zeroed`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// As for [`grow`](Share::grow).
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise.
        let grow = |heap: &mut Heap<_, _, _>| unsafe { heap.grow_zeroed(ptr, old, new) };
        // SAFETY: the caller's own block.
        unsafe { self.with(grow) }?
    }

    /// As [`Heap::shrink`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// As for [`grow`](Share::grow).
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise.
        let shrink = |heap: &mut Heap<_, _, _>| unsafe { heap.shrink(ptr, old, new) };
        // SAFETY: the caller's own block.
        unsafe { self.with(shrink) }?
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

    /// As [`Heap::release_where`]. The heap is busy while it asks.
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// As for [`release`](Share::release), of each of the picked tags.
    unsafe fn release_where(&self, pick: impl FnMut(Tag) -> bool) -> Result<Amount, Error> {
        let release = |heap: &mut Heap<_, _, _>| {
            // SAFETY: the caller's promise.
            unsafe { heap.release_where(pick) }
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

    /// As [`Heap::reset_peak`].
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`].
    fn reset_peak(&self, tag: Tag) -> Result<(), Misuse> {
        // SAFETY: no block changes.
        unsafe { self.with(|heap| heap.reset_peak(tag)) }
    }

    /// As [`Heap::forget`].
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`].
    fn forget(&self, tag: Tag) -> Result<(), Misuse> {
        // SAFETY: no block changes.
        unsafe { self.with(|heap| heap.forget(tag)) }
    }

    /// As [`Heap::mark`]. What other threads allocate from then on lies behind it, too.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`].
    fn mark(&self) -> Result<Mark, Misuse> {
        // SAFETY: no block changes.
        unsafe { self.with(Heap::mark) }
    }

    /// As [`Heap::release_since`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// As there, and no pool owns the tag.
    unsafe fn release_since(&self, tag: Tag, mark: Mark) -> Result<Amount, Error> {
        let release = |heap: &mut Heap<_, _, _>| {
            // SAFETY: the caller's promise.
            unsafe { heap.release_since(tag, mark) }
        };
        // SAFETY: the caller's promise.
        unsafe { self.with(release) }?
    }

    /// As [`Heap::retag`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// No pool owns either tag: it would free, as its own, what others hold, or not what it holds.
    unsafe fn retag(&self, ptr: NonNull<u8>, tag: Tag) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.with(|heap| heap.retag(ptr, tag)) }?
    }

    /// As [`Heap::merge`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    ///
    /// # Safety
    ///
    /// As for [`retag`](Share::retag).
    unsafe fn merge(&self, from: Tag, to: Tag) -> Result<Amount, Error> {
        // SAFETY: the caller's promise.
        unsafe { self.with(|heap| heap.merge(from, to)) }?
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

    /// As [`Heap::purge`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Reentered`].
    fn purge(&self) -> Result<usize, Error> {
        // SAFETY: no block changes.
        Ok(unsafe { self.with(Heap::purge) }??)
    }
}

macro_rules! leads_to_a_share {
    ($pointer:ty) => {
        // SAFETY: the same heap as the value pointed to, which stays where it is, and is neither replaced nor dropped, as long
        // as such a pointer is there: a reference borrows it; of what is counted, nobody gets it exclusively, or out, while
        // there is another pointer to it, and a pool has one.
        unsafe impl<H: Share + ?Sized> Share for $pointer {
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
    };
}

leads_to_a_share!(&H);
#[cfg(feature = "alloc")]
leads_to_a_share!(alloc::rc::Rc<H>);
#[cfg(feature = "alloc")]
leads_to_a_share!(alloc::sync::Arc<H>);
