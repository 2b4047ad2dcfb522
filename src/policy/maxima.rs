//! The tree of maxima: which number of many is the first that is large enough.
//!
//! The numbers are *leaves*, 32 of them a *node*, each node one cache line. Above each level stands another
//! that holds the maxima of its nodes, up to one that has a few nodes, which are looked at one by one. Whoever looks
//! for the first number of a size goes down from there, always into the first lane that is large enough.
//!
//! A leaf whose number is negative is a *mark*: it means something to whoever put it there, and is never
//! large enough.

mod from;

use core::hint::{black_box, select_unpredictable};
use core::num::NonZero;

use crate::ground::lanes::{Each, LANES};
use crate::ground::prefetch::prefetch;
use crate::ground::table::{IndexMemory, Table};
use crate::words::error::Shortage;

/// Levels of the tree, leaves included: enough for 32^8 leaves.
const LEVELS: usize = 8;

/// Nodes that the top level may have: to look at so many takes less than another level above them.
const WIDTH: usize = 4;

/// Numbers and the maxima above them.
#[derive(Debug)]
pub(super) struct Maxima {
    /// Those above the top one are empty.
    levels: [Table<i16>; LEVELS],
    /// The level that has a few nodes.
    top: usize,
    /// How many.
    width: usize,
    /// Of each node of leaves, a lane that has its maximum.
    peaks: Table<u8>,
}

