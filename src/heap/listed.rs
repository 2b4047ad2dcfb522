//! The blocks of one tag, by its list, all or the young ones: all of them verified, and all of them freed.
//!
//! They lie far apart, so what is asked about them is fetched a batch ahead, and waited for once.

use core::ops::Range;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::memory::block::{Around, UsedBlock};
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::account::Account;
use crate::tags::list::Entry;
use crate::words::error::Corruption;
use crate::words::extent::Extent;
use crate::words::header::Freed;
use crate::words::stats::Amount;

/// How many blocks' headers are fetched at once: enough to hide the misses in one another, few enough for all
/// of them to stay.
const BATCH: usize = 64;

/// Bytes up to which a row is near to a processor whole: there, fetching takes longer than waiting.
const NEAR: usize = 1 << 20;

/// Blocks of a tag: those that were allocated in an epoch or later. All of them are listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    account: &'a Account,
    epoch: u32,
    /// The places between which they stand in the tag's list.
    first: usize,
    end: usize,
}

/// Free blocks to be verified when their headers, which are being fetched, are there.
#[derive(Debug)]
struct Expected {
    blocks: [Extent; 32],
    count: usize,
}

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
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

    /// Starts to fetch what is asked about the blocks at some places of a tag's list.
    ///
    /// In a loop of nothing else: a processor retires no fetch before its address is translated, so it has as
    /// many translations under way as fetches within its sight.
    #[inline(always)]
    fn fetch_listed(&self, part: Part<'_>, places: Range<usize>) {
        if self.row.length() <= NEAR {
            return;
        }
        let entries = self.ledger.entries(part.account, places);
        for entry in entries.filter(|entry| part.has(*entry)) {
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

    /// The blocks of a tag, all of which are listed, that were allocated in an epoch or later.
    pub(super) fn part_since<'a>(&self, account: &'a Account, epoch: u32) -> Part<'a> {
        let places = self.ledger.places_since(account, epoch);
        Part {
            account,
            epoch,
            first: places.start,
            end: places.end,
        }
    }

    /// Refuses blocks of a tag if they, or their free neighbours, are damaged; fetches all of them on the way.
    pub(super) fn verify_listed(&self, part: Part<'_>) -> Result<(), Corruption> {
        let mut expected = Expected::new();
        for batch in part.batches() {
            self.fetch_listed(part, batch.clone());
            for place in batch {
                let Some(entry) = self.ledger.entry(part.account, place) else {
                    continue;
                };
                if !part.has(entry) {
                    continue;
                }
                let at = self.base() + entry.offset();
                let block = self.row.listed(at, part.account.tag, place)?;
                if !self.is_apart(&block) {
                    self.expect_beside(block.extent(), &mut expected)?;
                }
            }
        }
        self.verify_expected(&mut expected)
    }

    /// Starts to fetch the headers of the free blocks beside one, to be verified later. Not inlined: most have none.
    #[inline(never)]
    fn expect_beside(&self, block: Extent, expected: &mut Expected) -> Result<(), Corruption> {
        let (before, behind) = self.placement.beside(&self.row, block)?;
        let beside = [(block.at - before, before), (block.end(), behind)];
        for (at, size) in beside.into_iter().filter(|(_, size)| *size > 0) {
            if expected.is_full() {
                self.verify_expected(expected)?;
            }
            self.row.prefetch(at);
            expected.push(Extent { at, size });
        }
        Ok(())
    }

    /// Refuses damage of free blocks that were expected; none are any more.
    fn verify_expected(&self, expected: &mut Expected) -> Result<(), Corruption> {
        for block in expected.take() {
            self.row.verify_free(*block)?;
        }
        Ok(())
    }

    /// Frees blocks of a tag, which were just verified. Their account still has them.
    ///
    /// From the last to the first: the last are still near, and where they end the row, its end falls with each, and
    /// nothing is to be found there or joined.
    #[inline(always)]
    fn free_verified(&mut self, part: Part<'_>, mut sum: impl FnMut(&UsedBlock)) {
        for batch in part.batches().rev() {
            self.fetch_listed(part, batch.clone());
            for place in batch.rev() {
                let Some(entry) = self.ledger.entry(part.account, place) else {
                    continue;
                };
                if !part.has(entry) {
                    continue;
                }
                let at = self.base() + entry.offset();
                if let Some(block) = self.row.verified_before(at, part.account.tag, place) {
                    sum(&block);
                    self.free_listed(block);
                }
            }
        }
    }

    /// Frees all blocks of a tag, which were just verified.
    pub(super) fn release_verified(&mut self, account: &Account) -> Amount {
        let mut amount = Amount::default();
        self.free_verified(Part::all(account), |block| {
            amount.blocks += 1;
            amount.bytes += block.size();
        });
        self.ledger.clear(account.tag);
        amount
    }

    /// Frees those blocks of a tag that were allocated in an epoch or later, which were just verified.
    pub(super) fn release_verified_since(&mut self, part: Part<'_>) -> Amount {
        let (mut amount, mut requested) = (Amount::default(), 0);
        self.free_verified(part, |block| {
            amount.blocks += 1;
            amount.bytes += block.size();
            requested += block.requested();
        });
        let places = part.first..part.end;
        self.ledger
            .clear_since(part.account.tag, part.epoch, places, amount, requested);
        amount
    }

    /// Frees a block of a tag that goes, which was verified with its neighbours. It stays in its account.
    #[inline(always)]
    fn free_listed(&mut self, block: UsedBlock) {
        if !self.is_apart(&block) {
            return self.free_beside(block);
        }
        let free = block.free(Freed::WithItsTag);
        if R::SPLITS && free.end() == self.end() {
            return self.drop_last(free);
        }
        self.placement.insert_among(free.extent(), R::SPLITS);
        free.settle(&mut self.row);
    }

    /// Frees a block beside a free one. Not inlined: most are not.
    #[inline(never)]
    fn free_beside(&mut self, block: UsedBlock) {
        // Verified before: there is no damage. If somebody does damage meanwhile, neighbours stay apart.
        let around = self.around(&block).unwrap_or(Around::NONE);
        self.free(block, around, Freed::WithItsTag);
    }

    /// Starts to fetch the headers of the blocks at some places of a tag's list.
    #[inline(always)]
    fn fetch_headers(&self, account: &Account, places: Range<usize>) {
        if self.row.length() <= NEAR {
            return;
        }
        for entry in self.ledger.entries(account, places) {
            self.row.prefetch(self.base() + entry.offset());
        }
    }

    /// Refuses blocks of a tag if one is damaged; nothing is asked about their neighbours.
    pub(super) fn verify_own(&self, account: &Account) -> Result<(), Corruption> {
        for batch in Part::all(account).batches() {
            self.fetch_headers(account, batch.clone());
            for place in batch {
                self.listed(account, place)?;
            }
        }
        Ok(())
    }

    /// Does something to each block of a tag, all of which were just verified, that leaves them where they are.
    pub(super) fn for_each_verified(
        &mut self,
        account: &Account,
        mut action: impl FnMut(&mut Self, UsedBlock, Entry),
    ) {
        for batch in Part::all(account).batches() {
            self.fetch_headers(account, batch.clone());
            for place in batch {
                let Some(entry) = self.ledger.entry(account, place) else {
                    continue;
                };
                let at = self.base() + entry.offset();
                if let Some(block) = self.row.verified_before(at, account.tag, place) {
                    action(self, block, entry);
                }
            }
        }
    }
}

