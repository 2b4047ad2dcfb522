//! The blocks of a buddy system in a row, and whether its books agree on them.

use core::cell::Cell;

use crate::pools::buddy::Buddy;
use crate::sharing::share::Share;

/// A block of the region's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) order: u32,
    pub(super) is_free: bool,
}

impl<H: Share> Buddy<H> {
    /// All blocks by address, each with how far into the region it starts; ends with the address at which
    /// none does.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Result<(usize, Block), usize>> + '_ {
        let mut at = 0;
        core::iter::from_fn(move || {
            if at >= self.region.bytes() {
                return None;
            }
            let start = at;
            let block = self.block_at(start);
            at = block.map_or(usize::MAX, |block| start + self.bytes(block.order));
            let block = block.map(|block| (start, block));
            Some(block.ok_or(self.region.base() + start))
        })
    }

    /// The one block that starts so far into the region, if exactly one does.
    fn block_at(&self, start: usize) -> Option<Block> {
        let note = self.note(start).map_or(0, Cell::get);
        let used = u32::from(note).checked_sub(1).map(|order| Block {
            order,
            is_free: false,
        });
        // Blocks start at multiples of their size.
        let most = (start.trailing_zeros() - self.shift.min(start.trailing_zeros())).min(self.top);
        let free = (0..=most).filter(|order| self.free.is_free(start, *order));
        let free = free.map(|order| Block {
            order,
            is_free: true,
        });
        let mut blocks = used.into_iter().chain(free);
        let block = blocks.next().filter(|block| block.order <= most);
        block.filter(|_| blocks.next().is_none())
    }

    /// The address at which something is wrong, if so.
    pub(super) fn check_books(&self) -> Result<(), usize> {
        let base = self.region.base();
        let (mut used, mut live, mut free) = (0, 0, 0);
        let mut before = None;
        for found in self.blocks() {
            let (start, block) = found?;
            let bytes = self.bytes(block.order);
            if block.is_free {
                // Of two halves, at most one is free.
                if before == Some((start ^ bytes, block)) {
                    return Err(base + start);
                }
                free += 1;
            } else {
                used += bytes;
                live += 1;
            }
            before = Some((start, block));
        }
        // Nothing is noted inside blocks either.
        let notes = self.used.cells().iter().filter(|note| note.get() != 0);
        let counted = notes.count() as u64 == live && self.free.count() == free;
        let metered = used == self.meter.used() && live == self.meter.usage().live();
        if !counted || !metered || !self.free.is_sound() {
            return Err(base);
        }
        Ok(())
    }
}
