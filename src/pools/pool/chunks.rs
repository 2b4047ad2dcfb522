//! Blocks that a kind takes from its pool to divide, or for one large request.
//!
//! # Safety
//!
//! A chunk is a block of the pool's until the tag is released or the chunk put back.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::pools::chunk::Chunk;
use crate::pools::pool::Pool;
use crate::sharing::share::Share;
use crate::words::error::Error;

impl<H: Share> Pool<H> {
    /// A block for a kind to divide. Not counted by the watermark.
    pub(crate) fn take_chunk(&self, layout: Layout) -> Result<Chunk, Error> {
        self.take_chunk_as_before(layout, 0)
    }

    /// As [`take_chunk`](Pool::take_chunk), larger if its tag ever held more: a block of so many bytes, header and
    /// all, but of `most` at most, which the pool's bound must allow.
    pub(crate) fn take_chunk_as_before(&self, layout: Layout, most: usize) -> Result<Chunk, Error> {
        let block = self.take(layout, most)?;
        self.counters.take(block.len());
        // SAFETY: the block is this pool's until the tag is released or the chunk put back.
        Ok(unsafe { Chunk::new(block) })
    }

    /// As [`take_chunk_as_before`](Pool::take_chunk_as_before), without a call, where the pool has
    /// [`room`](Pool::room) for both: for a kind that takes one chunk, serves one request from it, and goes.
    #[inline(always)]
    pub(crate) fn take_chunk_at_once(&self, layout: Layout, most: usize) -> Result<Chunk, Error> {
        let block = self.take_allowed(layout, most)?;
        self.counters.take(block.len());
        // SAFETY: as above.
        Ok(unsafe { Chunk::new(block) })
    }

    /// As [`take_chunk`](Pool::take_chunk), for the sake of a request: a refusal names that.
    pub(crate) fn take_chunk_for(&self, request: Layout, layout: Layout) -> Result<Chunk, Error> {
        self.take_chunk(layout).map_err(|error| match error {
            Error::OutOfMemory(lacking) => self.refusal(request, lacking.cause),
            other => other,
        })
    }

    /// Gives a block back that a kind divided.
    ///
    /// # Safety
    ///
    /// It came from [`take_chunk`](Pool::take_chunk) with this layout, and nobody uses it any more.
    pub(crate) unsafe fn put_chunk(&self, chunk: Chunk, layout: Layout) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.put(chunk.start(), layout) }?;
        self.counters.give(layout.size());
        Ok(())
    }

    /// Resizes a block that a kind took for one request. Not counted by the watermark.
    ///
    /// # Safety
    ///
    /// As for [`Kind::grow`](crate::Kind::grow).
    pub(crate) unsafe fn resize_chunk(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<Chunk, Error> {
        // SAFETY: the caller's promise.
        let block = unsafe { self.resize_block(ptr, old, new) }?;
        // SAFETY: the block is this pool's until the tag is released or the chunk put back.
        Ok(unsafe { Chunk::new(block) })
    }
}
