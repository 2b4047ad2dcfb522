//! The directory: first fit without the scan.
//!
//! The row is cut into segments so small that at most one free block ends in each: 64 bytes where
//! free neighbours coalesce, 32 where they do not. A segment's *leaf* is that block: its size in units,
//! and the unit of the segment with which it ends. Above the leaves stands a tree of maxima, by which the
//! first that is large enough is found. What is taken from a block is taken from its start, so what is left of it
//! keeps its leaf.
//!
//! Where free neighbours coalesce, the segment in which a free block starts has a *mark* in its leaf, unless the
//! block ends there too: the same number for the unit with which the block starts, and a sign. No other free
//! block ends in that segment, since the block between them would be too small. So one leaf in front of a
//! block and one behind it tell a deallocation all about the neighbours.

mod large;

use core::hint::select_unpredictable;

use crate::ground::table::IndexMemory;
use crate::policy::directory::large::large_or;
use crate::policy::leaf::{self, LARGE, MARK, UNITS, number, size};
use crate::policy::maxima::Maxima;
use crate::policy::placement::{Placement, takes};
use crate::policy::scan::Scan;
use crate::policy::sealed::Sealed;
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

    /// The index of the leaf for the unit at an address.
    #[inline]
    fn index(&self, at: usize, splits: bool) -> usize {
        at.wrapping_sub(self.base) >> shift(splits)
    }

    /// The block whose number is in a leaf.
    #[inline(always)]
    fn extent(&self, index: usize, number: i16, splits: bool) -> Extent {
        let segment = self.base + align_down(index << shift(splits), UNITS * UNIT);
        let end = segment + (number as usize % UNITS + 1) * UNIT;
        let size = self.whole(size(number), index);
        let at = end - size;
        Extent { at, size }
    }

    /// The size that a number says, or what is told in front of its leaf, if that is more.
    #[inline(always)]
    fn whole(&self, size: usize, index: usize) -> usize {
        if size < LARGE { size } else { self.told(index) }
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
    fn find_behind(&self, index: usize, fit: Fit, splits: bool) -> Option<Extent> {
        let bound = number(fit.size(), 0) - 1;
        self.blocks_from(index + 1, bound, splits)
            .find(|block| takes(*block, fit, splits))
    }

    /// The free blocks whose numbers are greater than `bound`, by their leaves, from one on.
    fn blocks_from(
        &self,
        index: usize,
        bound: i16,
        splits: bool,
    ) -> impl Iterator<Item = Extent> + '_ {
        let mut from = index;
        core::iter::from_fn(move || {
            let index = self.maxima.first_from(from, bound)?;
            from = index + 1;
            Some(self.extent(index, self.maxima.get(index), splits))
        })
    }

    /// What a scan answers, where that is done because there can be no leaves; else what is answered beyond the last.
    #[cold]
    fn scanning<T>(
        &self,
        ask: impl FnOnce(Scan) -> Result<T, Corruption>,
        nothing: T,
    ) -> Result<T, Corruption> {
        if self.scans { ask(Scan) } else { Ok(nothing) }
    }

    /// The leaf of a block, and its number there.
    #[inline]
    fn end(&self, block: Extent, splits: bool) -> (usize, i16) {
        let last = block.end() - UNIT;
        (self.index(last, splits), number(block.size, last))
    }

    /// The leaf where a block starts, and its mark there. It is the block's own leaf, and its number has precedence,
    /// if the block starts in it or there are no marks.
    #[inline]
    fn start(&self, block: Extent, splits: bool) -> (usize, i16) {
        let first = if splits { block.at } else { block.end() - UNIT };
        (self.index(first, splits), number(block.size, first) | MARK)
    }
}

/// Puts a number or a mark into a leaf.
#[inline]
fn put(leaves: &mut [i16], (index, number): (usize, i16)) {
    if let Some(leaf) = leaves.get_mut(index) {
        *leaf = number;
    }
}

