//! A row of flags under a tree of summaries, so that the last that is up is found at once.
//!
//! Above each row of words stands another, with a bit for each word that is not 0, up to a row of one word.
//! The van Emde Boas tree with branches of 64: P. van Emde Boas, *Preserving order in a forest in less than
//! logarithmic time* (1975).

use crate::pools::book::Book;

/// Flags in a row, all down at first; O(log64 flags) whatever is asked.
#[derive(Debug)]
pub(crate) struct BitTree {
    words: Book<u64>,
    /// Where each level's words start; the leaves first.
    starts: [usize; LEVELS],
    /// The level that has one word.
    top: usize,
}

/// Flags in a word.
const WORD: usize = u64::BITS as usize;

/// Levels of the tree: enough for 64^8 flags.
const LEVELS: usize = 8;

impl BitTree {
    /// Words of a book for so many flags, at least one.
    pub(crate) fn words(length: usize) -> usize {
        let level = |bits: &usize| Some(bits.div_ceil(WORD)).filter(|_| *bits > 1);
        core::iter::successors(Some(length.max(2)), level)
            .skip(1)
            .sum()
    }

    pub(crate) fn new(words: Book<u64>, length: usize) -> Self {
        let (mut starts, mut top, mut start) = ([0; LEVELS], 0, 0);
        let mut bits = length.max(2);
        for (level, slot) in starts.iter_mut().enumerate() {
            *slot = start;
            top = level;
            bits = bits.div_ceil(WORD);
            start += bits;
            if bits == 1 {
                break;
            }
        }
        Self { words, starts, top }
    }

    /// Takes all flags down.
    pub(crate) fn clear(&self) {
        self.words.clear();
    }

    #[inline]
    fn word(&self, level: usize, word: usize) -> Option<&core::cell::Cell<u64>> {
        let start = self.starts.get(level)?;
        self.words.at(start + word)
    }

    #[inline]
    fn bits(&self, level: usize, word: usize) -> u64 {
        self.word(level, word).map_or(0, |cell| cell.get())
    }

    /// Puts a flag up.
    #[inline]
    pub(crate) fn set(&self, index: usize) {
        let mut index = index;
        for level in 0..=self.top {
            let Some(cell) = self.word(level, index / WORD) else {
                return;
            };
            let old = cell.get();
            cell.set(old | 1 << (index % WORD));
            if old != 0 {
                return;
            }
            index /= WORD;
        }
    }

    /// Puts a flag down.
    #[inline]
    pub(crate) fn unset(&self, index: usize) {
        let mut index = index;
        for level in 0..=self.top {
            let Some(cell) = self.word(level, index / WORD) else {
                return;
            };
            let new = cell.get() & !(1 << (index % WORD));
            cell.set(new);
            if new != 0 {
                return;
            }
            index /= WORD;
        }
    }

    /// The last flag at or in front of one that is up.
    #[inline]
    pub(crate) fn last_upto(&self, index: usize) -> Option<usize> {
        let (mut level, mut index) = (0, index);
        loop {
            let word = index / WORD;
            let found = self.bits(level, word) & (u64::MAX >> (WORD - 1 - index % WORD));
            if let Some(bit) = found.checked_ilog2() {
                index = word * WORD + bit as usize;
                break;
            }
            if level == self.top {
                return None;
            }
            index = word.checked_sub(1)?;
            level += 1;
        }
        while level > 0 {
            level -= 1;
            let bit = self.bits(level, index).checked_ilog2()?;
            index = index * WORD + bit as usize;
        }
        Some(index)
    }

    /// How many are up, or `None` if the summaries disagree with the flags. O(flags / 64).
    pub(crate) fn count(&self, length: usize) -> Option<usize> {
        let (mut count, mut bits) = (0, length.max(2));
        for level in 0..=self.top {
            let words = bits.div_ceil(WORD);
            for word in 0..words {
                let held = self.bits(level, word);
                let summary = self.bits(level + 1, word / WORD) >> (word % WORD) & 1 != 0;
                if level < self.top && summary != (held != 0) {
                    return None;
                }
                count += if level == 0 {
                    held.count_ones() as usize
                } else {
                    0
                };
            }
            bits = words;
        }
        Some(count)
    }
}
