//! The ledger: an account for every tag, and the list of its blocks.
//!
//! A tag needs no creation step: its account is opened by the first request under it. Where there is no
//! memory for accounts at all, as in a small buffer, the ledger is off, and who asks walks the row.
//! Where there is none for a list, blocks are *unlisted*: they are counted, but found by a walk.

pub(crate) mod chosen;

use core::ops::Range;

use crate::ground::table::IndexMemory;
use crate::memory::root::AccountsPlace;
use crate::tags::account::Account;
use crate::tags::accounts::Accounts;
use crate::tags::ledger::chosen::Chosen;
use crate::tags::list::{Entry, Lists};
use crate::words::error::Shortage;
use crate::words::slot::Slot;
use crate::words::stats::{Amount, Mark, TagStats};
use crate::words::tag::Tag;

/// All accounts and lists.
#[derive(Debug)]
pub(crate) struct Ledger {
    accounts: Accounts,
    lists: Lists,
    /// Those that a release of several takes.
    chosen: Chosen,
    is_on: bool,
    /// Blocks in all accounts.
    blocks: usize,
    /// Counts marks, from `epoch_base` on.
    epoch: u32,
    epoch_base: u64,
}

/// The account of a tag, by its index; of no tag where the ledger is off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountId(usize);

/// A block as the ledger sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entered {
    /// Bytes from the base to the header.
    pub(crate) offset: usize,
    /// Bytes, header included.
    pub(crate) size: usize,
    /// Bytes asked for, as far as its header tells.
    pub(crate) requested: usize,
    /// In which epoch it was allocated.
    pub(crate) epoch: u32,
    /// Bytes of the layout, if the account counts an allocation.
    pub(crate) allocated: Option<usize>,
}

/// Marks after which old epochs are forgotten.
const HORIZON: u32 = 1 << 31;

impl AccountId {
    /// Of no tag.
    pub(crate) const NONE: Self = Self(usize::MAX);
}

impl Ledger {
    /// A ledger that is on if there is memory for a first account.
    pub(crate) fn new(memory: &mut IndexMemory) -> Result<Self, Shortage> {
        let mut ledger = Self {
            accounts: Accounts::empty(),
            lists: Lists::empty(),
            chosen: Chosen::empty(),
            is_on: true,
            blocks: 0,
            epoch: 0,
            epoch_base: 0,
        };
        match ledger.accounts.prepare(memory) {
            Err(_) if memory.is_bounded() => ledger.is_on = false,
            answer => answer?,
        }
        Ok(ledger)
    }

    /// Tells at this place where the accounts are, from now on.
    pub(crate) fn tell_at(&mut self, place: AccountsPlace) {
        self.accounts.tell_at(place);
    }

