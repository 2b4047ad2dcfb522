//! The directory: first fit without the scan.
//!
//! The row is cut into segments so small that at most one free block starts in each: 64 bytes where
//! free neighbours coalesce, 32 where they do not. A segment's *leaf* is that block: its size in units,
//! and the unit of the segment in which it starts. Above the leaves stands a tree of maxima, by which the
//! first that is large enough is found.
//!
//! A leaf's number has 15 bits. A block too large for it has the largest number, and its header tells
//! the rest. A flag beside each leaf says whether a free block ends in its segment; so a block knows whether
//! the one in front of it may be free, and the last leaf in front of it tells. All that a deallocation asks
//! stands in one or two cache lines.

use crate::ground::table::IndexMemory;
use crate::policy::maxima::Maxima;
use crate::policy::placement::{Placement, takes};
use crate::policy::scan::Scan;
use crate::words::error::{Corruption, Shortage};
use crate::words::extent::Extent;
use crate::words::size::{Fit, UNIT};
use crate::words::walk::{Block, Image};

/// Leaves at the start: room for a row of 32 KiB, or 16 KiB where segments are smaller.
const FIRST_LEAVES: usize = 512;

/// Bits of a leaf.
const LEAF_BITS: u32 = 15;

/// Finds free blocks in a tree of maxima: O(log32 of the row's length) for each answer and each change.
///
/// Takes 3 % of the row's length (6 % under [`Whole`](crate::Whole)), in memory lent by the source at first,
/// then in mappings of its own; only what belongs to memory in use is ever touched. In a [`Buffer`](crate::Buffer)
/// too small for it, it scans like [`Scan`].
#[derive(Debug)]
pub struct Directory {
    base: usize,
    /// Log2 of a segment's bytes.
    shift: u32,
    /// Bits of a leaf that say where in its segment the block starts.
    offset_bits: u32,
    /// The largest size in units that a leaf can tell.
    most_units: usize,
    leaves: Maxima,
    /// Address up to which the leaves reach.
    reach: usize,
    count: usize,
    /// Whether there is no memory for tables at all.
    scans: bool,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// A directory of no row yet.
    pub const fn new() -> Self {
        Self {
            base: 0,
            shift: 0,
            offset_bits: 0,
            most_units: 0,
            leaves: Maxima::empty(),
            reach: 0,
            count: 0,
            scans: false,
        }
    }

    /// The number of a block of `size` bytes that starts `offset` bytes behind the base.
    #[inline]
    fn leaf(&self, offset: usize, size: usize) -> u16 {
        let units = (size / UNIT).min(self.most_units);
        let in_segment = (offset & ((1 << self.shift) - 1)) / UNIT;
        ((units << self.offset_bits) | in_segment) as u16
    }

    /// The block in a leaf: its address, and its bytes unless only its header knows them.
    #[inline]
    fn block(&self, index: usize) -> (usize, Option<usize>) {
        let leaf = usize::from(self.leaves.get(index));
        let in_segment = leaf & ((1 << self.offset_bits) - 1);
        let units = leaf >> self.offset_bits;
        let at = self.base + (index << self.shift) + in_segment * UNIT;
        (at, (units < self.most_units).then_some(units * UNIT))
    }

    /// Says whether a free block ends at address `end`.
    #[inline]
    fn mark_end(&mut self, end: usize, is_end: bool) {
        self.leaves.put_flag(self.index(end - UNIT), is_end);
    }

    /// Whether a free block ends in the segment in front of address `end`.
    #[inline]
    fn may_end(&self, end: usize) -> bool {
        self.leaves.flag(self.index(end - UNIT))
    }

    /// The index of the leaf of the block at an address.
    #[inline]
    fn index(&self, at: usize) -> usize {
        (at - self.base) >> self.shift
    }

    /// Puts a block into its leaf.
    #[inline]
    fn put(&mut self, block: Extent) {
        let leaf = self.leaf(block.at - self.base, block.size);
        self.leaves.set(self.index(block.at), leaf);
    }

    /// The block in a leaf, whose header tells the size that the leaf cannot.
    #[inline]
    fn extent(&self, row: &impl Image, index: usize) -> Result<Extent, Corruption> {
        match self.block(index) {
            (at, Some(size)) => Ok(Extent { at, size }),
            (at, None) => {
                let header = row.header(at).ok_or(Corruption::Index { at })?;
                header.verify(at, row.end(), row.key())?;
                Ok(Extent {
                    at,
                    size: header.size as usize,
                })
            }
        }
    }
}

