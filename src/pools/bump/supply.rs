//! Where an arena's chunks come from and go to.
//!
//! # Safety
//!
//! A chunk goes back to the heap only when nobody uses a piece of it.
#![allow(unsafe_code)]

use core::alloc::Layout;

use crate::pools::bump::Bump;
use crate::pools::chunk::{Chunk, NOTE};
use crate::pools::kind;
use crate::sharing::share::Share;
use crate::words::error::{Error, Shortage};
use crate::words::size::{HEADER, UNIT, align_up};

/// Bytes of the first chunk's block, header and all.
const FIRST: usize = 1024;

/// Bytes up to which chunks double.
const LARGEST: usize = 64 << 20;

/// How a chunk lies in memory, whatever pieces it holds.
fn layout_of(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, UNIT).ok()
}

impl<H: Share> Bump<H> {
    /// Takes another chunk, twice as large as the last if the pool and the heap have that, and answers where
    /// the request fits into it.
    pub(super) fn lengthen(&self, asked: Layout) -> Result<(Chunk, usize), Error> {
        let layout = kind::at_least_one(asked);
        let lacking = |cause| self.failed(asked, cause);
        let pad = layout.align().saturating_sub(UNIT);
        let needed = layout.size().checked_add(pad);
        let needed = needed.and_then(|bytes| align_up(bytes.checked_add(NOTE)?, UNIT));
        let needed = needed.and_then(layout_of).ok_or(Shortage::TooLarge);
        let needed = needed.map_err(lacking)?;

        let last = self
            .chunks
            .newest()
            .map_or(FIRST / 2, |last| last.bytes() + HEADER);
        let ample = (last * 2).min(LARGEST) - HEADER;
        let ample = ample.min(self.pool.room()) & !(UNIT - 1);
        let ample = layout_of(ample.max(needed.size())).unwrap_or(needed);

        let taken = match self.pool.take_chunk_for(asked, ample) {
            Err(Error::OutOfMemory(_)) if ample != needed => {
                self.pool.take_chunk_for(asked, needed)
            }
            other => other,
        };
        let chunk = taken.inspect_err(|_| self.count_failure())?;
        self.older.set(self.used());
        self.chunks.push(chunk);
        self.move_to(chunk.base() + NOTE);
        let placed = self.fits(chunk, self.cursor.position(), layout);
        placed.ok_or(Shortage::TooLarge).map_err(lacking)
    }

    /// Gives the newest chunk back to the heap, which may be busy: it stays the newest then.
    pub(super) fn drop_newest(&self) -> Result<(), Error> {
        let popped = self.chunks.pop().map_err(|at| self.pool.damage(at))?;
        if let Some(chunk) = popped
            && let Some(layout) = layout_of(chunk.bytes())
        {
            // SAFETY: whoever calls vouches that nobody uses a piece of the newest chunk.
            let given = unsafe { self.pool.put_chunk(chunk, layout) };
            return given.inspect_err(|_| self.chunks.put_back(chunk));
        }
        Ok(())
    }

    /// Gives all chunks but this one, the newest, back to the heap. Where there are no others, no note changes.
    #[inline]
    pub(super) fn keep_only(&mut self, newest: Chunk) -> Result<(), Error> {
        if self.chunks.is_single().map_err(|at| self.pool.damage(at))? {
            return Ok(());
        }
        let popped = self.chunks.pop().map_err(|at| self.pool.damage(at))?;
        debug_assert_eq!(popped, Some(newest), "the newest chunk goes first");
        let mut given = Ok(());
        while self.chunks.newest().is_some() && given.is_ok() {
            given = self.drop_newest();
        }
        if given.is_ok() {
            // No mark of before leads to it any more.
            self.chunks.push(newest);
        } else {
            self.chunks.put_back(newest);
        }
        given
    }
}
