//! The directory: first fit without the scan.
//!
//! The row is cut into segments so small that at most one free block starts in each: 64 bytes where
//! free neighbours coalesce, 32 where they do not. A segment's *leaf* is that block: its size in units,
//! and the unit of the segment in which it starts. Above the leaves stands a tree of maxima, 32 lanes
//! to a node, each node one cache line. The lowest block that fits is found by going down from the top,
//! always into the first lane that is large enough.
//!
//! A leaf's number has 15 bits. A block too large for it has the largest number, and its header tells
//! the rest. A flag beside each leaf says whether a free block ends in its segment; so a block knows whether
//! the one in front of it may be free, and the last leaf in front of it tells. All that a deallocation asks
//! stands in one or two cache lines.

use crate::ground::lanes::{LANES, Lanes};
use crate::ground::prefetch::prefetch;
use crate::ground::table::{IndexMemory, Table};
use crate::policy::placement::{Placement, takes};
use crate::policy::scan::Scan;
use crate::words::error::{Corruption, Shortage};
use crate::words::extent::Extent;
use crate::words::size::{Fit, UNIT};
use crate::words::walk::{Block, Image};

/// Levels of the tree, leaves included: enough for 32^8 segments, more than the address space has.
const LEVELS: usize = 8;

/// Nodes of leaves at the start: room for a row of 32 KiB.
const FIRST_NODES: usize = 16;

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
    levels: [Table<Lanes>; LEVELS],
    /// The level that has one node.
    top: usize,
    /// Address up to which all tables reach.
    reach: usize,
    count: usize,
    /// Whether there is no memory for tables at all.
    scans: bool,
}

/// Where a leaf is in its level: the node, and the lane in it.
#[derive(Clone, Copy)]
struct Lane {
    node: usize,
    lane: usize,
}