    /// Where the accounts lie, and how many entries there are.
    pub(crate) fn place(&self) -> [u64; 2] {
        self.accounts.place()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// The tag's account, opened if need be.
    ///
    /// # Errors
    ///
    /// [`Shortage::Index`] without memory for it; nothing has changed then.
    #[inline(always)]
    pub(crate) fn open(
        &mut self,
        tag: Tag,
        memory: &mut IndexMemory,
    ) -> Result<AccountId, Shortage> {
        match self.accounts.find(tag) {
            Some(index) => Ok(AccountId(index)),
            None if self.is_on => self.accounts.add(tag, memory).map(AccountId),
            None => Ok(AccountId::NONE),
        }
    }

    /// The account of a tag, if it has one.
    #[inline]
    pub(crate) fn find(&self, tag: Tag) -> AccountId {
        self.accounts.find(tag).map_or(AccountId::NONE, AccountId)
    }

    /// The account of a tag, if it has one: this, unless it went and another has its place.
    #[inline(always)]
    pub(crate) fn find_again(&self, known: AccountId, tag: Tag) -> AccountId {
        let found = self.accounts.find_again(known.0, tag);
        found.map_or(AccountId::NONE, AccountId)
    }

    #[inline]
    pub(crate) fn account(&self, tag: Tag) -> Option<&Account> {
        self.accounts.get(self.accounts.find(tag)?)
    }

    #[inline]
    pub(crate) fn account_mut(&mut self, tag: Tag) -> Option<&mut Account> {
        self.accounts.by_tag_mut(tag)
    }

    #[inline]
    pub(crate) fn by_id(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(id.0)
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    #[inline]
    pub(crate) fn known(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(id.0)
    }

    /// Every tag that has an account.
    pub(crate) fn iter(&self) -> impl Iterator<Item = TagStats> {
        self.accounts.iter().map(Account::stats)
    }

    pub(crate) fn forget(&mut self, tag: Tag) {
        if let Some(account) = self.account(tag).filter(|account| account.blocks == 0) {
            let mut list = account.list;
            self.lists.clear(&mut list);
            self.accounts.remove(tag);
        }
    }

    /// How many tags have an account.
    pub(crate) fn count(&self) -> usize {
        self.accounts.count()
    }

    /// Blocks in all accounts.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether the tag may hold so many bytes more.
    #[inline]
    pub(crate) fn allows(&self, id: AccountId, bytes: usize) -> Result<(), Shortage> {
        self.known(id)
            .map_or(Ok(()), |account| account.allows(bytes))
    }

    /// A block becomes the tag's; its place in the tag's list.
    #[inline(always)]
    pub(crate) fn enter(&mut self, id: AccountId, block: Entered, memory: &mut IndexMemory) -> u32 {
        let Some(account) = self.accounts.get_mut(id.0) else {
            return Slot::UNLISTED;
        };
        account.gain_one(block.size, block.requested);
        if let Some(size) = block.allocated {
            account.allocations += 1;
            if size > account.largest {
                account.largest = size;
            }
        }
        self.blocks += 1;
        self.lists
            .enter(&mut account.list, block.offset, block.epoch, memory)
    }

    /// A block is the tag's no more; the answer is the tag's account.
    #[inline]
    pub(crate) fn leave(
        &mut self,
        tag: Tag,
        place: u32,
        size: usize,
        requested: usize,
    ) -> Option<&mut Account> {
        let account = self.accounts.by_tag_mut(tag)?;
        account.lose(size, requested);
        self.blocks -= 1;
        self.lists.leave(&mut account.list, place);
        Some(account)
    }

    /// A block of the tag's is deallocated.
    #[inline]
    pub(crate) fn deallocate(&mut self, tag: Tag, place: u32, size: usize, requested: usize) {
        if let Some(account) = self.leave(tag, place, size, requested) {
            account.deallocations += 1;
        }
    }

    /// The only block of an account, which stands first in its list, is deallocated.
    #[inline]
    pub(crate) fn deallocate_one(&mut self, id: AccountId, size: usize, requested: usize) {
        if let Some(account) = self.accounts.get_mut(id.0) {
            account.lose(size, requested);
            account.deallocations += 1;
            self.blocks -= 1;
            self.lists.leave(&mut account.list, 0);
        }
    }

    /// The epoch in which the block at a place of a tag's list was allocated; of an unlisted one nobody knows it.
    pub(crate) fn epoch_in(&self, tag: Tag, place: u32) -> Option<u32> {
        let account = self.account(tag)?;
        let entry = self.lists.get(&account.list, place as usize);
        entry.map(Entry::epoch)
    }

    /// Takes a block whose epoch nobody knows out of the list again that it was entered into: there it would count
    /// as older or younger than a mark. It is the tag's still; its place.
    #[cold]
    pub(crate) fn unlist(&mut self, id: AccountId, place: u32) -> u32 {
        if let Some(account) = self.accounts.get_mut(id.0) {
            self.lists.leave(&mut account.list, place);
            account.list.unlisted += 1;
        }
        Slot::UNLISTED
    }

    /// A tag without blocks takes another one's list, which is empty then; whether it has none. Neither's numbers change.
    pub(crate) fn hand_list_over(&mut self, from: Tag, to: AccountId) -> bool {
        match self.accounts.get_mut(to.0) {
            Some(account) if account.blocks == 0 => self.lists.clear(&mut account.list),
            _ => return false,
        }
        let Some(from) = self.accounts.by_tag_mut(from) else {
            return false;
        };
        let list = core::mem::take(&mut from.list);
        if let Some(to) = self.accounts.get_mut(to.0) {
            to.list = list;
        }
        true
    }

    /// Enters a block, as another list has it, into a tag's list; its place there. The tag's numbers do not change.
    #[inline]
    pub(crate) fn list(&mut self, id: AccountId, entry: Entry, memory: &mut IndexMemory) -> u32 {
        let Some(account) = self.accounts.get_mut(id.0) else {
            return Slot::UNLISTED;
        };
        self.lists
            .enter(&mut account.list, entry.offset(), entry.epoch(), memory)
    }

    /// So many blocks of a tag, all that it has, for which so much was asked, are another's, which lists them.
    pub(crate) fn hand_over(&mut self, from: Tag, to: AccountId, moved: Amount, requested: usize) {
        if let Some(from) = self.accounts.by_tag_mut(from) {
            from.blocks -= moved.blocks;
            from.bytes -= moved.bytes;
            from.requested -= requested;
            self.lists.clear(&mut from.list);
        }
        if let Some(to) = self.accounts.get_mut(to.0) {
            to.gain(moved, requested);
        }
    }

    /// All of a tag's blocks are deallocated.
    pub(crate) fn clear(&mut self, tag: Tag) {
        let Some(account) = self.accounts.by_tag_mut(tag) else {
            return;
        };
        account.deallocations += account.blocks as u64;
        self.blocks -= account.blocks;
        (account.blocks, account.bytes, account.requested) = (0, 0, 0);
        self.lists.clear(&mut account.list);
    }

    /// Blocks of a tag are deallocated: those between some places of its list that were allocated in an epoch or later,
    /// so many, for which so much was asked.
    pub(crate) fn clear_since(
        &mut self,
        tag: Tag,
        epoch: u32,
        places: Range<usize>,
        lost: Amount,
        requested: usize,
    ) {
        let Some(account) = self.accounts.by_tag_mut(tag) else {
            return;
        };
        if account.blocks == lost.blocks {
            return self.clear(tag);
        }
        account.deallocations += lost.blocks as u64;
        account.blocks -= lost.blocks;
        account.bytes -= lost.bytes;
        account.requested -= requested;
        self.blocks -= lost.blocks;
        self.lists.leave_since(&mut account.list, epoch, places);
    }

    /// The places of a tag's list between which all blocks stand that were allocated in an epoch or later. O(places).
    pub(crate) fn places_since(&self, account: &Account, epoch: u32) -> Range<usize> {
        self.lists.since(&account.list, epoch)
    }

    /// The entry at a place of a tag's list; `None` for a hole.
    #[inline]
    pub(crate) fn entry(&self, account: &Account, place: usize) -> Option<Entry> {
        self.lists.get(&account.list, place)
    }

    /// The entries at some places of a tag's list, without holes.
    #[inline]
    pub(crate) fn entries(
        &self,
        account: &Account,
        places: Range<usize>,
    ) -> impl Iterator<Item = Entry> {
        self.lists.range(&account.list, places)
    }

    /// The mark of this moment: blocks allocated from now on lie behind it.
    pub(crate) fn mark(&mut self) -> Mark {
        let mark = Mark(self.epoch_base + u64::from(self.epoch));
        if self.epoch == u32::MAX {
            for account in self.accounts.iter() {
                self.lists.age(&account.list, HORIZON);
            }
            self.epoch -= HORIZON;
            self.epoch_base += u64::from(HORIZON);
        }
        self.epoch += 1;
        mark
    }

    /// The epoch up to which blocks lie before a mark; `None` if that cannot be told any more, or it was not made yet.
    pub(crate) fn epoch_of(&self, mark: Mark) -> Option<u32> {
        let epoch = mark.0.checked_sub(self.epoch_base)?;
        let epoch = u32::try_from(epoch).ok()?;
        (epoch < self.epoch).then_some(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(epoch: u32) -> Entered {
        Entered {
            offset: 0,
            size: 48,
            requested: 16,
            epoch,
            allocated: None,
        }
    }

    #[test]
    fn marks_beyond_the_epochs_age_what_is_listed() {
        let (mut memory, tag) = (IndexMemory::unlent(), Tag::new(1));
        let mut ledger = Ledger::new(&mut memory).unwrap();
        let id = ledger.open(tag, &mut memory).unwrap();
        let stale = ledger.mark();
        ledger.enter(id, block(ledger.epoch()), &mut memory);
        ledger.epoch = u32::MAX - 1;
        let before = ledger.mark();
        ledger.enter(id, block(ledger.epoch()), &mut memory);
        let last = ledger.mark();
        ledger.enter(id, block(ledger.epoch()), &mut memory);
        assert_eq!(ledger.epoch, HORIZON, "aged once");

        assert_eq!(ledger.epoch_of(stale), None);
        let younger = |ledger: &Ledger, mark| {
            let epoch = ledger.epoch_of(mark).unwrap();
            let account = ledger.account(tag).unwrap();
            let entries = (0..3).filter_map(|place| ledger.entry(account, place));
            entries.filter(|entry| entry.epoch() > epoch).count()
        };
        assert_eq!(younger(&ledger, before), 2);
        assert_eq!(younger(&ledger, last), 1);
    }
}
