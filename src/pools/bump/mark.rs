//! Moments of an arena, and the way back to them.
//!
//! # Safety
//!
//! The cursor goes back under an exclusive borrow, or when the caller vouches that nobody uses what lies behind.
#![allow(unsafe_code)]

use crate::pools::bump::Bump;
use crate::pools::chunk::{Chunk, NOTE};
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse};

/// A moment in the life of a [`Bump`], see [`Bump::mark`].
#[derive(Clone, Copy, Debug)]
pub struct BumpMark {
    /// The newest chunk's number, or 0; [`NONE`] if its note is damaged.
    chunk: u64,
    /// Where the cursor was; without a chunk, the [`name`](crate::pools::chunk::Chunks::name) of those that come.
    cursor: usize,
    older: usize,
    allocations: u64,
    deallocations: u64,
}

/// No chunk has this number.
const NONE: u64 = u64::MAX;

impl<H: Share> Bump<H> {
    /// This moment, to [`rewind`](Bump::rewind) to. O(1).
    #[must_use]
    pub fn mark(&self) -> BumpMark {
        let number = |chunk| self.chunks.number(chunk).unwrap_or(NONE);
        let newest = self.chunks.newest();
        BumpMark {
            chunk: newest.map_or(0, number),
            cursor: newest.map_or_else(|| self.chunks.name(), |_| self.cursor.position()),
            older: self.older.get(),
            allocations: self.cursor.allocations(),
            deallocations: self.deallocations.get(),
        }
    }

    /// Takes everything back that was handed out since a mark. Chunks taken since go back to the heap. O(chunks).
    ///
    /// # Errors
    ///
    /// [`Misuse::StaleMark`] if what was there then has been taken back already, unless as much came to its place in
    /// the same chunk since, if the mark is another arena's that is still there, or if pooling is switched off;
    /// [`Misuse::Reentered`] if a chunk is to go from inside a lock of the heap's;
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
        let base = match self.base_of(&mark)? {
            Some(base) if !self.pool.passes() => base,
            _ => return Err(Misuse::StaleMark.into()),
        };
        self.note_peak();
        let newest = self.chunks.newest();
        if let Err(error) = self.drop_behind(base) {
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

    /// Where a mark's chunk starts, or 0 where there was none; `None` unless it is there, and the mark in it and at or
    /// before the cursor.
    fn base_of(&self, mark: &BumpMark) -> Result<Option<usize>, Error> {
        if mark.allocations > self.cursor.allocations() {
            return Ok(None);
        }
        if mark.chunk == 0 {
            return Ok((mark.cursor == self.chunks.name()).then_some(0));
        }
        let found = self.chunks.numbered(mark.chunk);
        let Some(chunk) = found.map_err(|at| self.pool.damage(at))? else {
            return Ok(None);
        };
        let is_newest = self.chunks.newest() == Some(chunk);
        let end = if is_newest {
            self.cursor.position()
        } else {
            chunk.end()
        };
        let places = chunk.base() + NOTE..=end;
        Ok(places.contains(&mark.cursor).then_some(chunk.base()))
    }
}
