//! Giving all blocks of a tag to another.

use crate::ground::source::Source;
use crate::heap::{Heap, refuse_reserved};
use crate::memory::row::Held;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::account::Account;
use crate::tags::ledger::AccountId;
use crate::words::error::{Corruption, Error};
use crate::words::stats::Amount;
use crate::words::tag::Tag;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Gives all blocks of one tag to another, and answers how many blocks and bytes that were.
    ///
    /// Counts as neither allocations nor deallocations; what `from` counted it keeps. O(blocks of `from`), by its list;
    /// O(blocks of the heap), by a walk, where not all stand in one: see [`release`](Heap::release).
    ///
    /// # Errors
    ///
    /// - [`Misuse::ReservedTag`](crate::Misuse::ReservedTag) for a tag of the heap's own.
    /// - [`OutOfMemory`](crate::OutOfMemory) if the limit of `to` does not allow it, or there is no memory for its
    ///   account.
    /// - [`Corruption`] if the header of one of these blocks is damaged, or where it walks any header.
    ///
    /// Nothing was given then.
    pub fn merge(&mut self, from: Tag, to: Tag) -> Result<Amount, Error> {
        refuse_reserved(from)?;
        refuse_reserved(to)?;
        let held = self.stats_of(from)?;
        let amount = Amount {
            blocks: held.blocks,
            bytes: held.bytes,
        };
        if from == to || amount.blocks == 0 {
            return Ok(amount);
        }
        let listed = self.ledger.account(from).copied();
        if let Some(account) = listed.filter(Account::is_listed) {
            self.verify_own(&account)?;
            let id = self.open_for(to, amount.bytes)?;
            self.commit(|heap| heap.merge_verified(&account, to, id));
        } else {
            self.verify_headers()?;
            let id = self.open_for(to, amount.bytes)?;
            self.merge_by_walk(from, to, id)?;
        }
        Ok(amount)
    }

    /// Gives all blocks of a tag, which were just verified, to another. A tag that holds nothing takes the list over, where
    /// each block keeps its place.
    fn merge_verified(&mut self, account: &Account, to: Tag, id: AccountId) {
        let keeps_places = self.ledger.hand_list_over(account.tag, id);
        let (mut moved, mut requested) = (Amount::default(), 0);
        self.for_each_verified(account, |heap, block, entry| {
            moved.blocks += 1;
            moved.bytes += block.size();
            requested += block.requested();
            let place = if keeps_places {
                block.slot().place
            } else {
                heap.ledger.list(id, entry, &mut heap.memory)
            };
            block.retag(to, place).settle(&mut heap.row);
        });
        self.ledger.hand_over(account.tag, id, moved, requested);
    }

    fn merge_by_walk(&mut self, from: Tag, to: Tag, id: AccountId) -> Result<(), Corruption> {
        let mut at = self.base();
        while at < self.end() {
            at = match self.row.block(at)? {
                Held::Free(block) => block.end(),
                Held::Used(block) => {
                    let end = block.end();
                    if block.tag() == from {
                        self.commit(|heap| heap.transfer(block, to, id));
                    }
                    end
                }
            };
        }
        Ok(())
    }
}
