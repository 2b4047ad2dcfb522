//! Accounts by tag: a hash table with linear probing over a dense array.

use crate::ground::table::{IndexMemory, Table};
use crate::memory::root::AccountsPlace;
use crate::tags::account::Account;
use crate::words::error::Shortage;
use crate::words::tag::Tag;

/// All accounts. Making one costs no more than its two cache lines and a word of the hash table.
#[derive(Debug)]
pub(crate) struct Accounts {
    accounts: Table<Account>,
    /// How many of them are in use.
    count: usize,
    /// An account's index and one, or 0, at the hash of its tag or behind it.
    places: Table<u32>,
    /// Log2 of how many of the places are used.
    bits: u32,
    /// By how much a tag's mix is shifted to leave so many bits.
    shift: u32,
    /// Where somebody outside is told of them.
    told_at: Option<AccountsPlace>,
}

/// Log2 of the places at the start: room for eight accounts.
const FIRST_BITS: u32 = 4;

impl Accounts {
    pub(crate) const fn empty() -> Self {
        Self {
            accounts: Table::empty(),
            count: 0,
            places: Table::empty(),
            bits: 0,
            shift: u64::BITS - 1,
            told_at: None,
        }
    }

    /// Tells at this place where they are, from now on.
    pub(crate) fn tell_at(&mut self, place: AccountsPlace) {
        self.told_at = Some(place);
        self.tell();
    }

    /// Where they lie, and how many entries there are; zeros where there are none.
    pub(crate) fn place(&self) -> [u64; 2] {
        match self.accounts.as_ptr_range() {
            range if range.is_empty() => [0; 2],
            range => [range.start.addr() as u64, self.accounts.len() as u64],
        }
    }

    fn tell(&mut self) {
        let place = self.place();
        if let Some(told_at) = &mut self.told_at {
            told_at.tell(place);
        }
    }

    /// Has room for so many entries.
    fn grow(&mut self, length: usize, memory: &mut IndexMemory) -> Result<(), Shortage> {
        let grown = self.accounts.grow(length, memory);
        self.tell();
        grown
    }

    /// Makes room for the first accounts.
    pub(crate) fn prepare(&mut self, memory: &mut IndexMemory) -> Result<(), Shortage> {
        self.widen(memory)
    }

    /// The index of a tag's account.
    #[inline(always)]
    pub(crate) fn find(&self, tag: Tag) -> Option<usize> {
        let home = self.home(tag);
        let index = self.index_at(home)?;
        if self.accounts.get(index)?.tag == tag {
            return Some(index);
        }
        self.find_behind(home, tag)
    }

    /// As [`find`](Accounts::find), where the account had this index before, if it was there.
    #[inline(always)]
    pub(crate) fn find_again(&self, index: usize, tag: Tag) -> Option<usize> {
        // Behind the last is none, whatever stands there.
        let is_there = index < self.count && self.accounts.get(index)?.tag == tag;
        if is_there {
            Some(index)
        } else {
            self.find_by_call(tag)
        }
    }

    #[inline(never)]
    fn find_by_call(&self, tag: Tag) -> Option<usize> {
        self.find(tag)
    }

    /// As [`find`](Accounts::find), where another tag stands in this one's place.
    #[inline(never)]
    fn find_behind(&self, home: usize, tag: Tag) -> Option<usize> {
        let mut place = home;
        loop {
            place = self.next(place);
            let index = self.index_at(place)?;
            if self.accounts.get(index)?.tag == tag {
                return Some(index);
            }
        }
    }

