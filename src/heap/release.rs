//! Releasing tags: every block of theirs is freed.

use crate::ground::source::Source;
use crate::heap::{Heap, refuse_reserved};
use crate::memory::block::{Around, UsedBlock};
use crate::memory::row::Held;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::account::Account;
use crate::tags::ledger::AccountId;
use crate::words::error::{Corruption, Error, Misuse, OutOfMemory, Shortage};
use crate::words::header::Freed;
use crate::words::stats::{Amount, Mark};
use crate::words::tag::Tag;

/// How many times as long as a step of a sweep the freeing of a listed block takes, about: a tag that
/// holds more than one block in so many is released by a sweep.
const SWEEP_FROM: usize = 8;

/// How many blocks' headers are fetched at once: enough to hide the misses in one another, few enough for all
/// of them to stay.
const BATCH: usize = 64;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Frees every block under `tag`, and answers how many blocks and bytes (headers included) they were.
    ///
    /// A tag without blocks is no error: nothing is freed. O(blocks of the tag), by its list, which has a place for as
    /// many as it held at once since its last release; O(blocks of the heap), by a walk, where not all stand in a list,
    /// or the tag holds an eighth of them.
    ///
    /// # Errors
    ///
    /// [`Misuse::ReservedTag`] for a tag of the heap's own, [`Corruption`] if a header of the tag's blocks or
    /// of a free neighbour's is damaged, or where it walks any header. Nothing is freed then.
    ///
    /// # Safety
    ///
    /// Nobody uses memory under this tag afterwards.
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    pub unsafe fn release(&mut self, tag: Tag) -> Result<Amount, Error> {
        refuse_reserved(tag)?;
        let id = self.ledger.find(tag);
        match self.ledger.known(id) {
            None if self.ledger.is_on() => return Ok(Amount::default()),
            Some(account) if account.blocks == 0 => return Ok(Amount::default()),
            Some(account) if account.has_one() => {
                if let Some(block) = self.listed(account, 0)? {
                    return self.release_one(id, block);
                }
            }
            _ => {}
        }
        self.release_all(tag)
    }

    /// Frees the only block of an account: a pool that took one chunk goes with one look at each header.
    #[inline(always)]
    fn release_one(&mut self, id: AccountId, block: UsedBlock) -> Result<Amount, Error> {
        let (size, requested) = (block.size(), block.requested());
        if let Err(block) = self.release_last(id, block) {
            let around = self.around(&block)?;
            self.commit(
                #[inline(always)]
                |heap| {
                    heap.ledger.deallocate_one(id, size, requested);
                    heap.free(block, around, Freed::WithItsTag);
                },
            );
            self.relax();
        }
        Ok(Amount {
            blocks: 1,
            bytes: size,
        })
    }

    /// Frees the only block of an account if it is the row's last and no free one is in front of it: of pools that come
    /// and go one at a time. Nothing is to be joined, or put where it is found. Else the block is answered.
    #[inline(always)]
    pub(super) fn release_last(
        &mut self,
        id: AccountId,
        block: UsedBlock,
    ) -> Result<(), UsedBlock> {
        let is_last = R::SPLITS && block.end() == self.end();
        // Where nothing is free, nothing is looked for.
        if !is_last || (self.placement.count() != Some(0) && !self.is_apart_before(&block)) {
            return Err(block);
        }
        self.root.begin();
        self.ledger
            .deallocate_one(id, block.size(), block.requested());
        self.drop_last(block.free(Freed::WithItsTag));
        self.root.finish();
        self.relax();
        Ok(())
    }

    /// Whether no free block is in front of a block, or joined to it.
    #[inline(never)]
    fn is_apart_before(&self, block: &UsedBlock) -> bool {
        matches!(self.before(block.at()), Ok(None))
    }

    /// Frees the blocks of a tag, however many.
    #[inline(never)]
    fn release_all(&mut self, tag: Tag) -> Result<Amount, Error> {
        let account = match self.ledger.account(tag) {
            Some(account) if self.is_few(account) => *account,
            _ => {
                let amount = self.sweep(|other| other == tag)?;
                // Without holes, the next release of one block finds it first in the list.
                self.ledger.clear(tag);
                return Ok(amount);
            }
        };
        self.verify_listed(&account)?;
        let amount = self.commit(|heap| {
            let mut amount = Amount::default();
            for place in 0..account.list.length() {
                heap.fetch_listed(&account, place);
                heap.free_listed(&account, place, &mut amount, false);
            }
            heap.ledger.clear(tag);
            amount
        });
        self.relax();
        Ok(amount)
    }

    /// Whether an account's blocks are all listed, and so few that a sweep would take longer.
    fn is_few(&self, account: &Account) -> bool {
        account.is_listed() && account.blocks <= self.ledger.blocks() / SWEEP_FROM
    }

    /// Frees the blocks under `tag` that were allocated after `mark`; what was only resized since, or came
    /// from another tag with an older allocation, stays. O(places of the tag's list), see [`release`](Heap::release).
    ///
    /// ```
    /// # use core::alloc::Layout;
    /// # use tagheap::{Heap, Reserve, Tag};
    /// # let mut heap = Heap::new(Reserve::new()?)?;
    /// # let (tag, layout) = (Tag::new(1), Layout::new::<u64>());
    /// let kept = heap.allocate(tag, layout)?;
    /// let mark = heap.mark();
    /// let gone = heap.allocate(tag, layout)?;
    /// // SAFETY: nobody uses what was allocated since.
    /// unsafe { heap.release_since(tag, mark)? };
    /// assert!(heap.contains(kept.cast()) && !heap.contains(gone.cast()));
    /// # Ok::<(), tagheap::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Misuse::ReservedTag`] for a tag of the heap's own, [`Misuse::StaleMark`] for a mark made two
    ///   billion marks ago, or later than any of this heap's.
    /// - [`OutOfMemory`] by [`Shortage::Index`] where the tag has a block that there was no memory to list, under this
    ///   tag or another: when that was allocated nobody knows.
    /// - [`Corruption`] if a header of the tag's blocks or of a free neighbour's is damaged.
    ///
    /// Nothing is freed then.
    ///
    /// # Safety
    ///
    /// The mark is this heap's (by another heap's, others are freed), and nobody uses these blocks afterwards.
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    pub unsafe fn release_since(&mut self, tag: Tag, mark: Mark) -> Result<Amount, Error> {
        refuse_reserved(tag)?;
        let epoch = self.ledger.epoch_of(mark).ok_or(Misuse::StaleMark)?;
        let unlisted = OutOfMemory {
            tag,
            size: 0,
            align: 1,
            cause: Shortage::Index,
        };
        let account = match self.ledger.account(tag) {
            None if self.ledger.is_on() => return Ok(Amount::default()),
            Some(account) if account.is_listed() => *account,
            _ => return Err(unlisted.into()),
        };
        self.verify_listed(&account)?;
        let mut amount = Amount::default();
        for place in 0..account.list.length() {
            let entry = self.ledger.entry(&account, place);
            if entry.is_none_or(|entry| entry.epoch() <= epoch) {
                continue;
            }
            self.commit(|heap| heap.free_listed(&account, place, &mut amount, true));
        }
        self.relax();
        Ok(amount)
    }

    /// Frees every block whose tag `pick` picks, in one pass over the row: sets and ranges of tags.
    ///
    /// Blocks of the heap's own are never offered. If `pick` panics, what it picked before is freed and
    /// the heap is whole. O(blocks of the heap).
    ///
    /// # Errors
    ///
    /// [`Corruption`] if any header of the row is damaged. Nothing is freed then.
    ///
    /// # Safety
    ///
    /// Nobody uses memory under the picked tags afterwards.
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    pub unsafe fn release_where(&mut self, pick: impl FnMut(Tag) -> bool) -> Result<Amount, Error> {
        self.sweep(pick)
    }

    fn sweep(&mut self, mut pick: impl FnMut(Tag) -> bool) -> Result<Amount, Error> {
        self.verify_headers()?;
        let mut released = Amount::default();
        let mut before = None;
        let mut at = self.base();
        while at < self.end() {
            match self.row.block(at)? {
                Held::Free(block) => {
                    at = block.end();
                    before = Some(block);
                }
                Held::Used(block) if block.tag().is_reserved() || !pick(block.tag()) => {
                    at = block.end();
                    before = None;
                }
                Held::Used(block) => {
                    released.blocks += 1;
                    released.bytes += block.size();
                    let around = match before.take() {
                        _ if !R::SPLITS => Around::NONE,
                        before => Around::of(before, self.behind(block.end())?),
                    };
                    // The block that results, or the end of the row, stands here: go on with that.
                    at = block.at() - around.before();
                    self.commit(|heap| {
                        heap.sign_off(&block);
                        heap.free(block, around, Freed::WithItsTag);
                    });
                }
            }
        }
        self.relax();
        Ok(released)
    }

    /// The block at a place of a tag's list, verified; `None` for a hole.
    ///
    /// Always inlined: as a call, it hands its answer over in memory, and a release takes 5 % longer.
    #[inline(always)]
    pub(super) fn listed(
        &self,
        account: &Account,
        place: usize,
    ) -> Result<Option<UsedBlock>, Corruption> {
        let Some(entry) = self.ledger.entry(account, place) else {
            return Ok(None);
        };
        let at = self.base() + entry.offset();
        self.row.listed(at, account.tag, place).map(Some)
    }

    /// Starts to fetch what is asked about the blocks from a place of a tag's list on, at the first of each
    /// batch.
    ///
    /// In a loop of nothing else: a processor retires no fetch before its address is translated, so it has as
    /// many translations under way as fetches within its sight.
    #[inline(always)]
    fn fetch_listed(&self, account: &Account, place: usize) {
        if !place.is_multiple_of(BATCH) {
            return;
        }
        for entry in self.ledger.entries(account, place..place + BATCH) {
            let at = self.base() + entry.offset();
            self.row.prefetch(at);
            self.placement.expect(at, R::SPLITS);
        }
    }

    /// Whether it shows at once that a block has no free neighbour that it would be joined to.
    #[inline(always)]
    fn is_apart(&self, block: &UsedBlock) -> bool {
        !R::SPLITS || self.placement.is_apart(block.extent())
    }

    /// Refuses a tag whose blocks, or their neighbours, are damaged; fetches all of them on the way.
    fn verify_listed(&self, account: &Account) -> Result<(), Corruption> {
        for place in 0..account.list.length() {
            self.fetch_listed(account, place);
            if let Some(block) = self.listed(account, place)?
                && !self.is_apart(&block)
            {
                self.verify_around(&block)?;
            }
        }
        Ok(())
    }

    /// Refuses a block with a damaged free neighbour. Not inlined: most have no free neighbour.
    #[inline(never)]
    fn verify_around(&self, block: &UsedBlock) -> Result<(), Corruption> {
        self.around(block).map(|_| ())
    }

    /// Frees the block at a place of a tag's list, if there is one, and signs it off where it alone goes.
    #[inline(always)]
    fn free_listed(
        &mut self,
        account: &Account,
        place: usize,
        amount: &mut Amount,
        signs_off: bool,
    ) {
        let Ok(Some(block)) = self.listed(account, place) else {
            return;
        };
        amount.blocks += 1;
        amount.bytes += block.size();
        if signs_off {
            self.sign_off(&block);
        }
        if self.is_apart(&block) && block.end() != self.end() {
            let free = block.free(Freed::WithItsTag);
            self.placement.insert_among(free.extent(), R::SPLITS);
            free.settle(&mut self.row);
        } else {
            self.free_beside(block);
        }
    }

    /// Frees a block beside a free one or at the end of the row. Not inlined: most are neither.
    #[inline(never)]
    fn free_beside(&mut self, block: UsedBlock) {
        // Verified before: there is no damage. If somebody does damage meanwhile, neighbours stay apart.
        let around = self.around(&block).unwrap_or(Around::NONE);
        self.free(block, around, Freed::WithItsTag);
    }

    /// Refuses a tag with a damaged block.
    pub(super) fn verify_tag(&self, tag: Tag) -> Result<(), Corruption> {
        match self.ledger.account(tag) {
            Some(account) if account.is_listed() => self.verify_listed(account),
            _ => self.verify_headers(),
        }
    }

    /// Does something to each block of a tag that leaves the row's blocks where they are.
    pub(super) fn for_each_of(
        &mut self,
        tag: Tag,
        mut action: impl FnMut(&mut Self, UsedBlock),
    ) -> Result<(), Corruption> {
        let account = self.ledger.account(tag).copied();
        if let Some(account) = account.filter(Account::is_listed) {
            for place in 0..account.list.length() {
                if let Some(block) = self.listed(&account, place)? {
                    action(self, block);
                }
            }
            return Ok(());
        }
        let mut at = self.base();
        while at < self.end() {
            at = match self.row.block(at)? {
                Held::Free(block) => block.end(),
                Held::Used(block) => {
                    let end = block.end();
                    if block.tag() == tag {
                        action(self, block);
                    }
                    end
                }
            };
        }
        Ok(())
    }
}
