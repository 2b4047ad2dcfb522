//! Moments of an arena, and the way back to them.
//!
//! # Safety
//!
//! The cursor goes back under an exclusive borrow, or when the caller vouches that nobody uses what lies behind.
#![allow(unsafe_code)]

use crate::pools::bump::Bump;
use crate::pools::chunk::Chunk;
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse};

/// A moment in the life of a [`Bump`], see [`Bump::mark`].
#[derive(Clone, Copy, Debug)]
pub struct BumpMark {
    /// The newest chunk's address, or 0.
    chunk: usize,
    cursor: usize,
    older: usize,
    allocations: u64,
    deallocations: u64,
}

impl<H: Share> Bump<H> {
    /// This moment, to [`rewind`](Bump::rewind) to. O(1).
    #[must_use]
    pub fn mark(&self) -> BumpMark {
        BumpMark {
            chunk: self.chunks.newest().map_or(0, Chunk::base),
            cursor: self.cursor.position(),
            older: self.older.get(),
            allocations: self.cursor.allocations(),
            deallocations: self.deallocations.get(),
        }
    }

    /// Takes everything back that was handed out since a mark. Chunks taken since go back to the heap. O(chunks).
    ///
    /// # Errors
    ///
    /// [`Misuse::StaleMark`] if what was there then has been taken back already, the mark is another
    /// arena's, or pooling is switched off; [`Misuse::Reentered`] if a chunk is to go from inside a lock of the heap's;
    /// [`Corruption`](crate::Corruption) if a chunk's note is damaged.
    pub fn rewind(&mut self, mark: BumpMark) -> Result<(), Error> {
        // SAFETY: borrowed exclusively, so nobody borrows what was handed out.
        unsafe { self.rewind_shared(mark) }
    }

    /// As [`rewind`](Bump::rewind), while what was handed out before the mark is still in use.
    ///
    /// # Errors
    ///
    /// As for [`rewind`](Bump::rewind).
    ///
    /// # Safety
    ///
    /// Nobody uses what was handed out since the mark, nor what a piece from before it was made larger by in place.
    pub unsafe fn rewind_shared(&self, mark: BumpMark) -> Result<(), Error> {
        let stale = mark.allocations > self.cursor.allocations() || !self.reaches(&mark)?;
        if self.pool.passes() || stale {
            return Err(Misuse::StaleMark.into());
        }
        self.note_peak();
        let newest = self.chunks.newest();
        if let Err(error) = self.drop_behind(mark.chunk) {
            let left = self.chunks.newest();
            if left != newest {
                // What is left has no room: the chunk in which the cursor was is gone.
                self.older.set(mark.older);
                self.move_to(left.map_or(0, Chunk::end));
            }
            return Err(error);
        }
        self.older.set(mark.older);
        self.move_to(mark.cursor);
        // Which pieces came back since, ones from before the mark or later ones, nobody knows.
        let since = self.cursor.allocations() - mark.allocations;
        let deallocations = mark.deallocations + since;
        self.deallocations
            .set(deallocations.max(self.deallocations.get()));
        Ok(())
    }

    /// Gives the chunks back that were taken after this one, or all for 0; the newest first.
    fn drop_behind(&self, base: usize) -> Result<(), Error> {
        while let Some(chunk) = self.chunks.newest()
            && chunk.base() != base
        {
            self.drop_newest()?;
        }
        Ok(())
    }

    /// Whether a mark's chunk is there, and the mark at or before the cursor or that chunk's end.
    fn reaches(&self, mark: &BumpMark) -> Result<bool, Error> {
        let newest = self.chunks.newest().map_or(0, Chunk::base);
        if mark.chunk == newest {
            return Ok(mark.cursor <= self.cursor.position());
        }
        let found = self.chunks.holding(mark.chunk);
        let found = found.map_err(|at| self.pool.damage(at))?;
        let reached = |chunk: Chunk| chunk.base() == mark.chunk && mark.cursor <= chunk.end();
        Ok(mark.chunk == 0 || found.is_some_and(reached))
    }
}
