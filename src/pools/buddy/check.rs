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
    /// All blocks by address; ends with the address at which none starts.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Result<Block, usize>> + '_ {
        let smallest = self.used.cells().len();
        let mut index = 0;
        core::iter::from_fn(move || {
            if index >= smallest {
                return None;
            }
            let Some(block) = self.block_at(index) else {
                let at = self.region.base() + (index << self.shift);
                index = smallest;
                return Some(Err(at));
            };
            index += 1 << block.order;
            Some(Ok(block))
        })
    }

    /// The one block that starts with a smallest block, if exactly one does.
    fn block_at(&self, index: usize) -> Option<Block> {
        let code = self.used.at(index).map_or(0, Cell::get);
        let used = u32::from(code).checked_sub(1);
        let used = used.map(|order| Block {
            order,
            is_free: false,
        });
        // Blocks start at multiples of their size.
        let most = self.top.min(index.trailing_zeros());
        let is_free = |order: &u32| self.free.is_free(self.node(index, *order));
        let free = (0..=most).filter(is_free);
        let free = free.map(|order| Block {
            order,
            is_free: true,
        });
        let mut blocks = used.into_iter().chain(free);
        let block = blocks.next().filter(|block| block.order <= most);
        if blocks.next().is_some() { None } else { block }
    }

    /// The address at which something is wrong, if so.
    pub(super) fn check_books(&self) -> Result<(), usize> {
        let base = self.region.base();
        let (mut index, mut used, mut live, mut free) = (0_usize, 0, 0, 0);
        let mut before: Option<usize> = None;
        for block in self.blocks() {
            let Block { order, is_free } = block?;
            let node = self.node(index, order);
            // Of two halves, at most one is free.
            if is_free && before == Some(node ^ 1) {
                return Err(base + (index << self.shift));
            }
            before = is_free.then_some(node);
            free += usize::from(is_free);
            if !is_free {
                used += self.bytes(order);
                live += 1;
            }
            index += 1 << order;
        }
        // Nothing is noted inside blocks either.
        let codes = self.used.cells().iter().filter(|code| code.get() != 0);
        let flags = self.free.count();
        let counted = codes.count() as u64 == live && flags == free;
        let metered = used == self.meter.used() && live == self.meter.usage().live();
        if !counted || !metered || !self.free.is_sound() {
            return Err(base);
        }
        Ok(())
    }
}
