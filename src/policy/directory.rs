//! The directory: first fit without the scan.
//!
//! The row is cut into segments so small that at most one free block starts in each: 64 bytes where
//! free neighbours coalesce, 32 where they do not. A segment's *leaf* is that block: its size in units,
//! and the unit of the segment in which it starts. Above the leaves stands a tree of maxima, by which the
//! first that is large enough is found.
//!
//! Where free neighbours coalesce, the segment in which a free block ends has a *mark* in its leaf, unless the
//! block starts there too: the same number for the unit in which the block ends, and a sign. No other free
//! block starts in that segment, since the block between them would be too small. So one leaf in front of a
//! block and one behind it tell a deallocation all about the neighbours.

use core::hint::select_unpredictable;

use crate::ground::table::IndexMemory;
use crate::policy::leaf::{MARK, UNITS, is_at, number, size};
use crate::policy::maxima::Maxima;
use crate::policy::placement::{Placement, takes};
use crate::policy::scan::Scan;
use crate::words::error::{Corruption, Shortage};
use crate::words::extent::Extent;
use crate::words::size::{Fit, UNIT, align_down};
use crate::words::walk::{Block, Image};

/// Leaves at the start: room for a row of 32 KiB, or 16 KiB where segments are smaller.
const FIRST_LEAVES: usize = 512;

/// Finds free blocks in a tree of maxima: O(log32 of the row's length) for each answer and each change.
///
/// A search may meet free blocks that are not the answer, and goes on behind each, as [`Scan`] would: those that are
/// large enough but not so aligned, where more than 16 is asked for; and those of 128 KiB and more, among which the
/// tree does not tell larger from smaller. At worst it meets all of them.
///
/// Takes 3 % of the row's length (6 % under [`Whole`](crate::Whole)), in memory lent by the source at first,
/// then in mappings of its own; only what belongs to memory in use is ever touched. In a [`Buffer`](crate::Buffer)
/// too small for it, it scans like [`Scan`].
#[derive(Debug)]
pub struct Directory {
    /// Where the first segment begins: at the row's base, or less than a segment in front of it.
    base: usize,
    maxima: Maxima,
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

/// Log2 of a segment's bytes, where blocks are split and joined or not.
#[inline]
const fn shift(splits: bool) -> u32 {
    if splits { 6 } else { 5 }
}

impl Directory {
    /// A directory of no row yet.
    pub const fn new() -> Self {
        Self {
            base: 0,
            maxima: Maxima::empty(),
            reach: 0,
            count: 0,
            scans: false,
        }
    }

    /// The index of the leaf of the block at an address.
    #[inline]
    fn index(&self, at: usize, splits: bool) -> usize {
        at.wrapping_sub(self.base) >> shift(splits)
    }

    /// The address of the block whose number is in a leaf.
    #[inline]
    fn address(&self, index: usize, number: i16, splits: bool) -> usize {
        let segment = align_down(index << shift(splits), UNITS * UNIT);
        self.base + segment + number as usize % UNITS * UNIT
    }

    /// The block in a leaf.
    #[inline]
    fn extent(
        &self,
        row: &impl Image,
        index: usize,
        number: i16,
        splits: bool,
    ) -> Result<Extent, Corruption> {
        let at = self.address(index, number, splits);
        match size(number) {
            Some(size) => Ok(Extent { at, size }),
            None => large(row, at),
        }
    }

    /// As [`reserve`](Placement::reserve), beyond the leaves.
    #[cold]
    fn extend(
        &mut self,
        end: usize,
        splits: bool,
        memory: &mut IndexMemory,
    ) -> Result<(), Shortage> {
        let segments = self.index(end, splits) + 1;
        match self.maxima.grow(segments.max(FIRST_LEAVES), memory) {
            Ok(()) => {
                self.reach = self.base + (self.maxima.length() << shift(splits));
                Ok(())
            }
            Err(_) if memory.is_bounded() && self.reach == self.base => {
                // There may be leaves, without the maxima above them.
                self.maxima = Maxima::empty();
                self.scans = true;
                self.reach = usize::MAX;
                Ok(())
            }
            refused => refused,
        }
    }