impl Maxima {
    pub(super) const fn empty() -> Self {
        Self {
            levels: [const { Table::empty() }; LEVELS],
            top: 0,
            width: 0,
            peaks: Table::empty(),
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
    ///
    /// Mostly that is the maximum of its node, known from above the leaves: whoever goes on with it does so at once,
    /// and only a comparison waits for the leaves, which are in no near cache where the row is long.
    #[inline(always)]
    pub(super) fn first(&self, bound: i16) -> Option<(usize, i16)> {
        let [leaves, nodes, regions, higher @ ..] = &self.levels;
        let bound = Each::new(bound);
        let mut index = self.first_at_top(bound)?;
        if self.top > 3 {
            index = first_below(higher.get(..self.top - 3)?, index, bound)?;
        }
        if self.top > 2 {
            index = step(regions, index, bound)?;
        }
        if self.top > 1 {
            index = step(nodes, index, bound)?;
        }
        let (peak, most) = (*self.peaks.get(index)?, *nodes.get(index)?);
        let (peak, line) = (usize::from(peak), leaves.line(index)?);
        let lane = lowest(line.above(bound));
        if lane == peak {
            return Some((index * LANES + peak, most));
        }
        // Hidden, or the compiler would take the lane in either case.
        let lane = black_box(lane);
        Some((index * LANES + lane, line.get(lane)?))
    }

    /// The first lane of the top level whose number is greater than `bound`.
    #[inline(always)]
    fn first_at_top(&self, bound: Each) -> Option<usize> {
        let level = self.levels.get(self.top)?;
        step(level, 0, bound).or_else(|| self.first_behind(bound))
    }

    /// As [`first_at_top`](Maxima::first_at_top), behind its first node.
    #[inline(never)]
    fn first_behind(&self, bound: Each) -> Option<usize> {
        let level = self.levels.get(self.top)?;
        (1..self.width).find_map(|node| step(level, node, bound))
    }

    /// Whether two leaves belong to different nodes.
    #[inline]
    pub(super) const fn are_apart(one: usize, other: usize) -> bool {
        one / LANES != other / LANES
    }

    /// The leaves, to be changed. Before a number changes, the maxima are put right by
    /// [`raise`](Maxima::raise) or [`put`](Maxima::put).
    #[inline]
    pub(super) fn leaves(&mut self) -> &mut [i16] {
        let [leaves, ..] = &mut self.levels;
        leaves
    }

    /// Puts the maxima right above a leaf that will have this number, of 0 or more, and has none or a smaller one now.
    ///
    /// Without a branch, and without a look at other lanes: how far a number lifts maxima is as good as random. Whole
    /// pieces of a line are stored, as they are loaded by the next search: what a processor has just stored in small
    /// pieces, it cannot load in a larger one until that and all stored before is in the cache.
    #[inline]
    pub(super) fn raise(&mut self, leaf: usize, number: i16) {
        self.raise_peak(leaf, number);
        let [_, levels @ ..] = &mut self.levels;
        let number = Each::new(number);
        let mut index = leaf / LANES;
        for level in levels.iter_mut().take(self.top) {
            if let Some(line) = level.line_mut(index / LANES) {
                line.raise(index % LANES, number);
            }
            index /= LANES;
        }
    }

    /// Puts a number into a leaf, and the maxima above it right.
    ///
    /// Without a branch, as [`raise`](Maxima::raise).
    #[inline]
    pub(super) fn put(&mut self, leaf: usize, number: i16) {
        let [leaves, levels @ ..] = &mut self.levels;
        let node = leaf / LANES;
        let Some(line) = leaves.line_mut(node) else {
            return;
        };
        line.put(leaf % LANES, Each::new(number));
        let mut new = line.maximum();
        if let Some(peak) = self.peaks.get_mut(node) {
            *peak = lowest(line.equal(new)) as u8;
        }
        let mut index = node;
        for (below, level) in levels.iter_mut().take(self.top).enumerate() {
            if let Some(line) = level.line_mut(index / LANES) {
                line.put(index % LANES, new);
                // Nothing stands above the top.
                if below + 1 == self.top {
                    return;
                }
                new = line.maximum();
            }
            index /= LANES;
        }
    }

    /// Puts a number into a leaf without one, and the maxima above it right. Stores small pieces: for numbers that many
    /// others follow before the next search.
    ///
    /// Without a branch, as [`raise`](Maxima::raise).
    #[inline]
    pub(super) fn raise_among(&mut self, leaf: usize, number: i16) {
        self.raise_peak(leaf, number);
        let [leaves, levels @ ..] = &mut self.levels;
        if let Some(place) = leaves.get_mut(leaf) {
            *place = number;
        }
        let mut index = leaf;
        for level in levels.iter_mut().take(self.top) {
            index /= LANES;
            if let Some(highest) = level.get_mut(index) {
                *highest = number.max(*highest);
            }
        }
    }

    /// Notes the lane of a leaf that will have this number, if that is more than its node's maximum.
    #[inline]
    fn raise_peak(&mut self, leaf: usize, number: i16) {
        let node = leaf / LANES;
        if let ([_, nodes, ..], Some(peak)) = (&self.levels, self.peaks.get_mut(node)) {
            let highest = nodes.get(node).copied().unwrap_or(0);
            *peak = select_unpredictable(number > highest, (leaf % LANES) as u8, *peak);
        }
    }

    /// Has room for `length` leaves at least, and two levels. Where one cannot grow, others may have; no harm.
    ///
    /// # Errors
    ///
    /// [`Shortage::Index`] without memory.
    #[cold]
    pub(super) fn grow(&mut self, length: usize, memory: &mut IndexMemory) -> Result<(), Shortage> {
        let mut nodes = length.div_ceil(LANES).max(2);
        let mut top = 0;
        // Of the nodes below a level that is new. There were no more before.
        let mut highest = [0; WIDTH];
        for (level, table) in self.levels.iter_mut().enumerate() {
            let is_new = level > self.top || table.is_empty();
            table.grow(nodes * LANES, memory)?;
            if is_new {
                let first = table.iter_mut().zip(highest);
                first.for_each(|(lane, highest)| *lane = highest);
            }
            if level == 0 {
                self.peaks.grow(table.len() / LANES, memory)?;
            }
            top = level;
            if nodes <= WIDTH && level > 0 {
                break;
            }
            for (node, highest) in highest.iter_mut().enumerate() {
                *highest = table.line(node).map_or(0, |line| line.maximum().get());
            }
            // A table may have grown by more than was asked for; the ones above reach as far.
            nodes = if level == 0 {
                (table.len() / LANES).div_ceil(LANES)
            } else {
                nodes.div_ceil(LANES)
            };
        }
        (self.top, self.width) = (top, nodes);
        Ok(())
    }
}

/// The first lane of a node whose number is greater than `bound`, if one is: only nodes of the top level may have none.
#[inline(always)]
fn step(level: &Table<i16>, node: usize, bound: Each) -> Option<usize> {
    let lanes = NonZero::new(level.line(node)?.above(bound))?;
    Some(node * LANES + lanes.trailing_zeros() as usize)
}

/// The first lane of the lowest of some levels, below a node of the highest.
#[inline(never)]
fn first_below(levels: &[Table<i16>], node: usize, bound: Each) -> Option<usize> {
    let mut index = node;
    for level in levels.iter().rev() {
        index = step(level, index, bound)?;
    }
    Some(index)
}

/// Index of the lowest bit of some.
#[inline]
fn lowest(lanes: u32) -> usize {
    lanes.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const REGION: usize = LANES * LANES;

    /// Leaves of trees that grow out of one another, and how many levels those have above the leaves, and nodes on top.
    const TREES: [(usize, usize, usize); 5] = [
        (REGION, 1, 2),
        (3 * REGION, 1, 4),
        (2 * LANES * REGION, 2, 2),
        (5 * LANES * REGION, 3, 1),
        (5 * REGION * REGION + 7, 4, 1),
    ];

    fn agree(maxima: &Maxima, numbers: &BTreeMap<usize, i16>, random: &mut fastrand::Rng) {
        let bits = random.u32(0..15);
        let bound = random.i16(0..=i16::MAX >> bits);
        let first = numbers.iter().find(|(_, number)| **number > bound);
        let first = first.map(|(index, number)| (*index, *number));
        assert_eq!(maxima.first(bound), first);
        let index = random.usize(0..maxima.length());
        let next = numbers.range(index..).find(|(_, n)| **n > bound);
        assert_eq!(
            maxima.first_from(index, bound),
            next.map(|(index, _)| *index)
        );
    }

    fn each_is_the_maximum_of_its_node(maxima: &Maxima) {
        for (below, level) in maxima.levels.iter().zip(maxima.levels.iter().skip(1)) {
            for (node, highest) in level.iter().enumerate() {
                let most = below.chunks(LANES).nth(node).into_iter().flatten().max();
                assert_eq!(*highest, most.copied().unwrap_or(0).max(0));
            }
        }
        for (node, (peak, highest)) in maxima.peaks.iter().zip(&*maxima.levels[1]).enumerate() {
            let at_peak = maxima.get(node * LANES + usize::from(*peak));
            assert!(*highest == 0 || at_peak == *highest);
        }
    }

    #[test]
    fn searches_agree_with_a_sorted_map_whatever_moves() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut maxima, mut memory) = (Maxima::empty(), IndexMemory::unlent());
        let mut numbers = BTreeMap::new();
        for step in 0..60_000 {
            let (length, top, width) = TREES[step / 12_000];
            if step % 12_000 == 0 {
                maxima.grow(length, &mut memory).unwrap();
                assert_eq!((maxima.top, maxima.width), (top, width));
                each_is_the_maximum_of_its_node(&maxima);
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
                if from != to {
                    maxima.put(from, 0);
                    maxima.leaves()[from] = 0;
                }
                maxima.put(to, number);
                maxima.leaves()[to] = number;
                numbers.remove(&from);
                if number > 0 {
                    numbers.insert(to, number);
                }
            } else if is_free(to) && random.bool() {
                match random.u8(..3) {
                    0 => maxima.put(to, number),
                    1 => maxima.raise(to, number),
                    _ => maxima.raise_among(to, number),
                }
                maxima.leaves()[to] = number;
                numbers.insert(to, number);
            } else if numbers.get(&to).is_some_and(|old| *old < number) && random.bool() {
                maxima.raise(to, number);
                maxima.leaves()[to] = number;
                numbers.insert(to, number);
            } else if is_free(to) {
                maxima.leaves()[to] = -number;
            }
            agree(&maxima, &numbers, &mut random);
            if step % 1000 == 999 {
                each_is_the_maximum_of_its_node(&maxima);
            }
        }
    }

