//! How a block becomes free: out of its holder's hands, joined to its free neighbours.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::memory::block::{Around, FreeBlock, UsedBlock};
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::error::{Corruption, Error, Misuse};
use crate::words::extent::Extent;
use crate::words::header::Freed;
use crate::words::size::{Fit, HEADER, is_aligned};

/// Bytes from which on a row is so long that most of its headers are in no cache of a processor's own.
const FAR: usize = 8 << 20;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// The block whose payload is at `ptr`, if `layout` can be the one it was allocated for.
    #[inline(always)]
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
        if !is_aligned(address, layout.align()) {
            return Err(Misuse::AlignMismatch {
                address,
                claimed: layout.align(),
            }
            .into());
        }
        Ok(block)
    }

    /// Frees the block whose payload is at `ptr`, if `layout` can be the one it was allocated for.
    ///
    /// The header behind it is fetched meanwhile. In a long row the block's own is far away, too: whatever depends on
    /// the block's size goes on with the one that `layout` needs, which most blocks have. Only a comparison waits
    /// for the header.
    #[inline(always)]
    pub(super) fn give_back(&mut self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        let likely = Fit::of(layout).map_or(0, Fit::size);
        let at = ptr.addr().get().wrapping_sub(HEADER);
        self.row.prefetch(at.wrapping_add(likely));
        let block = self.held(ptr, layout)?;
        if self.row.length() >= FAR && block.size() == likely {
            return self.put_back(block.cut(likely));
        }
        self.put_back(block)
    }

    /// Frees a block in use, and lets the memory follow if much of it is unused then.
    #[inline(always)]
    pub(super) fn put_back(&mut self, block: UsedBlock) -> Result<(), Error> {
        let around = self.around(&block)?;
        // Inlined: as a call, it would take the block in memory, stored in words and loaded in wider pieces.
        self.commit(
            #[inline(always)]
            |heap| {
                heap.sign_off(&block);
                heap.free(block, around, Freed::Alone);
            },
        );
        self.relax();
        Ok(())
    }

    /// Takes a block that is deallocated from its tag's account.
    #[inline]
    pub(super) fn sign_off(&mut self, block: &UsedBlock) {
        let (size, requested) = (block.size(), block.requested());
        self.ledger
            .deallocate(block.tag(), block.slot().place, size, requested);
    }

    /// The free neighbours of a block that the rule joins it to, verified.
    #[inline(always)]
    pub(super) fn around(&self, block: &UsedBlock) -> Result<Around, Corruption> {
        if !R::SPLITS {
            return Ok(Around::NONE);
        }
        let beside = self.placement.beside(&self.row, block.extent())?;
        self.row.around(block, beside)
    }

    /// The free block at whose end another starts, verified, if there is one and the rule joins them.
    #[inline(always)]
    pub(super) fn before(&self, at: usize) -> Result<Option<FreeBlock>, Corruption> {
        if !R::SPLITS {
            return Ok(None);
        }
        let before = self.placement.before(&self.row, at)?;
        before.map(|before| self.row.free_block(before)).transpose()
    }

    /// The free block at the end of another, verified, if there is one and the rule joins them.
    #[inline(always)]
    pub(super) fn behind(&self, end: usize) -> Result<Option<FreeBlock>, Corruption> {
        if !R::SPLITS || end == self.end() {
            return Ok(None);
        }
        let behind = self.placement.behind(&self.row, end)?;
        behind.map(|behind| self.row.free_block(behind)).transpose()
    }

    /// Frees a block and joins it to its free neighbours; at the end of the row, the end falls.
    ///
    /// Where there is a free block in front, the block's own header stays behind inside another, and says that it is
    /// free: a late free of it is recognised by that.
    #[inline(always)]
    pub(super) fn free(&mut self, block: UsedBlock, around: Around, freed: Freed) {
        let extent = block.extent();
        let free = block.free(freed);
        let joined = free.join_around(around);
        if R::SPLITS && joined.end() == self.end() {
            return self.free_last(free, around);
        }
        self.placement
            .join(extent, around.before(), around.behind(), R::SPLITS);
        if around.before() > 0 {
            free.settle(&mut self.row);
        }
        joined.settle(&mut self.row);
    }

    /// Gives a block, the last of the row, to the end, and the free one in front of it, if any.
    #[inline(always)]
    fn free_last(&mut self, free: FreeBlock, around: Around) {
        if around.before() > 0 {
            free.settle(&mut self.row);
            let (at, size) = (free.at() - around.before(), around.before());
            self.placement.remove(Extent { at, size }, R::SPLITS);
        }
        self.drop_last(free.join_around(around));
    }

    /// Puts a free block into the row, in the place of one the placement knows; or gives it to the end
    /// where the rule says so.
    #[inline(always)]
    pub(super) fn settle(&mut self, free: FreeBlock, old: Option<Extent>) {
        if R::SPLITS && free.end() == self.end() {
            if let Some(old) = old {
                self.placement.remove(old, R::SPLITS);
            }
            self.drop_last(free);
        } else {
            self.put_in_place_of(old, &free);
        }
    }

    /// Gives the last block of the row, of which the placement does not know, to the end.
    ///
    /// What a shrink cut off may be too small for a header, which would lie beyond the end: nobody ever held it.
    #[inline(always)]
    pub(super) fn drop_last(&mut self, free: FreeBlock) {
        if free.size() >= HEADER {
            free.settle(&mut self.row);
        }
        self.row.shorten(free);
        self.root.resize(&self.row);
    }

    /// Puts a free block into the row, in the place of one the placement knows, if any.
    #[inline(always)]
    pub(super) fn put_in_place_of(&mut self, old: Option<Extent>, free: &FreeBlock) {
        match old {
            Some(old) => self.placement.replace(old, free.extent(), R::SPLITS),
            None => self.placement.insert(free.extent(), R::SPLITS),
        }
        free.settle(&mut self.row);
    }
}