impl Lane {
    #[inline]
    const fn of(index: usize) -> Self {
        Self {
            node: index / LANES,
            lane: index % LANES,
        }
    }
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
            levels: [const { Table::empty() }; LEVELS],
            top: 0,
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
        let Lane { node, lane } = Lane::of(index);
        let leaf = self.node(0, node).map_or(0, |node| node.get(lane)) as usize;
        let in_segment = leaf & ((1 << self.offset_bits) - 1);
        let units = leaf >> self.offset_bits;
        let at = self.base + (index << self.shift) + in_segment * UNIT;
        (at, (units < self.most_units).then_some(units * UNIT))
    }

    #[inline]
    fn node(&self, level: usize, node: usize) -> Option<&Lanes> {
        self.levels.get(level)?.get(node)
    }

    /// A bit for each lane of a node that is at least `key`.
    #[inline]
    fn at_least(&self, level: usize, node: usize, key: u16) -> u32 {
        self.node(level, node).map_or(0, |node| node.at_least(key))
    }

    /// The first leaf from index `from` on that is at least `key`.
    #[inline]
    fn first(&self, from: usize, key: u16) -> Option<usize> {
        let (mut level, mut index) = if from == 0 { (self.top, 0) } else { (0, from) };
        loop {
            let Lane { node, lane } = Lane::of(index);
            let lanes = self.at_least(level, node, key) & (u32::MAX << lane);
            if lanes != 0 {
                index = node * LANES + lanes.trailing_zeros() as usize;
                break;
            }
            if level == self.top {
                return None;
            }
            index = node + 1;
            level += 1;
        }
        while level > 0 {
            level -= 1;
            let lanes = self.at_least(level, index, key);
            index = index * LANES + (lanes.trailing_zeros() as usize).min(LANES - 1);
        }
        Some(index)
    }

    /// The last leaf up to index `upto` that holds a block.
    #[inline]
    fn last(&self, upto: usize) -> Option<usize> {
        let (mut level, mut index) = (0, upto);
        loop {
            let Lane { node, lane } = Lane::of(index);
            let lanes = self.at_least(level, node, 1) & (u32::MAX >> (LANES - 1 - lane));
            if lanes != 0 {
                index = node * LANES + lanes.ilog2() as usize;
                break;
            }
            if level == self.top {
                return None;
            }
            index = node.checked_sub(1)?;
            level += 1;
        }
        while level > 0 {
            level -= 1;
            let lanes = self.at_least(level, index, 1);
            index = index * LANES + lanes.checked_ilog2().unwrap_or(0) as usize;
        }
        Some(index)
    }

    /// Puts a number into a leaf, and the maxima above it right.
    #[inline]
    fn set(&mut self, index: usize, leaf: u16) {
        let Lane { node, lane } = Lane::of(index);
        let Some(lanes) = self.leaves_mut(node) else {
            return;
        };
        let old = lanes.get(lane);
        lanes.put(lane, leaf);
        self.raise_or_lower(node, old, leaf);
    }

    /// Empties a leaf and puts a number into another.
    #[inline]
    fn exchange(&mut self, from: usize, to: usize, leaf: u16) {
        let (
            Lane {
                node,
                lane: emptied,
            },
            Lane { node: other, lane },
        ) = (Lane::of(from), Lane::of(to));
        if node != other {
            self.set(from, 0);
            self.set(to, leaf);
            return;
        }
        let Some(lanes) = self.leaves_mut(node) else {
            return;
        };
        let old = lanes.get(emptied);
        lanes.put(emptied, 0);
        lanes.put(lane, leaf);
        self.raise_or_lower(node, old, leaf);
    }

    #[inline]
    fn leaves_mut(&mut self, node: usize) -> Option<&mut Lanes> {
        let [leaves, ..] = &mut self.levels;
        leaves.get_mut(node)
    }

    /// Puts the maxima above a node of leaves right, in which a number went from `old` to `new`.
    ///
    /// The maximum of a node stands in the lane above it. It changes only if the new number exceeds it, or
    /// the old one was it; only then are the other lanes looked at.
    #[inline]
    fn raise_or_lower(&mut self, node: usize, old: u16, new: u16) {
        let (mut index, mut old, mut new) = (node, old, new);
        let (mut below, levels) = match self.levels.split_first_mut() {
            Some((leaves, levels)) => (leaves, levels.iter_mut().take(self.top)),
            None => return,
        };
        for level in levels {
            let Lane { node, lane } = Lane::of(index);
            let Some(lanes) = level.get_mut(node) else {
                return;
            };
            let maximum = lanes.get(lane);
            if new < maximum {
                if old < maximum {
                    return;
                }
                new = below.get(index).map_or(0, Lanes::maximum);
            }
            if new == maximum {
                return;
            }
            lanes.put(lane, new);
            old = maximum;
            index = node;
            below = level;
        }
    }

    /// Says whether a free block ends at address `end`.
    #[inline]
    fn mark_end(&mut self, end: usize, is_end: bool) {
        let Lane { node, lane } = Lane::of(self.index(end - UNIT));
        if let Some(lanes) = self.leaves_mut(node) {
            lanes.put_flag(lane, is_end);
        }
    }

    /// Whether a free block ends in the segment in front of address `end`.
    #[inline]
    fn may_end(&self, end: usize) -> bool {
        let Lane { node, lane } = Lane::of(self.index(end - UNIT));
        self.node(0, node).is_some_and(|lanes| lanes.flag(lane))
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
        self.set(self.index(block.at), leaf);
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

    /// Grows all tables for a row up to `end`. Where one cannot grow, the others may have; no harm.
    #[cold]
    fn grow(&mut self, end: usize, memory: &mut IndexMemory) -> Result<(), Shortage> {
        let segments = ((end - self.base) >> self.shift) + 1;
        let mut nodes = segments.div_ceil(LANES).max(FIRST_NODES);
        let mut top = 0;
        let mut maximum = 0;
        for (level, table) in self.levels.iter_mut().enumerate() {
            let is_new = level > self.top || table.is_empty();
            table.grow(nodes, memory)?;
            if let (true, Some(first)) = (is_new, table.first_mut()) {
                first.put(0, maximum);
            }
            top = level;
            if nodes == 1 {
                break;
            }
            maximum = table.first().map_or(0, Lanes::maximum);
            // A table may have grown by more than was asked for; the ones above reach as far.
            nodes = if level == 0 {
                table.len().div_ceil(LANES)
            } else {
                nodes.div_ceil(LANES)
            };
        }
        self.top = top;
        let leaves = self.levels.first().map_or(0, |level| level.len() * LANES);
        self.reach = self.base + (leaves << self.shift);
        Ok(())
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
        match self.grow(end, memory) {
            Err(_) if memory.is_bounded() && self.reach == self.base => {
                self.scans = true;
                self.reach = usize::MAX;
                Ok(())
            }
            answer => answer,
        }
    }

    #[inline]
    fn find(&self, row: &impl Image, fit: Fit, splits: bool) -> Result<Option<Extent>, Corruption> {
        if self.scans {
            return Scan.find(row, fit, splits);
        }
        let key = self.leaf(0, fit.size());
        let mut from = 0;
        while let Some(index) = self.first(from, key) {
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
        let index = self.last(self.index(at - UNIT));
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
        let index = at.wrapping_sub(self.base) >> self.shift;
        let above = Lane::of(index).node;
        for (level, node) in [(0, above), (1, Lane::of(above).node)] {
            if let Some(node) = self.node(level, node) {
                prefetch(node);
            }
        }
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
        self.set(self.index(block.at), 0);
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
            self.exchange(from, to, self.leaf(new.at - self.base, new.size));
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
        let owner = self.last(segment).map(|index| self.block(index));
        let owned = owner.is_some_and(|(at, size)| {
            size.is_none_or(|size| self.index(at + size - UNIT) == segment)
        });
        !is_there && (!ends || owned)
    }

    fn count(&self) -> Option<usize> {
        (!self.scans).then_some(self.count)
    }
}
