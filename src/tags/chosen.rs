//! Which accounts somebody chose: a bit for each.

use crate::ground::table::{IndexMemory, Table};
use crate::words::error::Shortage;

/// Some of the accounts, by their indexes. Takes memory when the first is chosen.
#[derive(Debug)]
pub(crate) struct Chosen {
    words: Table<u64>,
}

const BITS: usize = u64::BITS as usize;

impl Chosen {
    pub(crate) const fn empty() -> Self {
        Self {
            words: Table::empty(),
        }
    }

    /// Has room for so many accounts, of which none is chosen.
    ///
    /// # Errors
    ///
    /// [`Shortage::Index`] without memory.
    pub(crate) fn begin(
        &mut self,
        accounts: usize,
        memory: &mut IndexMemory,
    ) -> Result<(), Shortage> {
        self.words.grow(accounts.div_ceil(BITS), memory)?;
        self.words.fill(0);
        Ok(())
    }

    pub(crate) fn add(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / BITS) {
            *word |= 1 << (index % BITS);
        }
    }

    pub(crate) fn has(&self, index: usize) -> bool {
        let word = self.words.get(index / BITS);
        word.is_some_and(|word| word >> (index % BITS) & 1 == 1)
    }

    /// The first at `from` or behind.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let first = from / BITS;
        let words = self.words.get(first..)?.iter();
        let mut bits = words.zip(first..).map(|(word, nth)| match nth {
            _ if nth == first => (word & u64::MAX << (from % BITS), nth),
            _ => (*word, nth),
        });
        let (word, nth) = bits.find(|(word, _)| *word != 0)?;
        Some(nth * BITS + word.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_agrees_with_a_set_each_time_anew() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut chosen, mut memory) = (Chosen::empty(), IndexMemory::unlent());
        for accounts in [1, 63, 64, 65, 3000, 200] {
            chosen.begin(accounts, &mut memory).unwrap();
            assert_eq!(chosen.next(0), None, "none of the last time");
            let count = random.usize(1..=accounts);
            let set: BTreeSet<_> = (0..count).map(|_| random.usize(..accounts)).collect();
            set.iter().for_each(|index| chosen.add(*index));
            for index in 0..accounts + 200 {
                assert_eq!(chosen.has(index), set.contains(&index));
                assert_eq!(chosen.next(index), set.range(index..).next().copied());
            }
        }
    }

    #[test]
    fn without_memory_it_says_so() {
        let mut memory = IndexMemory::bounded(256);
        let mut chosen = Chosen::empty();
        assert_eq!(chosen.begin(5000, &mut memory), Err(Shortage::Index));
        chosen.begin(500, &mut memory).unwrap();
        chosen.add(499);
        assert_eq!(chosen.next(0), Some(499));
    }
}
