//! Numbers about a heap: blocks and bytes, in all and by tag.

use crate::words::size::HEADER;
use crate::words::walk::Block;

/// Blocks and their bytes, headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many blocks.
    pub blocks: usize,
    /// Their bytes, headers included.
    pub bytes: usize,
}

impl Amount {
    /// Their bytes of payload.
    pub const fn payload(self) -> usize {
        self.bytes - self.blocks * HEADER
    }

    pub(crate) fn add(&mut self, block: &Block) {
        self.blocks += 1;
        self.bytes += block.size;
    }
}

/// Numbers about a whole heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Blocks under tags of the heap's users.
    pub used: Amount,
    /// Free blocks.
    pub free: Amount,
    /// Blocks of the heap's own: the root block, and fences around memory of somebody else.
    pub own: Amount,
    /// Bytes of the largest free block, header included.
    pub largest_free: usize,
    /// Bytes from the row's base to its end: the sum of the three amounts.
    pub row: usize,
    /// Bytes from the row's base to the end of what the source has granted.
    pub granted: usize,
}

impl Stats {
    pub(crate) fn add(&mut self, block: &Block) {
        match block.tag() {
            None => {
                self.free.add(block);
                self.largest_free = self.largest_free.max(block.size);
            }
            Some(tag) if tag.is_reserved() => self.own.add(block),
            Some(_) => self.used.add(block),
        }
    }
}
