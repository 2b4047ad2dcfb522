//! Free blocks of a buddy system by order, beside the blocks.
//!
//! All blocks that a region can be halved into are the *nodes* of a binary tree: the region is node 1, the
//! halves of node `n` are `2n` and `2n + 1`, so two buddies differ in the lowest bit. The nodes of an order, a
//! level of that tree, lie side by side. A node's flag is up while it is a free block; the lowest of an order
//! is found by a tree of another kind over the flags, which has a bit for each word that is not 0, and again
//! one for each word of those.
//!
//! Mostly an order has one free block, or none. So the lowest of each order stands in a row of its own, and only
//! the others have flags.

use core::cell::Cell;

use crate::pools::book::Book;

/// Which blocks are free. A block is named by the number of its first smallest block, and its order.
#[derive(Debug)]
pub(crate) struct Orders {
    words: Book<u64>,
    /// The order of the region: it has two to so many smallest blocks, which are of order 0.
    top: u32,
    /// A bit for each order that has free blocks.
    nonempty: Cell<u64>,
    /// A bit for each order that has flags up.
    more: Cell<u64>,
    /// The lowest free block of each order that has some; else [`NONE`].
    lowest: [Cell<usize>; ORDERS],
}

/// Orders that any region has at most.
const ORDERS: usize = 64;

/// No block.
const NONE: usize = usize::MAX;

/// Bits in a word.
const WORD: usize = u64::BITS as usize;

/// Words that a level with so many bits has.
#[inline]
const fn words_of(bits: usize) -> usize {
    if bits > WORD { bits / WORD } else { 1 }
}

/// The bits of an order's nodes in the one word where its last summary is, from any bit of them.
#[inline]
const fn reach(bit: usize) -> u64 {
    let first = 1 << bit.ilog2();
    if first >= WORD {
        u64::MAX
    } else {
        ((1 << first) - 1) << first
    }
}

/// The lowest bit of a word that has one.
#[inline]
fn bit_of(word: u64) -> Option<usize> {
    (word != 0).then(|| word.trailing_zeros() as usize)
}

impl Orders {
    /// Words of a book for a region of two to so many smallest blocks.
    pub(crate) fn words(top: u32) -> usize {
        let above = |bits: &usize| (*bits > WORD).then(|| bits / WORD);
        let levels = core::iter::successors(Some(2 << top), above);
        levels.map(words_of).sum()
    }

    /// Nothing is free. `words` as the function of that name says.
    pub(crate) fn new(words: Book<u64>, top: u32) -> Self {
        Self {
            words,
            top,
            nonempty: Cell::new(0),
            more: Cell::new(0),
            lowest: [const { Cell::new(NONE) }; ORDERS],
        }
    }

    /// Nothing is free.
    pub(crate) fn clear(&self) {
        self.words.clear();
        self.nonempty.set(0);
        self.more.set(0);
        self.lowest.iter().for_each(|lowest| lowest.set(NONE));
    }

    /// The highest order that has free blocks.
    pub(crate) fn highest(&self) -> Option<u32> {
        self.nonempty.get().checked_ilog2()
    }

    /// The lowest free block of an order.
    #[inline]
    fn lowest(&self, order: u32) -> &Cell<usize> {
        let [first, ..] = &self.lowest;
        self.lowest.get(order as usize % ORDERS).unwrap_or(first)
    }

    #[inline]
    fn has_more(&self, order: u32) -> bool {
        self.more.get() >> order & 1 != 0
    }

    #[inline]
    fn node(&self, block: usize, order: u32) -> usize {
        ((1 << self.top) + block) >> order
    }

    #[inline]
    fn block(&self, node: usize, order: u32) -> usize {
        (node << order) - (1 << self.top)
    }

    /// Whether a block is free, and neither a part of a free one nor divided.
    pub(crate) fn is_free(&self, block: usize, order: u32) -> bool {
        self.lowest(order).get() == block || self.is_up(self.node(block, order))
    }

    /// Whether any block of an order is free.
    #[inline]
    pub(crate) fn has(&self, order: u32) -> bool {
        self.nonempty.get() >> order & 1 != 0
    }

