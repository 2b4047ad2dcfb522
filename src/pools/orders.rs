//! Free blocks of a buddy system by order, as flags on a tree.
//!
//! All blocks that a region can be halved into are the *nodes* of a binary tree: the region is node 1, the
//! halves of node `n` are `2n` and `2n + 1`, so two buddies differ in the lowest bit. A node's flag is up while
//! it is a free block. The nodes of an order, a level of that tree, lie side by side; the lowest that is
//! free is found by a tree of another kind over the flags, which has a bit for each word that is not 0, and
//! again one for each word of those. A bit for each order that has free blocks stands beside it.

use core::cell::Cell;

use crate::pools::book::Book;

/// Which nodes are free blocks.
#[derive(Debug)]
pub(crate) struct Orders {
    words: Book<u64>,
    /// The order of node 1: the region has two to so many smallest blocks.
    top: u32,
    /// A bit for each order that has free blocks.
    nonempty: Cell<u64>,
}

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

impl Orders {
    /// Words of a book for a region of two to so many smallest blocks.
    pub(crate) fn words(top: u32) -> usize {
        let above = |bits: &usize| (*bits > WORD).then(|| bits / WORD);
        core::iter::successors(Some(2 << top), above)
            .map(words_of)
            .sum()
    }

    /// No node is free. `words` as the function of that name says.
    pub(crate) fn new(words: Book<u64>, top: u32) -> Self {
        Self {
            words,
            top,
            nonempty: Cell::new(0),
        }
    }

    /// No node is free.
    pub(crate) fn clear(&self) {
        self.words.clear();
        self.nonempty.set(0);
    }

    /// The lowest order, from one on, that has free blocks.
    #[inline]
    pub(crate) fn from(&self, order: u32) -> Option<u32> {
        let found = self.nonempty.get() & (u64::MAX << order);
        (found != 0).then(|| found.trailing_zeros())
    }

    /// The highest order that has free blocks.
    pub(crate) fn highest(&self) -> Option<u32> {
        self.nonempty.get().checked_ilog2()
    }

    #[inline]
    fn word(&self, word: usize) -> u64 {
        self.words.at(word).map_or(0, Cell::get)
    }

    /// Whether a node is a free block.
    #[inline]
    pub(crate) fn is_free(&self, node: usize) -> bool {
        self.word(node / WORD) >> (node % WORD) & 1 != 0
    }

    /// The order of a node.
    #[inline]
    fn order(&self, node: usize) -> u32 {
        self.top.saturating_sub(node.ilog2())
    }

    /// Makes a node a free block.
    #[inline]
    pub(crate) fn insert(&self, node: usize) {
        self.nonempty
            .set(self.nonempty.get() | 1 << self.order(node));
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

    /// Makes a free block none.
    #[inline]
    pub(crate) fn remove(&self, node: usize) {
        let (mut bit, mut start, mut bits) = (node, 0, 2 << self.top);
        while let Some(cell) = self.words.at(start + bit / WORD) {
            let new = cell.get() & !(1 << (bit % WORD));
            cell.set(new);
            if bit < 2 * WORD {
                if new & reach(bit) == 0 {
                    let gone = 1 << self.order(node);
                    self.nonempty.set(self.nonempty.get() & !gone);
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

    /// The lowest free block of an order that has some; `None` if the flags are damaged.
    #[inline]
    pub(crate) fn lowest(&self, order: u32) -> Option<usize> {
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

    /// How many nodes are free blocks. O(nodes / 64).
    pub(crate) fn count(&self) -> usize {
        let leaves = self.words.cells().iter().take(words_of(2 << self.top));
        leaves.map(|word| word.get().count_ones() as usize).sum()
    }

    /// Whether every summary agrees with what it sums up. O(nodes / 64).
    pub(crate) fn is_sound(&self) -> bool {
        let (mut start, mut bits) = (0, 2_usize << self.top);
        while bits > 2 * WORD {
            let above = start + words_of(bits);
            let sound = (1..words_of(bits)).all(|word| {
                let summary = self.word(above + word / WORD) >> (word % WORD) & 1 != 0;
                summary == (self.word(start + word) != 0)
            });
            if !sound {
                return false;
            }
            start = above;
            bits /= WORD;
        }
        (0..=self.top).all(|order| {
            let flagged = self.nonempty.get() >> order & 1 != 0;
            let first = 1_usize << (self.top - order);
            flagged == (first..2 * first).any(|node| self.is_free(node))
        })
    }
}

/// The lowest bit of a word that has one.
#[inline]
fn bit_of(word: u64) -> Option<usize> {
    (word != 0).then(|| word.trailing_zeros() as usize)
}