impl Sealed for Directory {}

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
        let block = self.extent(index, number, splits);
        if takes(block, fit, splits) {
            return Ok(Some(block));
        }
        Ok(self.find_behind(index, fit, splits))
    }

    /// O(log32 of the row's length), and as much for each block that [`Directory`] says it may meet.
    fn find_from(
        &self,
        row: &impl Image,
        at: usize,
        size: usize,
        splits: bool,
    ) -> Result<Option<Extent>, Corruption> {
        if self.scans {
            return Scan.find_from(row, at, size, splits);
        }
        let mut blocks = self.blocks_from(
            self.index(at, splits),
            number(size.max(UNIT), 0) - 1,
            splits,
        );
        Ok(blocks.find(|block| block.at >= at && block.size >= size))
    }

    #[inline]
    fn before(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        let index = self.index(at - UNIT, true);
        let Some(number) = self.maxima.leaf(index) else {
            return self.scanning(|scan| scan.before(row, at), None);
        };
        let size = self.whole(leaf::before(number, at - UNIT), index);
        let at = at - size;
        Ok((size > 0).then_some(Extent { at, size }))
    }

    #[inline]
    fn behind(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        let Some(number) = self.maxima.leaf(self.index(at, true)) else {
            return self.scanning(|scan| scan.behind(row, at), None);
        };
        let size = large_or(row, at, leaf::behind(number, at))?;
        Ok((size > 0).then_some(Extent { at, size }))
    }

    /// By one leaf on each side.
    #[inline(always)]
    fn beside(&self, row: &impl Image, block: Extent) -> Result<(usize, usize), Corruption> {
        let (last, end) = (block.at - UNIT, block.end());
        let before = self.maxima.leaf(self.index(last, true));
        let behind = self.maxima.leaf(self.index(end, true));
        let (Some(before), Some(behind)) = (before, behind) else {
            return self.scanning(|scan| scan.beside(row, block), (0, 0));
        };
        let sizes = (leaf::before(before, last), leaf::behind(behind, end));
        if sizes.0 >= LARGE || sizes.1 >= LARGE {
            return self.large_beside(row, block, sizes);
        }
        Ok(sizes)
    }

    /// By one leaf on each side: a mark or none in front of the block, and an empty one behind it.
    #[inline(always)]
    fn is_apart(&self, block: Extent) -> bool {
        let before = self.maxima.leaf(self.index(block.at - UNIT, true));
        let behind = self.maxima.leaf(self.index(block.end(), true));
        before.is_some_and(|before| before <= 0) && behind == Some(0)
    }

    #[inline]
    fn expect(&self, at: usize, splits: bool) {
        self.maxima.expect(self.index(at, splits));
    }

    #[inline]
    fn insert(&mut self, block: Extent, splits: bool) {
        let (start, end) = (self.start(block, splits), self.end(block, splits));
        self.maxima.raise(end.0, end.1);
        let leaves = self.maxima.leaves();
        put(leaves, start);
        put(leaves, end);
        self.count += 1;
        if block.size >= LARGE {
            self.tell(block, true, splits);
        }
    }

    #[inline(always)]
    fn insert_among(&mut self, block: Extent, splits: bool) {
        if block.size >= LARGE {
            return self.insert(block, splits);
        }
        let (start, end) = (self.start(block, splits), self.end(block, splits));
        put(self.maxima.leaves(), start);
        self.maxima.raise_among(end.0, end.1);
        self.count += 1;
    }

    #[inline]
    fn remove(&mut self, block: Extent, splits: bool) {
        let (start, end) = (self.start(block, splits).0, self.end(block, splits).0);
        self.maxima.put(end, 0);
        let leaves = self.maxima.leaves();
        put(leaves, (start, 0));
        put(leaves, (end, 0));
        self.count -= 1;
        if block.size >= LARGE {
            self.tell(block, false, splits);
        }
    }

    #[inline]
    fn replace(&mut self, old: Extent, new: Extent, splits: bool) {
        if old.end() != new.end() || old.size.max(new.size) >= LARGE {
            self.remove(old, splits);
            return self.insert(new, splits);
        }
        let (start, end) = (self.start(new, splits), self.end(new, splits));
        let gone = self.start(old, splits).0;
        self.maxima.put(end.0, end.1);
        let leaves = self.maxima.leaves();
        put(leaves, (gone, 0));
        put(leaves, start);
        put(leaves, end);
    }

    /// A block in front that ends in the same node needs no look at the node's other blocks: the whole is larger.
    #[inline(always)]
    fn join(&mut self, block: Extent, before: usize, behind: usize, splits: bool) {
        let whole = block.with(before, behind);
        if whole.size >= LARGE {
            return self.join_large(block, before, behind, splits);
        }
        let (start, end) = (self.start(whole, splits), self.end(whole, splits));
        let (front, back) = (
            self.index(block.at - UNIT, splits),
            self.index(block.end(), splits),
        );
        if before > 0 && Maxima::are_apart(front, end.0) {
            self.maxima.put(front, 0);
        }
        self.maxima.raise(end.0, end.1);
        let leaves = self.maxima.leaves();
        if before > 0 {
            put(leaves, (front, 0));
        }
        if behind > 0 {
            put(leaves, (back, 0));
        }
        put(leaves, start);
        put(leaves, end);
        self.count = self.count + 1 - usize::from(before > 0) - usize::from(behind > 0);
    }

    /// Without a branch: whether anything is left is as good as random.
    #[inline(always)]
    fn shorten(&mut self, old: Extent, left: usize, splits: bool) {
        if old.size >= LARGE {
            return self.shorten_large(old, left, splits);
        }
        let (last, goes) = (old.end() - UNIT, left == 0);
        let at = if splits {
            select_unpredictable(goes, old.at, old.end() - left)
        } else {
            last
        };
        let mark = select_unpredictable(goes, 0, number(left, at) | MARK);
        let left = select_unpredictable(goes, 0, number(left, last));
        let (start, end) = (self.start(old, splits).0, self.index(last, splits));
        self.maxima.put(end, left);
        let at = self.index(at, splits);
        let leaves = self.maxima.leaves();
        put(leaves, (start, 0));
        put(leaves, (at, mark));
        put(leaves, (end, left));
        self.count -= usize::from(goes);
    }

    fn agrees(&self, block: &Block, splits: bool) -> bool {
        if self.scans {
            return true;
        }
        let extent = Extent::from(*block);
        let (start, end) = (self.start(extent, splits), self.end(extent, splits));
        let is = |(index, number)| self.maxima.get(index) == number;
        if block.is_free() {
            let is_told = extent.size < LARGE || self.told(end.0) == extent.size;
            return is(end) && (start.0 == end.0 || is(start)) && is_told;
        }
        let ends = leaf::before(self.maxima.get(end.0), block.end() - UNIT);
        let starts = leaf::behind(self.maxima.get(start.0), block.at);
        ends == 0 && (!splits || starts == 0)
    }

    fn count(&self) -> Option<usize> {
        (!self.scans).then_some(self.count)
    }
}