    /// As [`find`](Directory::find), from behind a leaf on.
    #[cold]
    fn find_behind(
        &self,
        row: &impl Image,
        index: usize,
        fit: Fit,
        splits: bool,
    ) -> Result<Option<Extent>, Corruption> {
        let bound = number(fit.size(), 0) - 1;
        let mut index = index;
        while let Some(next) = self.maxima.next(index, bound) {
            let block = self.extent(row, next, self.maxima.get(next), splits)?;
            if takes(block, fit, splits) {
                return Ok(Some(block));
            }
            index = next;
        }
        Ok(None)
    }

    /// As [`before`](Placement::before), where there is no leaf.
    #[cold]
    fn scan_before(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        if self.scans {
            Scan.before(row, at)
        } else {
            Ok(None)
        }
    }

    /// As [`behind`](Placement::behind), where there is no leaf.
    #[cold]
    fn scan_behind(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        if self.scans {
            Scan.behind(row, at)
        } else {
            Ok(None)
        }
    }

    /// The free block that starts at an address, as far as its leaf tells.
    #[inline]
    fn starts(&self, at: usize, splits: bool) -> Option<i16> {
        let number = self.maxima.get(self.index(at, splits));
        (number > 0 && is_at(number, at)).then_some(number)
    }

    /// Whether a mark says that a free block ends at an address.
    #[inline]
    fn ends(&self, end: usize, splits: bool) -> bool {
        let last = end - UNIT;
        let mark = self.maxima.get(self.index(last, splits));
        mark < 0 && is_at(mark, last)
    }

    /// The leaf of a block, and its number there.
    #[inline]
    fn start(&self, block: Extent, splits: bool) -> (usize, i16) {
        (self.index(block.at, splits), number(block.size, block.at))
    }

    /// The leaf where a block ends, and its mark there. It is the block's own leaf, and its number has
    /// precedence, if the block ends in it or there are no marks.
    #[inline]
    fn end(&self, block: Extent, splits: bool) -> (usize, i16) {
        let last = if splits { block.end() - UNIT } else { block.at };
        (self.index(last, splits), number(block.size, last) | MARK)
    }
}

/// Puts a number or a mark into a leaf.
#[inline]
fn put(leaves: &mut [i16], (index, number): (usize, i16)) {
    if let Some(leaf) = leaves.get_mut(index) {
        *leaf = number;
    }
}

/// The block at `at`, too large for its leaf, as its header tells it.
#[cold]
fn large(row: &impl Image, at: usize) -> Result<Extent, Corruption> {
    let header = row.header(at).ok_or(Corruption::Index { at })?;
    header.verify(at, row.end(), row.key())?;
    Ok(Extent {
        at,
        size: header.size as usize,
    })
}

impl Placement for Directory {
    fn begin(&mut self, base: usize) {
        self.base = align_down(base, UNITS * UNIT);
        self.reach = self.base;
    }

    #[inline(always)]
    fn reserve(
        &mut self,
        end: usize,
        splits: bool,
        memory: &mut IndexMemory,
    ) -> Result<(), Shortage> {
        if end < self.reach {
            return Ok(());
        }
        self.extend(end, splits, memory)
    }

    #[inline(always)]
    fn find(&self, row: &impl Image, fit: Fit, splits: bool) -> Result<Option<Extent>, Corruption> {
        let Some((index, number)) = self.maxima.first(number(fit.size(), 0) - 1) else {
            if self.scans {
                return Scan.find(row, fit, splits);
            }
            return Ok(None);
        };
        let block = self.extent(row, index, number, splits)?;
        if takes(block, fit, splits) {
            return Ok(Some(block));
        }
        self.find_behind(row, index, fit, splits)
    }

