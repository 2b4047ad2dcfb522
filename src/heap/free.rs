//! How a block becomes free: out of its holder's hands, joined to its free neighbours.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::memory::block::{FreeBlock, UsedBlock};
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::error::{Corruption, Error, Misuse};
use crate::words::header::Freed;

/// The free blocks on both sides of a block, as far as the rule joins them.
#[derive(Default)]
pub(super) struct Around {
    pub(super) before: Option<FreeBlock>,
    pub(super) behind: Option<FreeBlock>,
}

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// The block whose payload is at `ptr`, if `layout` can be the one it was allocated for.
    pub(super) fn held(&self, ptr: NonNull<u8>, layout: Layout) -> Result<UsedBlock, Error> {
        let address = ptr.addr().get();
        let block = self.row.holder(address)?;
        if !block.slot().allows(block.usable(), layout.size()) {
            let (claimed, usable) = (layout.size(), block.usable());
            return Err(Misuse::SizeMismatch {
                address,
                claimed,
                usable,
            }
            .into());
        }
        if !address.is_multiple_of(layout.align()) {
            return Err(Misuse::AlignMismatch {
                address,
                claimed: layout.align(),
            }
            .into());
        }
        Ok(block)
    }

    /// Frees a block in use, and lets the memory follow if much of it is unused then.
    pub(super) fn put_back(&mut self, block: UsedBlock) -> Result<(), Error> {
        let around = self.around(&block)?;
        self.commit(|heap| {
            heap.sign_off(&block);
            heap.free(block, around, Freed::Alone);
        });
        self.relax();
        Ok(())
    }

    /// Takes a block that is deallocated from its tag's account.
    pub(super) fn sign_off(&mut self, block: &UsedBlock) {
        self.ledger.leave(
            block.tag(),
            block.slot().place,
            block.size(),
            block.requested(),
        );
        if let Some(account) = self.ledger.account_mut(block.tag()) {
            account.deallocations += 1;
        }
    }

    /// The free neighbours of a block, verified.
    pub(super) fn around(&self, block: &UsedBlock) -> Result<Around, Corruption> {
        if !R::SPLITS {
            return Ok(Around::default());
        }
        let behind = self.row.free_at(block.end())?;
        let before = self.placement.before(&self.row, block.at())?;
        let before = before.map(|at| self.row.free_block(at)).transpose()?;
        if before
            .as_ref()
            .is_some_and(|before| before.end() != block.at())
        {
            return Err(Corruption::Index { at: block.at() });
        }
        Ok(Around { before, behind })
    }

    /// Frees a block and joins it to its free neighbours; at the end of the row, the end falls.
    pub(super) fn free(&mut self, block: UsedBlock, around: Around, freed: Freed) {
        let mut free = block.free(&mut self.row, freed);
        if let Some(behind) = around.behind {
            free = free.join(self.withdraw(behind));
        }
        if let Some(before) = around.before {
            free = self.withdraw(before).join(free);
        }
        self.settle(free);
    }

    /// Puts a free block into the row, or gives it to the end where the rule says so.
    pub(super) fn settle(&mut self, free: FreeBlock) {
        if R::SPLITS && free.end() == self.end() {
            self.row.shorten(free);
        } else {
            self.offer(&free);
        }
    }

    /// Writes a free block's header, and tells the placement.
    pub(super) fn offer(&mut self, free: &FreeBlock) {
        free.settle(&mut self.row);
        self.placement.insert(free.at(), free.size());
    }

    /// Takes a free block from the placement.
    pub(super) fn withdraw(&mut self, free: FreeBlock) -> FreeBlock {
        self.placement.remove(free.at(), free.size());
        free
    }
}
