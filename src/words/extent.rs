//! Where a block is.

use crate::words::walk::Block;

/// Where a free block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Address of its header.
    pub at: usize,
    /// Its bytes, header included.
    pub size: usize,
}

impl Extent {
    /// Address behind it.
    #[inline]
    pub const fn end(self) -> usize {
        self.at + self.size
    }

    /// The extent with so many bytes more, in front of it and behind it.
    #[inline]
    pub(crate) const fn with(self, before: usize, behind: usize) -> Self {
        Self {
            at: self.at - before,
            size: before + self.size + behind,
        }
    }
}

impl From<Block> for Extent {
    fn from(block: Block) -> Self {
        Self {
            at: block.at,
            size: block.size,
        }
    }
}
