//! Releasing tags: every block of theirs is freed.

use crate::ground::source::Source;
use crate::heap::listed::Part;
use crate::heap::{Heap, refuse_reserved};
use crate::memory::block::{Around, UsedBlock};
use crate::memory::row::Held;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::ledger::chosen::Listed;
use crate::tags::ledger::{AccountId, Ledger};
use crate::words::error::{Error, Misuse, OutOfMemory, Shortage};
use crate::words::header::Freed;
use crate::words::stats::{Amount, Mark};
use crate::words::tag::Tag;

/// How many places of a list are looked at in the time that a sweep takes for a block, about: a tag whose list has more
/// than so many for each block of the heap, holes mostly, is released by a sweep.
pub(super) const SWEEP_FROM: usize = 4;

/// As [`SWEEP_FROM`], where neighbours are found by a scan, each anew: a tag that holds more than one block in so many is
/// released by a sweep, which finds them on its way.
const SWEEP_SCANNED: usize = 8;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Frees every block under `tag`, and answers how many blocks and bytes (headers included) they were.
    ///
    /// A tag without blocks is no error: nothing is freed. O(blocks of the tag), by its list, which has a place for as
    /// many as it held at once since its last release; O(blocks of the heap), by a walk, where not all stand in a list
    /// (for want of memory, or 64 GiB and more behind the base), or that has more places than four times the heap's
    /// blocks; and with [`Scan`](crate::Scan) where the tag holds an eighth of them.
    ///
    /// # Errors
    ///
    /// [`Misuse::ReservedTag`] for a tag of the heap's own, [`Corruption`](crate::Corruption) if a header of the tag's
    /// blocks or of a free neighbour's is damaged, or where it walks any header. Nothing is freed then.
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
            Some(account) if self.goes_by_list(Listed::of(account)) => *account,
            _ => {
                let amount = self.sweep(|_, other| other == tag)?;
                // Without holes, the next release of one block finds it first in the list.
                self.ledger.clear(tag);
                return Ok(amount);
            }
        };
        self.verify_listed(Part::all(&account))?;
        let amount = self.commit(|heap| heap.release_verified(&account));
        self.relax();
        Ok(amount)
    }

    /// Whether all blocks of some tags are listed, and a sweep would take longer than to go by the lists.
    pub(super) fn goes_by_list(&self, listed: Listed) -> bool {
        let blocks = self.ledger.blocks();
        let is_shorter = match self.placement.count() {
            Some(_) => listed.places / SWEEP_FROM <= blocks,
            None => listed.blocks <= blocks / SWEEP_SCANNED,
        };
        listed.is_all && is_shorter
    }

    /// Frees the blocks under `tag` that were allocated after `mark`; what was only resized since, or came
    /// from another tag with an older allocation, stays. O(blocks freed), and a look at each of the numbers in the tag's
    /// list, see [`release`](Heap::release): a microsecond for some thousands. The other blocks are not asked.
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
    ///   tag or another, or that lies 64 GiB or more behind the base: when that was allocated nobody knows.
    /// - [`Corruption`](crate::Corruption) if a header of these blocks or of a free neighbour's is damaged.
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
        let part = self.part_since(&account, epoch.saturating_add(1));
        self.verify_listed(part)?;
        let amount = self.commit(|heap| heap.release_verified_since(part));
        self.relax();
        Ok(amount)
    }

    /// Frees the blocks of chosen tags by a walk over the row.
    pub(super) fn sweep(
        &mut self,
        mut is_chosen: impl FnMut(&Ledger, Tag) -> bool,
    ) -> Result<Amount, Error> {
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
                Held::Used(block)
                    if block.tag().is_reserved() || !is_chosen(&self.ledger, block.tag()) =>
                {
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
}