    #[inline(always)]
    fn before(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        let last = at - UNIT;
        let index = self.index(last, true);
        let Some(number) = self.maxima.leaf(index) else {
            return self.scan_before(row, at);
        };
        if number == 0 {
            return Ok(None);
        }
        if number > 0 {
            // A block that ends in the segment in which it starts.
            let block = Extent {
                at: self.address(index, number, true),
                size: size(number).unwrap_or(0),
            };
            return Ok((block.end() == at).then_some(block));
        }
        if !is_at(number, last) {
            return Ok(None);
        }
        match size(number) {
            Some(size) => Ok(Some(Extent {
                at: at - size,
                size,
            })),
            None => {
                let index = self.maxima.last(index).ok_or(Corruption::Index { at })?;
                let block = self.extent(row, index, self.maxima.get(index), true)?;
                Ok((block.end() == at).then_some(block))
            }
        }
    }

    #[inline(always)]
    fn behind(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        let Some(number) = self.maxima.leaf(self.index(at, true)) else {
            return self.scan_behind(row, at);
        };
        if number <= 0 || !is_at(number, at) {
            return Ok(None);
        }
        match size(number) {
            Some(size) => Ok(Some(Extent { at, size })),
            None => large(row, at).map(Some),
        }
    }

    /// By one leaf on each side: an empty one in front of the block, and a mark or none behind it.
    #[inline(always)]
    fn is_apart(&self, block: Extent) -> bool {
        let before = self.maxima.leaf(self.index(block.at - UNIT, true));
        let behind = self.maxima.leaf(self.index(block.end(), true));
        before == Some(0) && behind.is_some_and(|behind| behind <= 0)
    }

    #[inline]
    fn expect(&self, at: usize, splits: bool) {
        self.maxima.expect(self.index(at, splits));
    }

    #[inline(always)]
    fn insert(&mut self, block: Extent, splits: bool) {
        let (start, end) = (self.start(block, splits), self.end(block, splits));
        put(self.maxima.leaves(), end);
        self.maxima.correct(start.0, start.1, start.0, start.1);
        self.count += 1;
    }

    #[inline(always)]
    fn insert_among(&mut self, block: Extent, splits: bool) {
        let (start, end) = (self.start(block, splits), self.end(block, splits));
        put(self.maxima.leaves(), end);
        self.maxima.raise(start.0, start.1);
        self.count += 1;
    }

    #[inline(always)]
    fn remove(&mut self, block: Extent, splits: bool) {
        let (start, end) = (self.index(block.at, splits), self.end(block, splits).0);
        self.maxima.correct(start, 0, start, 0);
        put(self.maxima.leaves(), (end, 0));
        self.count -= 1;
    }

    #[inline(always)]
    fn replace(&mut self, old: Extent, new: Extent, splits: bool) {
        let from = self.index(old.at, splits);
        let (start, end) = (self.start(new, splits), self.end(new, splits));
        let old_end = self.end(old, splits).0;
        self.maxima.moved(from, start.0, start.1);
        let leaves = self.maxima.leaves();
        put(leaves, (old_end, 0));
        put(leaves, end);
        put(leaves, start);
    }

    /// Without a branch: whether anything is left is as good as random.
    #[inline(always)]
    fn shorten(&mut self, old: Extent, left: usize, splits: bool) {
        let last = if splits { old.end() - UNIT } else { old.at };
        let at = select_unpredictable(left == 0, old.at, old.end() - left);
        let start = select_unpredictable(left == 0, 0, number(left, at));
        let mark = select_unpredictable(left == 0, 0, number(left, last) | MARK);
        let (from, to) = (self.index(old.at, splits), self.index(at, splits));
        let end = self.index(last, splits);
        self.maxima.moved(from, to, start);
        let leaves = self.maxima.leaves();
        put(leaves, (end, mark));
        put(leaves, (to, start));
        self.count -= usize::from(left == 0);
    }

    fn agrees(&self, block: &Block, splits: bool) -> bool {
        if self.scans {
            return true;
        }
        let extent = Extent::from(*block);
        let (start, end) = (self.start(extent, splits), self.end(extent, splits));
        let is = |(index, number)| self.maxima.get(index) == number;
        if block.is_free() {
            is(start) && (start.0 == end.0 || is(end))
        } else {
            self.starts(block.at, splits).is_none() && !self.ends(block.end(), splits)
        }
    }

    fn count(&self) -> Option<usize> {
        (!self.scans).then_some(self.count)
    }
}
