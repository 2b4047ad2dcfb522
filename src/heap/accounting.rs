//! What a heap knows by tag: numbers, names, limits, marks; and how blocks change their tag.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::{Heap, out_of_memory, refuse_reserved};
use crate::memory::block::UsedBlock;
use crate::memory::row::Held;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::account::Account;
use crate::tags::ledger::{AccountId, Entered};
use crate::words::error::{Corruption, Error, Shortage};
use crate::words::stats::{Mark, Name, TagStats};
use crate::words::tag::Tag;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Numbers about a tag; all zero for one that was never used, and for the heap's own. O(1).
    ///
    /// In a [`Buffer`](crate::Buffer) too small for a ledger, blocks, bytes and what was asked for are
    /// counted by a walk, O(blocks of the heap), and the rest is zero.
    ///
    /// # Errors
    ///
    /// [`Corruption`] if a header is damaged, where they are counted by a walk.
    pub fn stats_of(&self, tag: Tag) -> Result<TagStats, Corruption> {
        if self.ledger.is_on() {
            let account = self.ledger.account(tag);
            return Ok(account.map_or_else(|| Account::new(tag).stats(), Account::stats));
        }
        let mut account = Account::new(tag);
        for block in self.blocks_of(tag) {
            if let Held::Used(block) = self.row.block(block?.at)?
                && !tag.is_reserved()
            {
                account.gain_one(block.size(), block.requested());
            }
        }
        Ok(TagStats {
            peak: 0,
            ..account.stats()
        })
    }

    /// Whether a tag has an account.
    pub(crate) fn has_account(&self, tag: Tag) -> bool {
        self.ledger.account(tag).is_some()
    }

    /// Numbers about every tag that was used and not forgotten, in no order. Nothing in a
    /// [`Buffer`](crate::Buffer) too small for a ledger.
    pub fn tags(&self) -> impl Iterator<Item = TagStats> + '_ {
        self.ledger.iter()
    }

    /// Calls a tag by a name besides: up to 31 bytes; a longer one is cut, between two characters, and a
    /// control character becomes `?`. O(1).
    ///
    /// [`stats_of`](Heap::stats_of), [`tags`](Heap::tags) and [`table`](Heap::table) tell it; a picture, which is made from
    /// the row alone, does not.
    ///
    /// # Errors
    ///
    /// [`Misuse::ReservedTag`](crate::Misuse::ReservedTag), or [`OutOfMemory`](crate::OutOfMemory) if there
    /// is no memory for the tag's account.
    pub fn set_name(&mut self, tag: Tag, name: &str) -> Result<(), Error> {
        self.open(tag)?.name = Name::new(name);
        Ok(())
    }

    /// Lets a tag hold at most so many bytes, headers included; or as many as it likes. O(1).
    ///
    /// A request beyond the limit is [`OutOfMemory`](crate::OutOfMemory) by
    /// [`Shortage::Limit`](crate::Shortage::Limit). The block that it would get counts, which may be larger than what
    /// was asked for: by up to 47 bytes that cannot be split off, or under [`Whole`](crate::Whole) by any number. What
    /// the tag holds already it keeps. `usize::MAX` is no limit.
    ///
    /// # Errors
    ///
    /// As for [`set_name`](Heap::set_name).
    pub fn set_limit(&mut self, tag: Tag, limit: Option<usize>) -> Result<(), Error> {
        self.open(tag)?.set_limit(limit);
        Ok(())
    }

    /// Lets a tag's peak begin anew, at what it holds now. O(1).
    pub fn reset_peak(&mut self, tag: Tag) {
        if let Some(account) = self.ledger.account_mut(tag) {
            account.peak = account.bytes;
        }
    }

    /// Forgets a tag's numbers, name and limit, if it holds no blocks; else nothing. O(1).
    ///
    /// The memory that they took serves the next tag.
    pub fn forget(&mut self, tag: Tag) {
        self.ledger.forget(tag);
    }

    /// The mark of this moment, behind which all later allocations lie. O(1), but for every two billionth, which is
    /// O(blocks).
    ///
    /// See [`release_since`](Heap::release_since).
    pub fn mark(&mut self) -> Mark {
        self.ledger.mark()
    }

    /// Gives the block at `ptr` to another tag. O(1).
    ///
    /// # Errors
    ///
    /// - [`Misuse`](crate::Misuse) if the tag is the heap's own, or no block's payload starts at `ptr`.
    /// - [`OutOfMemory`](crate::OutOfMemory) if the new tag's limit does not allow it, or there is no memory
    ///   for its account.
    /// - [`Corruption`] if the block's header is damaged.
    pub fn retag(&mut self, ptr: NonNull<u8>, tag: Tag) -> Result<(), Error> {
        refuse_reserved(tag)?;
        let block = self.row.holder(ptr.addr().get())?;
        if block.tag() == tag {
            return Ok(());
        }
        let account = self.open_for(tag, block.size())?;
        self.commit(|heap| heap.transfer(block, tag, account));
        Ok(())
    }

    /// A tag's account, opened.
    fn open(&mut self, tag: Tag) -> Result<&mut Account, Error> {
        let account = self.open_for(tag, 0)?;
        let nothing = Layout::new::<()>();
        self.ledger
            .by_id(account)
            .ok_or(out_of_memory(tag, nothing, Shortage::Index))
    }

    /// A tag's account, opened, if it may hold so many bytes more.
    pub(super) fn open_for(&mut self, tag: Tag, bytes: usize) -> Result<AccountId, Error> {
        refuse_reserved(tag)?;
        let layout = Layout::from_size_align(bytes, 1).unwrap_or(Layout::new::<()>());
        let lacking = |cause| out_of_memory(tag, layout, cause);
        let account = self.ledger.open(tag, &mut self.memory).map_err(lacking)?;
        if bytes > 0 {
            self.ledger.allows(account, bytes).map_err(lacking)?;
        }
        Ok(account)
    }

    /// Moves a block to another tag's account and list; it keeps the epoch it was allocated in.
    pub(super) fn transfer(&mut self, block: UsedBlock, tag: Tag, account: AccountId) {
        let (size, requested) = (block.size(), block.requested());
        let (from, place) = (block.tag(), block.slot().place);
        let epoch = self.ledger.epoch_in(from, place);
        self.ledger.leave(from, place, size, requested);
        let entered = Entered {
            offset: block.at() - self.base(),
            size,
            requested,
            epoch: epoch.unwrap_or_default(),
            allocated: None,
        };
        let mut place = self.ledger.enter(account, entered, &mut self.memory);
        if epoch.is_none() {
            place = self.ledger.unlist(account, place);
        }
        block.retag(tag, place).settle(&mut self.row);
    }
}