    /// Takes the lowest of the smallest free blocks of an order or a higher one, halved as long as it is
    /// larger than of that order; its upper halves are free. `None` if there is none.
    pub(crate) fn take(&self, order: u32) -> Option<usize> {
        self.take_only(order).or_else(|| self.take_of_more(order))
    }

    /// As [`take`](Orders::take); `None`, too, if there are several to choose the lowest from.
    #[inline]
    pub(crate) fn take_only(&self, order: u32) -> Option<usize> {
        let nonempty = self.nonempty.get();
        let found = nonempty & (u64::MAX << order);
        let first = found & found.wrapping_neg();
        if first & !self.more.get() == 0 {
            return None;
        }
        let lowest = self.lowest(first.trailing_zeros());
        let block = lowest.get();
        lowest.set(NONE);
        self.halve(block, first - (1 << order));
        // The lowest bit from `order` on goes, and those from `order` up to it come.
        self.nonempty.set(nonempty - (1 << order));
        Some(block)
    }

    /// As [`take`](Orders::take), from an order that has some in the tree, if any.
    #[inline(never)]
    fn take_of_more(&self, order: u32) -> Option<usize> {
        let found = self.nonempty.get() & (u64::MAX << order);
        let from = bit_of(found)? as u32;
        let block = self.lowest(from).get();
        self.take_next(from);
        let halves = (1 << from) - (1 << order);
        self.halve(block, halves);
        self.nonempty.set(self.nonempty.get() | halves);
        Some(block)
    }

    /// Notes that upper halves of a block are free, which is halved down: a bit for each one's order, in which none
    /// is free yet.
    #[inline]
    fn halve(&self, block: usize, halves: u64) {
        let mut halves = halves;
        while halves != 0 {
            let half = halves & halves.wrapping_neg();
            self.lowest(half.trailing_zeros())
                .set(block + half as usize);
            halves &= halves - 1;
        }
    }

    /// Makes a block free, joined with its other half if that is free, and so on.
    #[inline]
    pub(crate) fn join(&self, block: usize, order: u32) {
        let nonempty = self.nonempty.get();
        // The sum carries over orders that have free blocks to the first that has none.
        let joined = nonempty + (1 << order);
        let passed = nonempty & !joined;
        if self.more.get() & passed != 0 {
            return self.join_slowly(block, order);
        }
        let (mut block, mut order) = (block, order);
        let mut rest = passed >> order;
        while rest != 0 {
            let lowest = self.lowest(order);
            // The other half of the whole region lies outside, and is never free.
            if lowest.get() != block ^ 1 << order {
                self.nonempty.set(nonempty & !passed | rest << order);
                return self.join_slowly(block, order);
            }
            lowest.set(NONE);
            block &= !(1 << order);
            order += 1;
            rest >>= 1;
        }
        self.lowest(order).set(block);
        self.nonempty.set(joined);
    }

    /// As [`join`](Orders::join), where some are in the tree.
    #[inline(never)]
    fn join_slowly(&self, block: usize, order: u32) {
        let (mut block, mut order) = (block, order);
        while order < self.top {
            let other = block ^ 1 << order;
            if !self.is_free(other, order) {
                break;
            }
            self.remove(other, order);
            block = block.min(other);
            order += 1;
        }
        self.insert(block, order);
    }

    /// Makes a block free, as it is.
    pub(crate) fn insert(&self, block: usize, order: u32) {
        let lowest = self.lowest(order);
        let was = lowest.get();
        if was == NONE {
            lowest.set(block);
            self.nonempty.set(self.nonempty.get() | 1 << order);
            return;
        }
        lowest.set(was.min(block));
        self.put_up(self.node(was.max(block), order), order);
    }

    /// Makes a free block none.
    pub(crate) fn remove(&self, block: usize, order: u32) {
        let lowest = self.lowest(order);
        if lowest.get() != block {
            self.put_down(self.node(block, order), order);
            return;
        }
        self.take_next(order);
    }

    /// The lowest block of an order is none any more; the next takes its place.
    fn take_next(&self, order: u32) {
        let next = if self.has_more(order) {
            self.first_up(order)
        } else {
            None
        };
        let Some(next) = next else {
            self.lowest(order).set(NONE);
            self.nonempty.set(self.nonempty.get() & !(1 << order));
            return;
        };
        self.put_down(next, order);
        self.lowest(order).set(self.block(next, order));
    }

