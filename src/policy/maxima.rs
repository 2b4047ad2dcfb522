//! The tree of maxima: which number of many is the first that is large enough.
//!
//! The numbers are *leaves*, 32 of them a *node*, each node one cache line. Above each level stands another
//! that holds the maxima of its nodes, up to one that has a single node. Whoever looks for the first
//! number of a size goes down from there, always into the first lane that is large enough.
//!
//! A leaf whose number is negative is a *mark*: it means something to whoever put it there, and is never
//! large enough.

use crate::ground::lanes::{LANES, Lanes, numbers, numbers_mut};
use crate::ground::prefetch::prefetch;
use crate::ground::table::{IndexMemory, Table};
use crate::words::error::Shortage;

/// Levels of the tree, leaves included: enough for 32^8 leaves.
const LEVELS: usize = 8;

/// Numbers and the maxima above them.
#[derive(Debug)]
pub(super) struct Maxima {
    /// Those above the top one are empty.
    levels: [Table<Lanes>; LEVELS],
    /// The level that has one node.
    top: usize,
}

impl Maxima {
    pub(super) const fn empty() -> Self {
        Self {
            levels: [const { Table::empty() }; LEVELS],
            top: 0,
        }
    }

    /// How many leaves there is room for.
    pub(super) fn length(&self) -> usize {
        self.levels.first().map_or(0, |leaves| leaves.len() * LANES)
    }

    /// The number in a leaf; 0 beyond the last.
    #[inline]
    pub(super) fn get(&self, index: usize) -> i16 {
        let [leaves, ..] = &self.levels;
        numbers(leaves).get(index).copied().unwrap_or(0)
    }

    /// Starts to fetch a leaf, and the maximum above it.
    #[inline]
    pub(super) fn expect(&self, index: usize) {
        let [leaves, above, ..] = &self.levels;
        for (level, index) in [(leaves, index), (above, index / LANES)] {
            if let Some(lane) = numbers(level).get(index) {
                prefetch(lane);
            }
        }
    }

    /// The first leaf whose number is greater than `bound`.
    #[inline]
    pub(super) fn first(&self, bound: i16) -> Option<usize> {
        self.descend(self.top + 1, 0, bound)
    }

    /// The first leaf behind the one at `index` whose number is greater than `bound`.
    #[cold]
    pub(super) fn next(&self, index: usize, bound: i16) -> Option<usize> {
        let (mut level, mut index) = (0, index + 1);
        loop {
            let (node, lane) = (index / LANES, index % LANES);
            let lanes = self.above(level, node, bound) & (u32::MAX << lane);
            if lanes != 0 {
                return self.descend(level, node * LANES + lowest(lanes), bound);
            }
            if level == self.top {
                return None;
            }
            index = node + 1;
            level += 1;
        }
    }

    /// The first leaf below lane `index` of a level whose number is greater than `bound`, as that lane's is.
    #[inline]
    fn descend(&self, level: usize, index: usize, bound: i16) -> Option<usize> {
        let mut index = index;
        for level in self.levels.get(..level)?.iter().rev() {
            let lanes = level.get(index)?.above(bound);
            if lanes == 0 {
                return None;
            }
            index = index * LANES + lowest(lanes);
        }
        Some(index)
    }

    /// The last leaf up to index `upto` whose number is greater than 0.
    #[cold]
    pub(super) fn last(&self, upto: usize) -> Option<usize> {
        let (mut level, mut index) = (0, upto);
        loop {
            let (node, lane) = (index / LANES, index % LANES);
            let lanes = self.above(level, node, 0) & (u32::MAX >> (LANES - 1 - lane));
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
        for level in (0..level).rev() {
            let lanes = self.above(level, index, 0);
            index = index * LANES + lanes.checked_ilog2()? as usize;
        }
        Some(index)
    }

    /// A bit for each lane of a node whose number is greater than `bound`.
    fn above(&self, level: usize, node: usize, bound: i16) -> u32 {
        let node = self.levels.get(level).and_then(|level| level.get(node));
        node.map_or(0, |node| node.above(bound))
    }

    /// Puts a number into a leaf, and the maxima above it right.
    #[inline]
    pub(super) fn set(&mut self, index: usize, number: i16) {
        let old = self.put(index, number);
        self.correct(index / LANES, old, number);
    }

    /// Empties a leaf and puts a number into another or the same.
    #[inline]
    pub(super) fn exchange(&mut self, from: usize, to: usize, number: i16) {
        if from / LANES != to / LANES {
            self.set(from, 0);
            self.set(to, number);
            return;
        }
        let old = self.put(from, 0);
        self.put(to, number);
        self.correct(to / LANES, old, number);
    }

    /// Puts a mark into a leaf or, if that is 0, takes it away. The leaf had no number.
    #[inline]
    pub(super) fn mark(&mut self, index: usize, mark: i16) {
        self.put(index, mark);
    }

    /// Puts a number into a leaf; what was there before.
    #[inline]
    fn put(&mut self, index: usize, number: i16) -> i16 {
        let [leaves, ..] = &mut self.levels;
        let leaf = numbers_mut(leaves).get_mut(index);
        leaf.map_or(0, |leaf| core::mem::replace(leaf, number))
    }

    /// Puts the maxima above a node of leaves right, in which a number went from `old` to `new`.
    ///
    /// The maximum of a node stands in the lane above it. It changes only if the new number exceeds it, or
    /// the old one was it.
    #[inline]
    fn correct(&mut self, node: usize, old: i16, new: i16) {
        let [_, above, ..] = &self.levels;
        let maximum = numbers(above).get(node);
        if maximum.is_some_and(|maximum| old.max(new) >= *maximum) {
            self.climb(node, old, new);
        }
    }

    /// As [`correct`](Maxima::correct), where the maximum has changed or the other lanes tell.
    fn climb(&mut self, node: usize, old: i16, new: i16) {
        let (mut index, mut old, mut new) = (node, old, new);
        let [below, levels @ ..] = &mut self.levels;
        let mut below = below;
        for level in levels {
            let Some(maximum) = numbers_mut(level).get_mut(index) else {
                return;
            };
            if new < *maximum {
                if old < *maximum {
                    return;
                }
                new = below.get(index).map_or(0, Lanes::maximum);
            }
            if new == *maximum {
                return;
            }
            old = core::mem::replace(maximum, new);
            index /= LANES;
            below = level;
        }
    }

    /// Has room for `length` leaves at least. Where one level cannot grow, others may have; no harm.
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
            if let (true, Some(first)) = (is_new, numbers_mut(table).first_mut()) {
                *first = maximum;
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

/// Index of the lowest bit of some.
#[inline]
fn lowest(lanes: u32) -> usize {
    lanes.trailing_zeros() as usize
}
