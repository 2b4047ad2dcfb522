//! Which accounts somebody chose, to be gone through more than once.

use crate::ground::table::{IndexMemory, Table};
use crate::tags::account::Account;
use crate::tags::ledger::Ledger;
use crate::words::error::Shortage;
use crate::words::tag::Tag;

/// Some of the accounts, a bit for each index. Takes memory when the first is chosen.
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

/// How much stands in the lists of some accounts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) blocks: usize,
    /// Places of the lists, holes included.
    pub(crate) places: usize,
    /// Whether all of the blocks stand there.
    pub(crate) is_all: bool,
}

impl Listed {
    const NOTHING: Self = Self {
        blocks: 0,
        places: 0,
        is_all: true,
    };

    /// Of one account.
    pub(crate) fn of(account: &Account) -> Self {
        let mut listed = Self::NOTHING;
        listed.add(account);
        listed
    }

    fn add(&mut self, account: &Account) {
        self.blocks += account.blocks;
        self.places += account.list.length();
        self.is_all &= account.is_listed();
    }
}

impl Ledger {
    /// Chooses among the tags that hold blocks, and no longer those chosen before. What they hold together.
    ///
    /// # Errors
    ///
    /// [`Shortage::Index`] without memory to note them in.
    pub(crate) fn choose(
        &mut self,
        mut pick: impl FnMut(Tag) -> bool,
        memory: &mut IndexMemory,
    ) -> Result<Listed, Shortage> {
        self.chosen.begin(self.accounts.count(), memory)?;
        let mut listed = Listed::NOTHING;
        for (index, account) in self.accounts.iter().enumerate() {
            if account.blocks > 0 && pick(account.tag) {
                self.chosen.add(index);
                listed.add(account);
            }
        }
        Ok(listed)
    }

    /// The first of the chosen accounts at an index or behind, and the index behind that.
    pub(crate) fn chosen_from(&self, index: usize) -> Option<(&Account, usize)> {
        let index = self.chosen.next(index)?;
        Some((self.accounts.get(index)?, index + 1))
    }

    /// Whether a tag was chosen.
    pub(crate) fn is_chosen(&self, tag: Tag) -> bool {
        let index = self.accounts.find(tag);
        index.is_some_and(|index| self.chosen.has(index))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tags::ledger::Entered;

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
    fn one_unlisted_block_of_many_tags_shows() {
        let mut memory = IndexMemory::unlent();
        let mut ledger = Ledger::new(&mut memory).unwrap();
        // Too far behind the base for an entry.
        for (number, offset) in [(1, 0), (2, 1 << 40), (3, 0)] {
            let id = ledger.open(Tag::new(number), &mut memory).unwrap();
            let entered = Entered {
                offset,
                size: 48,
                requested: 16,
                epoch: 0,
                allocated: None,
            };
            ledger.enter(id, entered, &mut memory);
        }
        for (picked, is_all) in [(&[1, 2, 3][..], false), (&[2], false), (&[1, 3], true)] {
            let pick = |tag: Tag| picked.contains(&tag.number());
            let listed = ledger.choose(pick, &mut memory).unwrap();
            assert_eq!((listed.blocks, listed.is_all), (picked.len(), is_all));
            for number in 1..=3 {
                assert_eq!(ledger.is_chosen(Tag::new(number)), picked.contains(&number));
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
