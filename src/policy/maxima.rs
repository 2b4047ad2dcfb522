//! The tree of maxima: which number of many is the first that is large enough.
//!
//! The numbers are *leaves*, 32 of them a *node*, each node one cache line. Above each level stands another
//! that holds the maxima of its nodes, up to one that has a single node. Whoever looks for the first
//! number of a size goes down from there, always into the first lane that is large enough.
//!
//! A leaf whose number is negative is a *mark*: it means something to whoever put it there, and is never
//! large enough.

use crate::ground::lanes::{Bound, LANES, Lanes, above, maximum_but, put};
use crate::ground::prefetch::prefetch;
use crate::ground::table::{IndexMemory, Table};
use crate::words::error::Shortage;

/// Levels of the tree, leaves included: enough for 32^8 leaves.
const LEVELS: usize = 8;

/// Numbers and the maxima above them.
#[derive(Debug)]
pub(super) struct Maxima {
    /// Those above the top one are empty.
    levels: [Table<i16>; LEVELS],
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
        self.levels.first().map_or(0, |leaves| leaves.len())
    }

    /// The number in a leaf, if there is one.
    #[inline]
    pub(super) fn leaf(&self, index: usize) -> Option<i16> {
        let [leaves, ..] = &self.levels;
        leaves.get(index).copied()
    }

    /// The number in a leaf; 0 beyond the last.
    #[inline]
    pub(super) fn get(&self, index: usize) -> i16 {
        self.leaf(index).unwrap_or(0)
    }

    /// Starts to fetch a leaf, and the maximum of its node.
    #[inline]
    pub(super) fn expect(&self, index: usize) {
        let [leaves, nodes, ..] = &self.levels;
        if let Some(leaf) = leaves.get(index) {
            prefetch(leaf);
        }
        if let Some(node) = nodes.get(index / LANES) {
            prefetch(node);
        }
    }

    /// The first leaf whose number is greater than `bound`, and that number.
    #[inline(always)]
    pub(super) fn first(&self, bound: i16) -> Option<(usize, i16)> {
        let [leaves, nodes, regions, higher @ ..] = &self.levels;
        let bound = Bound::new(bound);
        let mut index = 0;
        if self.top > 2 {
            index = first_below(higher.get(..self.top - 2)?, bound)?;
        }
        if self.top > 1 {
            index = step(regions, index, bound)?;
        }
        if self.top > 0 {
            index = step(nodes, index, bound)?;
        }
        let lanes = lanes(leaves, index)?;
        let lane = lowest(above(lanes, bound));
        let number = *lanes.get(lane)?;
        Some((index * LANES + lane, number))
    }

    /// The first leaf behind the one at `index` whose number is greater than `bound`.
    #[cold]
    pub(super) fn next(&self, index: usize, bound: i16) -> Option<usize> {
        let (mut level, mut index) = (0, index + 1);
        loop {
            let (node, lane) = (index / LANES, index % LANES);
            let lanes = self.above(level, node, bound) & (u32::MAX << lane);
            if lanes != 0 {
                index = node * LANES + lowest(lanes);
                break;
            }
            if level == self.top {
                return None;
            }
            index = node + 1;
            level += 1;
        }
        for level in (0..level).rev() {
            index = index * LANES + lowest(self.above(level, index, bound));
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
        let lanes = self.levels.get(level).and_then(|level| lanes(level, node));
        lanes.map_or(0, |lanes| above(lanes, Bound::new(bound)))
    }

    /// The leaves, to be changed. Whoever changes a number puts the maxima right, by
    /// [`moved`](Maxima::moved).
    #[inline]
    pub(super) fn leaves(&mut self) -> &mut [i16] {
        let [leaves, ..] = &mut self.levels;
        leaves
    }

    /// The number at `from` vanishes, and `new` appears at `to`, where no number was; either may be 0, or both places one.
    #[inline]
    pub(super) fn moved(&mut self, from: usize, to: usize, new: i16) {
        if from / LANES == to / LANES {
            self.correct(from, 0, new);
        } else {
            self.correct(from, 0, 0);
            self.correct(to, new, new);
        }
    }

    /// Puts a number into a leaf, and the maxima above its node right after the largest new number of that node.
    #[inline(never)]
    pub(super) fn correct(&mut self, leaf: usize, number: i16, new: i16) {
        let [leaves, nodes, ..] = &mut self.levels;
        let Some(place) = leaves.get_mut(leaf) else {
            return;
        };
        let node = leaf / LANES;
        let Some(highest) = nodes.get(node).copied() else {
            *place = number;
            return;
        };
        let mut new = new;
        if new < highest {
            if *place < highest {
                *place = number;
                return;
            }
            new = lanes(leaves, node)
                .map_or(0, |lanes| maximum_but(lanes, leaf % LANES))
                .max(new);
        }
        if let Some(place) = leaves.get_mut(leaf) {
            *place = number;
        }
        if new != highest {
            self.lift(1, node, new);
        }
    }

    /// Puts a number into a lane above the leaves, and the maxima above it right.
    #[inline(never)]
    fn lift(&mut self, level: usize, index: usize, new: i16) {
        let Some([below, above, ..]) = self.levels.get_mut(level..) else {
            return;
        };
        let (node, lane) = (index / LANES, index % LANES);
        let Some(lanes) = lanes_mut(below, node) else {
            return;
        };
        let Some(highest) = above.get(node).copied() else {
            put(lanes, lane, new);
            return;
        };
        let mut most = new;
        if new < highest {
            if lanes.get(lane).is_some_and(|old| *old < highest) {
                put(lanes, lane, new);
                return;
            }
            most = maximum_but(lanes, lane).max(new);
        }
        put(lanes, lane, new);
        if most != highest {
            self.lift(level + 1, node, most);
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
        let mut highest = 0;
        for (level, table) in self.levels.iter_mut().enumerate() {
            let is_new = level > self.top || table.is_empty();
            table.grow(nodes * LANES, memory)?;
            if let (true, Some(first)) = (is_new, table.first_mut()) {
                *first = highest;
            }
            top = level;
            if nodes == 1 {
                break;
            }
            highest = lanes(table, 0).map_or(0, |lanes| lanes.iter().copied().fold(0, i16::max));
            // A table may have grown by more than was asked for; the ones above reach as far.
            nodes = if level == 0 {
                (table.len() / LANES).div_ceil(LANES)
            } else {
                nodes.div_ceil(LANES)
            };
        }
        self.top = top;
        Ok(())
    }
}

/// The lanes of a node.
#[inline]
fn lanes(level: &[i16], node: usize) -> Option<&Lanes> {
    let (nodes, _) = level.as_chunks();
    nodes.get(node)
}

/// The first lane of a node whose number is greater than `bound`. Without one, that is beyond the node: only asked
/// of nodes above which stands that there is one, and of the first of all, beyond which there are none but
/// zeros.
#[inline(always)]
fn step(level: &[i16], node: usize, bound: Bound) -> Option<usize> {
    let lanes = above(lanes(level, node)?, bound);
    Some(node * LANES + lowest(lanes))
}

/// The first lane of the lowest of some levels up to the one with a single node.
#[inline(never)]
fn first_below(levels: &[Table<i16>], bound: Bound) -> Option<usize> {
    let mut index = 0;
    for level in levels.iter().rev() {
        index = step(level, index, bound)?;
    }
    Some(index)
}

/// The lanes of a node, to be changed.
#[inline]
fn lanes_mut(level: &mut [i16], node: usize) -> Option<&mut Lanes> {
    let (nodes, _) = level.as_chunks_mut();
    nodes.get_mut(node)
}

/// Index of the lowest bit of some.
#[inline]
fn lowest(lanes: u32) -> usize {
    lanes.trailing_zeros() as usize
}