impl<'a> Part<'a> {
    /// All blocks of a tag.
    pub(super) fn all(account: &'a Account) -> Self {
        Self {
            account,
            epoch: 0,
            first: 0,
            end: account.list.length(),
        }
    }

    /// Whether it has the block of an entry.
    #[inline(always)]
    fn has(self, entry: Entry) -> bool {
        entry.epoch() >= self.epoch
    }

    /// The places of the list where its blocks stand, in batches.
    fn batches(self) -> impl DoubleEndedIterator<Item = Range<usize>> {
        let starts = (self.first..self.end).step_by(BATCH);
        starts.map(move |start| start..self.end.min(start + BATCH))
    }
}

impl Expected {
    fn new() -> Self {
        let blocks = [Extent { at: 0, size: 0 }; 32];
        Self { blocks, count: 0 }
    }

    fn is_full(&self) -> bool {
        self.count == self.blocks.len()
    }

    /// Nothing happens where it is full.
    fn push(&mut self, block: Extent) {
        if let Some(place) = self.blocks.get_mut(self.count) {
            *place = block;
            self.count += 1;
        }
    }

    /// Those that were pushed since the last time.
    fn take(&mut self) -> &[Extent] {
        let count = core::mem::take(&mut self.count);
        self.blocks.get(..count).unwrap_or_default()
    }
}