impl Placement for Directory {
    fn begin(&mut self, base: usize, splits: bool) {
        self.base = base;
        self.reach = base;
        self.shift = if splits { 6 } else { 5 };
        self.offset_bits = self.shift - UNIT.ilog2();
        self.most_units = (1 << (LEAF_BITS - self.offset_bits)) - 1;
    }

    #[inline]
    fn reserve(&mut self, end: usize, memory: &mut IndexMemory) -> Result<(), Shortage> {
        if end < self.reach {
            return Ok(());
        }
        let segments = ((end - self.base) >> self.shift) + 1;
        match self.leaves.grow(segments.max(FIRST_LEAVES), memory) {
            Ok(()) => {
                self.reach = self.base + (self.leaves.length() << self.shift);
                Ok(())
            }
            Err(_) if memory.is_bounded() && self.reach == self.base => {
                self.scans = true;
                self.reach = usize::MAX;
                Ok(())
            }
            refused => refused,
        }
    }

    #[inline]
    fn find(&self, row: &impl Image, fit: Fit, splits: bool) -> Result<Option<Extent>, Corruption> {
        if self.scans {
            return Scan.find(row, fit, splits);
        }
        let key = self.leaf(0, fit.size());
        let mut from = 0;
        while let Some(index) = self.leaves.first(from, key) {
            let block = self.extent(row, index)?;
            if takes(block, fit, splits) {
                return Ok(Some(block));
            }
            from = index + 1;
        }
        Ok(None)
    }

    #[inline]
    fn before(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        if self.scans {
            return Scan.before(row, at);
        }
        if !self.may_end(at) {
            return Ok(None);
        }
        // A block that ends at `at` starts below it, so its leaf is the last up to the unit in front.
        let index = self.leaves.last(self.index(at - UNIT));
        let block = self.extent(row, index.ok_or(Corruption::Index { at })?)?;
        Ok((block.end() == at).then_some(block))
    }

    #[inline]
    fn behind(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        if self.scans {
            return Scan.behind(row, at);
        }
        match self.block(self.index(at)) {
            (start, size) if start == at && size != Some(0) => {
                self.extent(row, self.index(at)).map(Some)
            }
            _ => Ok(None),
        }
    }

    #[inline]
    fn expect(&self, at: usize) {
        self.leaves.expect(at.wrapping_sub(self.base) >> self.shift);
    }

    #[inline]
    fn insert(&mut self, block: Extent) {
        if self.scans {
            return;
        }
        self.put(block);
        self.mark_end(block.end(), true);
        self.count += 1;
    }

    #[inline]
    fn remove(&mut self, block: Extent) {
        if self.scans {
            return;
        }
        self.leaves.set(self.index(block.at), 0);
        self.mark_end(block.end(), false);
        self.count -= 1;
    }

    #[inline]
    fn replace(&mut self, old: Extent, new: Extent) {
        if self.scans {
            return;
        }
        let (from, to) = (self.index(old.at), self.index(new.at));
        if from == to {
            self.put(new);
        } else {
            let leaf = self.leaf(new.at - self.base, new.size);
            self.leaves.exchange(from, to, leaf);
        }
        if old.end() != new.end() {
            self.mark_end(old.end(), false);
            self.mark_end(new.end(), true);
        }
    }

    fn agrees(&self, block: &Block) -> bool {
        if self.scans {
            return true;
        }
        let (at, size) = self.block(self.index(block.at));
        let is_there = size != Some(0) && at == block.at;
        let ends = self.may_end(block.end());
        if block.is_free() {
            return is_there && ends && size.is_none_or(|size| size == block.size);
        }
        // A flag at a used block's end tells of a free block in front of it that ends in the same segment.
        let segment = self.index(block.end() - UNIT);
        let owner = self.leaves.last(segment).map(|index| self.block(index));
        let owned = owner.is_some_and(|(at, size)| {
            size.is_none_or(|size| self.index(at + size - UNIT) == segment)
        });
        !is_there && (!ends || owned)
    }

    fn count(&self) -> Option<usize> {
        (!self.scans).then_some(self.count)
    }
}