    /// The index of the account at a place of the hash table.
    #[inline]
    fn index_at(&self, place: usize) -> Option<usize> {
        Some(self.places.get(place)?.checked_sub(1)? as usize)
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&Account> {
        self.accounts.get(index)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Account> {
        self.accounts.get_mut(index)
    }

    /// A tag's account.
    #[inline]
    pub(crate) fn by_tag_mut(&mut self, tag: Tag) -> Option<&mut Account> {
        let index = self.find(tag)?;
        self.get_mut(index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().take(self.count)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Makes an account for a tag that has none; its index.
    #[cold]
    pub(crate) fn add(&mut self, tag: Tag, memory: &mut IndexMemory) -> Result<usize, Shortage> {
        let index = self.count;
        if self.bits == 0 || index >= 1 << (self.bits - 1) {
            self.widen(memory)?;
        }
        self.grow(index + 1, memory)?;
        let account = self.accounts.get_mut(index).ok_or(Shortage::Index)?;
        *account = Account::new(tag);
        self.count += 1;
        self.enter(tag, index);
        Ok(index)
    }

    /// Doubles the hash table, and enters all accounts anew.
    fn widen(&mut self, memory: &mut IndexMemory) -> Result<(), Shortage> {
        let bits = (self.bits + 1).max(FIRST_BITS);
        self.grow(1 << (FIRST_BITS - 1), memory)?;
        self.places.grow(1 << bits, memory)?;
        self.bits = bits;
        self.shift = u64::BITS - bits;
        self.places.fill(0);
        for index in 0..self.count {
            if let Some(tag) = self.accounts.get(index).map(|account| account.tag) {
                self.enter(tag, index);
            }
        }
        Ok(())
    }

    fn enter(&mut self, tag: Tag, index: usize) {
        let mut place = self.home(tag);
        while self.places.get(place).is_some_and(|taken| *taken != 0) {
            place = self.next(place);
        }
        if let Some(place) = self.places.get_mut(place) {
            *place = index as u32 + 1;
        }
    }

    /// Forgets a tag. The last account moves into its index, and its own entry is of no tag then.
    pub(crate) fn remove(&mut self, tag: Tag) {
        let Some(index) = self.find(tag) else { return };
        self.leave(tag);
        self.count -= 1;
        let Some(last) = self.accounts.get(self.count).copied() else {
            return;
        };
        if index != self.count {
            self.leave(last.tag);
            if let Some(account) = self.accounts.get_mut(index) {
                *account = last;
            }
            self.enter(last.tag, index);
        }
        if let Some(account) = self.accounts.get_mut(self.count) {
            *account = Account::new(Tag::FREE);
        }
    }

    /// Takes a tag out of the hash table, and moves back what stood behind it for want of its own place
    /// (Knuth, The Art of Computer Programming, volume 3, section 6.4, algorithm R).
    fn leave(&mut self, tag: Tag) {
        let mut hole = self.home(tag);
        while self.tag_at(hole).is_some_and(|other| other != tag) {
            hole = self.next(hole);
        }
        let mut place = hole;
        loop {
            place = self.next(place);
            let Some(other) = self.tag_at(place) else {
                break;
            };
            let mask = (1 << self.bits) - 1;
            let from_home = place.wrapping_sub(self.home(other)) & mask;
            let from_hole = place.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                let moved = self.places.get(place).copied().unwrap_or(0);
                if let Some(hole) = self.places.get_mut(hole) {
                    *hole = moved;
                }
                hole = place;
            }
        }
        if let Some(hole) = self.places.get_mut(hole) {
            *hole = 0;
        }
    }

    fn tag_at(&self, place: usize) -> Option<Tag> {
        let index = self.index_at(place)?;
        self.accounts.get(index).map(|account| account.tag)
    }

    /// Where a tag would stand if no other did, by Fibonacci hashing.
    #[inline]
    fn home(&self, tag: Tag) -> usize {
        let mixed = (tag.number() ^ (tag.number() >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed.wrapping_shr(self.shift) as usize
    }

    #[inline]
    fn next(&self, place: usize) -> usize {
        (place + 1) & ((1 << self.bits) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reads them from outside stops at the first of no tag.
    #[test]
    fn entries_of_no_tag_stand_behind_all_others() {
        let mut accounts = Accounts::empty();
        let mut memory = IndexMemory::unlent();
        let tags = (1..100).map(Tag::new);
        for tag in tags.clone() {
            accounts.add(tag, &mut memory).unwrap();
        }
        for gone in tags.filter(|tag| tag.number() % 3 > 0) {
            accounts.remove(gone);
            let (used, rest) = (accounts.count, accounts.accounts.len());
            let is_used = |index| accounts.get(index).unwrap().tag != Tag::FREE;
            assert!((0..used).all(is_used));
            assert!(!(used..rest).any(is_used));
        }
    }

    #[test]
    fn an_account_is_found_again_unless_it_is_gone_or_moved() {
        let mut accounts = Accounts::empty();
        let mut memory = IndexMemory::unlent();
        let tags = [1, 2, 3].map(Tag::new);
        let known = tags.map(|tag| accounts.add(tag, &mut memory).unwrap());
        let [one, two, three] = tags;
        assert_eq!(known.map(Some), tags.map(|tag| accounts.find(tag)));
        accounts.remove(one);
        let again = |accounts: &Accounts, tag: Tag, place: usize| {
            let index = accounts.find_again(known[place], tag);
            assert!(index.is_none_or(|index| accounts.get(index).unwrap().tag == tag));
            index
        };
        assert_eq!(again(&accounts, one, 0), None);
        assert_eq!(again(&accounts, two, 1), Some(known[1]));
        assert_eq!(again(&accounts, three, 2), Some(known[0]), "moved");
        accounts.remove(two);
        accounts.remove(three);
        for (place, tag) in tags.into_iter().enumerate() {
            assert_eq!(again(&accounts, tag, place), None);
        }
    }
}
