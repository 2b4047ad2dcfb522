//! The pieces of a stack in a row, drawn and checked.

use core::fmt;

use crate::pools::stack::{GRANULE, Stack};
use crate::sharing::share::Share;
use crate::words::strip::{Piece, Strip};

impl<H: Share> fmt::Display for Stack<H> {
    /// Its pieces by address, each with what its alignment took, and in brackets what is free above.
    /// O(bytes / 512 + pieces).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut strip = Strip::new(f, self.region.base());
        let (mut at, top) = (0, self.granule(self.top.get()));
        while at < top {
            let start = self.starts.next(at, top, true);
            let next = self.starts.next(start + 1, top, true);
            let end = if next < top {
                self.begins.last_upto(next).unwrap_or(next).max(at + 1)
            } else {
                top
            };
            strip.push(Piece::Used((end - at) * GRANULE))?;
            at = end;
        }
        let free = self.region.end() - self.top.get();
        if free > 0 {
            strip.push(Piece::Free(free))?;
        }
        strip.finish()
    }
}

impl<H: Share> Stack<H> {
    /// Goes down from the top, piece by piece; the address at which something is wrong, if so.
    pub(super) fn check_books(&self) -> Result<(), usize> {
        let (base, top) = (self.region.base(), self.top.get());
        let granules = self.region.bytes() / GRANULE;
        let live = self.meter.usage().live() as usize;
        let counted = self.begins.count(granules) == Some(live) && self.starts.count() == live;
        if !counted || top - base != self.meter.used() {
            return Err(base);
        }
        let mut end = self.granule(top);
        let mut begin = (live > 0).then(|| self.granule(self.begin.get()));
        for _ in 0..live {
            let start = self.starts.last_before(end);
            let first = end
                .checked_sub(1)
                .and_then(|last| self.begins.last_upto(last));
            if first != begin.or(first) || start.is_none() || start < first {
                return Err(self.address(end));
            }
            begin = None;
            end = first.unwrap_or(0);
        }
        if end > 0 {
            Err(self.address(end))
        } else {
            Ok(())
        }
    }
}
