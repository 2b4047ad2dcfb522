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

    /// The leaves, to be changed. Before a number changes, the maxima are put right by
    /// [`moved`](Maxima::moved) or [`correct`](Maxima::correct).
    #[inline]
    pub(super) fn leaves(&mut self) -> &mut [i16] {
        let [leaves, ..] = &mut self.levels;
        leaves
    }

    /// The number in leaf `from` vanishes, and `new` appears in leaf `to`, the same or one without a number. It may
    /// be 0. Whoever calls puts it there afterwards.
    #[inline]
    pub(super) fn moved(&mut self, from: usize, to: usize, new: i16) {
        if from / LANES == to / LANES {
            self.correct(from, 0, new);
        } else {
            self.correct(from, 0, 0);
            self.correct(to, new, new);
        }
    }

    /// Puts a number into a leaf without one, and lifts the maxima above it, without a look at their lanes. Stores
    /// small pieces: for numbers that many others follow before the next search.
    #[inline]
    pub(super) fn raise(&mut self, leaf: usize, number: i16) {
        let [leaves, higher @ ..] = &mut self.levels;
        if let Some(place) = leaves.get_mut(leaf) {
            *place = number;
        }
        let mut index = leaf;
        for level in higher {
            index /= LANES;
            match level.get_mut(index) {
                Some(highest) if *highest < number => *highest = number,
                _ => return,
            }
        }
    }

    /// Puts a number into a leaf, and the maxima above its node right, of whose new numbers `new` is the largest.
    ///
    /// The maximum of a node stands in the lane above it. It changes only if a new number exceeds it, or the old one
    /// was it; only then are the other lanes looked at, and before anything is put among them: what a processor has
    /// just stored in a small piece, it cannot load in a larger one until that and all stored before is in the
    /// cache.
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
    ///
    /// Whole pieces of the line are stored, as they are loaded: the next search looks at them at once.
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
            let first = lanes(table, 0).into_iter().flatten();
            highest = first.copied().max().unwrap_or(0);
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

/// The first lane of a node whose number is greater than `bound`; without one, that behind its last.
///
/// It needs not be asked which: where the number above a node is greater, the node has one, and behind the
/// single node of the top level there are only zeros, level by level.
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

#[cfg(test)]
mod tests {
    use core::ptr::NonNull;
    use std::collections::BTreeMap;

    use super::*;

    /// Leaves of a tree of four levels, the last with part of a node.
    const LENGTH: usize = 2 * LANES * LANES * LANES + 7;

    #[expect(unsafe_code, reason = "memory for the tables")]
    fn memory() -> IndexMemory {
        // SAFETY: nothing is lent.
        unsafe { IndexMemory::new(NonNull::dangling(), 0, true) }
    }

    fn agree(maxima: &Maxima, numbers: &BTreeMap<usize, i16>, random: &mut fastrand::Rng) {
        let bits = random.u32(0..15);
        let bound = random.i16(0..=i16::MAX >> bits);
        let first = numbers.iter().find(|(_, number)| **number > bound);
        let first = first.map(|(index, number)| (*index, *number));
        assert_eq!(maxima.first(bound), first);
        let index = random.usize(0..maxima.length());
        let next = numbers.range(index + 1..).find(|(_, n)| **n > bound);
        assert_eq!(maxima.next(index, bound), next.map(|(index, _)| *index));
        let last = numbers.range(..=index).rev().find(|(_, n)| **n > 0);
        assert_eq!(maxima.last(index), last.map(|(index, _)| *index));
    }

    fn each_is_the_maximum_of_its_node(maxima: &Maxima) {
        for (below, level) in maxima.levels.iter().zip(maxima.levels.iter().skip(1)) {
            for (node, highest) in level.iter().enumerate() {
                let lanes = lanes(below, node).into_iter().flatten();
                assert_eq!(*highest, lanes.copied().max().unwrap_or(0).max(0));
            }
        }
    }

    #[test]
    fn searches_agree_with_a_sorted_map_whatever_moves() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut maxima, mut memory) = (Maxima::empty(), memory());
        let mut numbers = BTreeMap::new();
        let mut length = LANES * LANES;
        for step in 0..60_000 {
            if step % 20_000 == 0 {
                maxima.grow(length, &mut memory).unwrap();
            }
            // Near one another, for their nodes to be the same at times.
            let near = random.usize(0..length);
            let near = |random: &mut fastrand::Rng| (near + random.usize(0..64)).min(length - 1);
            let (from, to) = (near(&mut random), near(&mut random));
            let bits = random.u32(0..15);
            let number = random.i16(1..=i16::MAX >> bits);
            let is_free = |index| maxima.get(index) <= 0;
            if numbers.contains_key(&from) && (from == to || is_free(to)) {
                let number = if random.bool() { number } else { 0 };
                maxima.moved(from, to, number);
                maxima.leaves()[to] = number;
                numbers.remove(&from);
                if number > 0 {
                    numbers.insert(to, number);
                }
            } else if is_free(to) && random.bool() {
                match random.bool() {
                    true => maxima.correct(to, number, number),
                    false => maxima.raise(to, number),
                }
                numbers.insert(to, number);
            } else if is_free(to) {
                maxima.leaves()[to] = -number;
            }
            agree(&maxima, &numbers, &mut random);
            if step % 1000 == 999 {
                each_is_the_maximum_of_its_node(&maxima);
            }
            if step % 20_000 == 19_999 {
                length = (length * 8).min(LENGTH);
            }
        }
        assert!(maxima.top > 2, "as many levels as there are ways down");
    }
}
