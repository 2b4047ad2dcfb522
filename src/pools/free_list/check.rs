//! The pieces of a free list in a row, drawn and checked.

use core::fmt;

use crate::pools::free_list::{FreeList, GRANULE};
use crate::sharing::share::Share;
use crate::words::strip::{Piece, Strip};

impl<H: Share> fmt::Display for FreeList<H> {
    /// Its pieces by address, what is free between and behind them in brackets. O(bytes / 1024 + pieces).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut strip = Strip::new(f, self.region.base());
        let (mut at, granules) = (0, self.granules());
        while at < granules {
            let start = self.used.next(at, granules, true);
            if start > at {
                strip.push(Piece::Free((start - at) * GRANULE))?;
            }
            let end = self.used.next(start, granules, false);
            let end = self.starts.next(start + 1, end, true);
            if end > start {
                strip.push(Piece::Used((end - start) * GRANULE))?;
            }
            at = end.max(start);
        }
        strip.finish()
    }
}

impl<H: Share> FreeList<H> {
    /// Goes from piece to piece; the address at which something is wrong, if so.
    pub(super) fn check_books(&self) -> Result<(), usize> {
        let (granules, high) = (self.granules(), self.high.get());
        let live = self.meter.usage().live() as usize;
        let counted = self.used.count() * GRANULE == self.meter.used()
            && self.starts.count() == live
            && self.used.next(0, self.low.get(), false) == self.low.get()
            && high == self.used.last_before(granules).map_or(0, |last| last + 1);
        if !counted {
            return Err(self.region.base());
        }
        // Every run of granules in use starts with a piece, and every piece is in use.
        let mut at = 0;
        while at < granules {
            let run = self.used.next(at, granules, true);
            let start = self.starts.next(at, granules, true);
            if run != start {
                return Err(self.address(run.min(start)));
            }
            let end = self.used.next(run, granules, false);
            at = end;
        }
        Ok(())
    }
}
