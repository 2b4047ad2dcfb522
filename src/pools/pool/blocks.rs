//! What a pool asks its heap for, counts, and takes only where its bound allows it.
//!
//! # Safety
//!
//! What is asked of the heap is what the pool's caller promised; blocks of others under the pool's tag are refused.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::heap::Heap;
use crate::heap::owned::Owning;
use crate::pools::pool::Pool;
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse, Shortage};

impl<H: Share> Pool<H> {
    #[inline(never)]
    pub(super) fn take(&self, layout: Layout, most: usize) -> Result<NonNull<[u8]>, Error> {
        self.allow(layout, layout.size())?;
        self.take_allowed(layout, most)
    }

    /// As [`take`](Pool::take), without a call, where the bound is known to allow it.
    #[inline(always)]
    pub(super) fn take_allowed(&self, layout: Layout, most: usize) -> Result<NonNull<[u8]>, Error> {
        let first = self.counters.live() == 0;
        let account = &self.account;
        let owning = Owning {
            first,
            most,
            account,
        };
        // SAFETY: the heap stays; a new block is nobody's yet.
        let answer = unsafe {
            let tag = self.tag;
            self.heap.with(
                #[inline(always)]
                |heap| heap.allocate_owned(tag, layout, owning),
            )
        };
        self.counted(answer)
    }

    /// Whether the bound allows so many bytes more.
    #[inline]
    fn allow(&self, layout: Layout, more: usize) -> Result<(), Error> {
        let Some(cause) = self.lacks(more) else {
            return Ok(());
        };
        self.counters.fail();
        Err(self.refusal(layout, cause))
    }

    /// What is lacking for so many bytes more, if they are more than the bound allows.
    #[inline]
    fn lacks(&self, more: usize) -> Option<Shortage> {
        let (total, used) = (self.bound, self.held());
        (more > self.room()).then_some(Shortage::Full { total, used })
    }

    /// The heap's answer to a request; a refusal counts.
    #[inline]
    fn counted<T>(&self, answer: Result<Result<T, Error>, Misuse>) -> Result<T, Error> {
        let answer = answer.map_err(Error::from).flatten();
        answer.inspect_err(|_| self.counters.fail())
    }

    /// Resizes a block of this pool's by the heap's call for that; calls if that reaches the watermark.
    ///
    /// # Safety
    ///
    /// As for [`Kind::grow`].
    pub(super) unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let before = self.held();
        // SAFETY: the caller's promise.
        let block = unsafe { self.resize_block(ptr, old, new) }?;
        self.count_piece(old.size(), new.size());
        self.ring(before);
        Ok(block)
    }

    /// # Safety
    ///
    /// As for [`Kind::grow`].
    pub(super) unsafe fn resize_block(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let more = new.size().saturating_sub(old.size());
        // Beyond the bound the heap only looks at the block: a wrong one is named whatever room there is.
        let wanted = if self.lacks(more).is_some() { old } else { new };
        let claimed = self.tag;
        let resize = |heap: &mut Heap<H::Source, H::Rule, H::Placement>| {
            let tag = heap.tag_of(ptr)?;
            let address = ptr.addr().get();
            if tag != claimed {
                return Err(Misuse::TagMismatch {
                    address,
                    claimed,
                    tag,
                }
                .into());
            }
            if wanted.size() >= old.size() {
                // SAFETY: the caller's promise.
                unsafe { heap.grow(ptr, old, wanted) }
            } else {
                // SAFETY: the caller's promise.
                unsafe { heap.shrink(ptr, old, wanted) }
            }
        };
        // SAFETY: the heap, and all but the caller's block, stay in place.
        let answer = unsafe { self.heap.with(resize) };
        let block = match answer {
            // It was about a wrong pointer, not about memory.
            Ok(Err(Error::Misuse(misuse))) => return Err(misuse.into()),
            answer => self.counted(answer)?,
        };
        self.allow(new, more)?;
        self.counters.resize(old.size(), new.size());
        Ok(block)
    }

    /// # Safety
    ///
    /// As for [`Kind::deallocate`].
    pub(super) unsafe fn put(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        let tag = self.tag;
        let give_back = |heap: &mut Heap<_, _, _>| {
            // SAFETY: the caller's promise.
            unsafe { heap.deallocate_in(tag, ptr, layout) }
        };
        // SAFETY: the caller's own block.
        unsafe { self.heap.with(give_back) }?
    }
}