    /// Up to where it did grow, it is whole, and grows on later.
    #[test]
    fn searches_go_on_where_a_level_could_not_grow() {
        let mut random = fastrand::Rng::with_seed(2);
        let mut refused = 0;
        for lent in (0..80_000).step_by(64) {
            let (mut maxima, mut memory) = (Maxima::empty(), IndexMemory::bounded(lent));
            let mut numbers = BTreeMap::new();
            let mut length = 0;
            for wanted in [1, LANES, 2, 40, LANES * LANES].map(|nodes| nodes * LANES) {
                match maxima.grow(wanted, &mut memory) {
                    Ok(()) => length = maxima.length(),
                    Err(_) => refused += 1,
                }
                for _ in 0..length.min(60) {
                    let (leaf, number) = (random.usize(..length), random.i16(1..=i16::MAX));
                    if numbers.remove(&leaf).is_some() {
                        maxima.put(leaf, 0);
                    } else {
                        maxima.put(leaf, number);
                        numbers.insert(leaf, number);
                    }
                    let (bound, from) = (random.i16(..), random.usize(..length));
                    let bound = bound.max(0);
                    let first = numbers.iter().find(|(_, number)| **number > bound);
                    let first = first.map(|(leaf, number)| (*leaf, *number));
                    assert_eq!(maxima.first(bound), first);
                    let next = numbers.range(from..).find(|(_, n)| **n > bound);
                    assert_eq!(maxima.first_from(from, bound), next.map(|(leaf, _)| *leaf));
                }
            }
            // Where memory is there again.
            let length = LANES * LANES * LANES;
            maxima.grow(length, &mut IndexMemory::unlent()).unwrap();
            each_is_the_maximum_of_its_node(&maxima);
            let found = numbers.iter().next().map(|(leaf, number)| (*leaf, *number));
            assert_eq!(maxima.first(0), found);
        }
        assert!(refused > 1000, "{refused}");
    }

    #[test]
    fn of_two_equal_numbers_the_one_that_stays_is_found() {
        for (gone, left) in [(3, 20), (20, 3)] {
            let mut maxima = Maxima::empty();
            maxima.grow(LANES, &mut IndexMemory::unlent()).unwrap();
            for leaf in [gone, left] {
                maxima.raise(leaf, 7);
                maxima.leaves()[leaf] = 7;
            }
            maxima.put(gone, 0);
            maxima.leaves()[gone] = 0;
            each_is_the_maximum_of_its_node(&maxima);
            assert_eq!(maxima.first(6), Some((left, 7)));
        }
    }
}
