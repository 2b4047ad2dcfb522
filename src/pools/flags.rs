//! A row of flags, a bit each.

use crate::pools::book::Book;

/// Flags in a row, all down at first.
#[derive(Debug)]
pub(crate) struct Flags {
    words: Book<u64>,
}

/// Flags in a word.
const WORD: usize = u64::BITS as usize;

impl Flags {
    /// Words of a book for so many flags.
    pub(crate) fn words(length: usize) -> usize {
        length.div_ceil(WORD)
    }

    pub(crate) fn new(words: Book<u64>) -> Self {
        Self { words }
    }

    /// Takes all flags down.
    pub(crate) fn clear(&self) {
        self.words.clear();
    }

    #[inline]
    fn word(&self, word: usize) -> u64 {
        self.words.at(word).map_or(0, |cell| cell.get())
    }

    /// Whether a flag is up.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> bool {
        self.word(index / WORD) >> (index % WORD) & 1 != 0
    }

    /// Puts one flag up or down.
    #[inline]
    pub(crate) fn put(&self, index: usize, up: bool) {
        self.fill(index, index + 1, up);
    }

    /// Puts the flags from one up to another, exclusively, up or down. O(flags / 64).
    #[inline]
    pub(crate) fn fill(&self, from: usize, to: usize, up: bool) {
        let mut at = from;
        while at < to {
            let word = at / WORD;
            let next = to.min((word + 1) * WORD);
            let mask = (u64::MAX >> (WORD - (next - at))) << (at % WORD);
            if let Some(cell) = self.words.at(word) {
                let rest = cell.get() & !mask;
                cell.set(if up { rest | mask } else { rest });
            }
            at = next;
        }
    }

    /// The first flag from one up to another, exclusively, that is up, or down, as wanted; else `to`.
    /// O(flags / 64).
    #[inline]
    pub(crate) fn next(&self, from: usize, to: usize, wanted: bool) -> usize {
        let flip = if wanted { 0 } else { u64::MAX };
        let mut at = from;
        while at < to {
            let found = (self.word(at / WORD) ^ flip) >> (at % WORD);
            if found != 0 {
                return to.min(at + found.trailing_zeros() as usize);
            }
            at = (at / WORD + 1) * WORD;
        }
        to
    }

    /// The last flag in front of one that is up. O(flags / 64).
    #[inline]
    pub(crate) fn last_before(&self, index: usize) -> Option<usize> {
        let mut at = index;
        while at > 0 {
            let word = (at - 1) / WORD;
            let found = self.word(word) << (WORD - (at - word * WORD));
            if found != 0 {
                return Some(at - 1 - found.leading_zeros() as usize);
            }
            at = word * WORD;
        }
        None
    }

    /// How many are up. O(flags / 64).
    pub(crate) fn count(&self) -> usize {
        let ones = |word: &core::cell::Cell<u64>| word.get().count_ones() as usize;
        self.words.cells().iter().map(ones).sum()
    }
}