    #[inline]
    fn word(&self, word: usize) -> u64 {
        self.words.at(word).map_or(0, Cell::get)
    }

    #[inline]
    fn is_up(&self, node: usize) -> bool {
        self.word(node / WORD) >> (node % WORD) & 1 != 0
    }

    #[inline]
    fn put_up(&self, node: usize, order: u32) {
        self.more.set(self.more.get() | 1 << order);
        let (mut bit, mut start, mut bits) = (node, 0, 2 << self.top);
        while let Some(cell) = self.words.at(start + bit / WORD) {
            let old = cell.get();
            cell.set(old | 1 << (bit % WORD));
            // The word was not 0, or nothing is asked above it.
            if old != 0 || bit < 2 * WORD {
                return;
            }
            bit /= WORD;
            start += words_of(bits);
            bits /= WORD;
        }
    }

    #[inline]
    fn put_down(&self, node: usize, order: u32) {
        let (mut bit, mut start, mut bits) = (node, 0, 2 << self.top);
        while let Some(cell) = self.words.at(start + bit / WORD) {
            let new = cell.get() & !(1 << (bit % WORD));
            cell.set(new);
            if bit < 2 * WORD {
                if new & reach(bit) == 0 {
                    self.more.set(self.more.get() & !(1 << order));
                }
                return;
            }
            if new != 0 {
                return;
            }
            bit /= WORD;
            start += words_of(bits);
            bits /= WORD;
        }
    }

    /// The lowest node of an order that has a flag; `None` if the flags are damaged.
    #[inline]
    fn first_up(&self, order: u32) -> Option<usize> {
        // The order's nodes are the bits from `first` to twice that; go up to where they are in one word.
        let mut first = 1_usize << self.top.saturating_sub(order);
        let (mut start, mut bits) = (0, 2 << self.top);
        let mut levels = 0;
        while first > WORD {
            first /= WORD;
            start += words_of(bits);
            bits /= WORD;
            levels += 1;
        }
        let word = self.word(start + first / WORD) & reach(first);
        let mut found = first / WORD * WORD + bit_of(word)?;
        for _ in 0..levels {
            bits *= WORD;
            start -= words_of(bits);
            found = found * WORD + bit_of(self.word(start + found))?;
        }
        Some(found)
    }

    /// How many blocks are free. O(nodes / 64).
    pub(crate) fn count(&self) -> usize {
        let leaves = self.words.cells().iter().take(words_of(2 << self.top));
        let others: u32 = leaves.map(|word| word.get().count_ones()).sum();
        (others + self.nonempty.get().count_ones()) as usize
    }

    /// Whether every summary agrees with what it sums up. O(nodes).
    pub(crate) fn is_sound(&self) -> bool {
        let (mut start, mut bits) = (0, 2_usize << self.top);
        while bits > 2 * WORD {
            let above = start + words_of(bits);
            // Of an order within the first two words nothing is asked above.
            let sound = (2..words_of(bits)).all(|word| {
                let summary = self.word(above + word / WORD) >> (word % WORD) & 1 != 0;
                summary == (self.word(start + word) != 0)
            });
            if !sound {
                return false;
            }
            start = above;
            bits /= WORD;
        }
        (0..ORDERS as u32).all(|order| self.is_sound_in(order))
    }

    /// Whether what stands beside the tree agrees with it on an order.
    fn is_sound_in(&self, order: u32) -> bool {
        let lowest = self.lowest(order).get();
        let nonempty = self.nonempty.get() >> order & 1 != 0;
        let more = self.more.get() >> order & 1 != 0;
        let Some(depth) = self.top.checked_sub(order) else {
            return !nonempty && !more && lowest == NONE;
        };
        let mut nodes = 1_usize << depth..2 << depth;
        let next = nodes.find(|node| self.is_up(*node));
        let ordered = next.is_none_or(|next| lowest < self.block(next, order));
        let known = if nonempty {
            lowest >> self.top == 0 && lowest.is_multiple_of(1 << order)
        } else {
            lowest == NONE
        };
        known && ordered && more == next.is_some()
    }
}
