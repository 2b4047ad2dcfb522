//! The tree of maxima: which number of many is the first that is large enough.
//!
//! The numbers are *leaves*, 32 of them a *node*, each node one cache line. Above each level stands another
//! that holds the maxima of its nodes, up to one that has a single node. Whoever looks for the first
//! number of a size goes down from there, always into the first lane that is large enough.

use crate::ground::lanes::{LANES, Lanes};
use crate::ground::prefetch::prefetch;
use crate::ground::table::{IndexMemory, Table};
use crate::words::error::Shortage;

/// Levels of the tree, leaves included: enough for 32^8 leaves.
const LEVELS: usize = 8;

/// Numbers and the maxima above them; a flag beside each number.
#[derive(Debug)]
pub(super) struct Maxima {
    levels: [Table<Lanes>; LEVELS],
    /// The level that has one node.
    top: usize,
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

impl Maxima {
    pub(super) const fn empty() -> Self {
        Self {
            levels: [const { Table::empty() }; LEVELS],
            top: 0,
        }
    }

    /// How many numbers there is room for.
    pub(super) fn length(&self) -> usize {
        self.levels.first().map_or(0, |leaves| leaves.len() * LANES)
    }

    /// The number in a leaf.
    #[inline]
    pub(super) fn get(&self, index: usize) -> u16 {
        let Lane { node, lane } = Lane::of(index);
        self.node(0, node).map_or(0, |node| node.get(lane))
    }

    /// The flag beside a leaf.
    #[inline]
    pub(super) fn flag(&self, index: usize) -> bool {
        let Lane { node, lane } = Lane::of(index);
        self.node(0, node).is_some_and(|lanes| lanes.flag(lane))
    }

    /// Sets the flag beside a leaf or clears it.
    #[inline]
    pub(super) fn put_flag(&mut self, index: usize, flag: bool) {
        let Lane { node, lane } = Lane::of(index);
        if let Some(lanes) = self.leaves_mut(node) {
            lanes.put_flag(lane, flag);
        }
    }

    /// Starts to fetch a leaf, and the maximum above it.
    #[inline]
    pub(super) fn expect(&self, index: usize) {
        let above = Lane::of(index).node;
        for (level, node) in [(0, above), (1, Lane::of(above).node)] {
            if let Some(node) = self.node(level, node) {
                prefetch(node);
            }
        }
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

    /// The first leaf from index `from` on whose number is at least `key`.
    #[inline]
    pub(super) fn first(&self, from: usize, key: u16) -> Option<usize> {
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

    /// The last leaf up to index `upto` whose number is not 0.
    #[inline]
    pub(super) fn last(&self, upto: usize) -> Option<usize> {
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
    pub(super) fn set(&mut self, index: usize, leaf: u16) {
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
    pub(super) fn exchange(&mut self, from: usize, to: usize, leaf: u16) {
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

    /// Has room for `length` numbers at least. Where one level cannot grow, others may have; no harm.
    ///
    /// # Errors
    ///
    /// [`Shortage::Index`] without memory.
    #[cold]
    pub(super) fn grow(&mut self, length: usize, memory: &mut IndexMemory) -> Result<(), Shortage> {
        let mut nodes = length.div_ceil(LANES);
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
        Ok(())
    }
}
