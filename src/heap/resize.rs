//! Growing and shrinking a block: in place where the row allows it, else by moving.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::memory::block::UsedBlock;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::error::{Error, Misuse, OutOfMemory, Shortage};
use crate::words::header::Freed;
use crate::words::size::{Fit, SMALLEST};

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Makes a block larger: in place if it has the bytes, if it is the last of the row, or if a free
    /// neighbour behind it has them; else in a new block, to which `old.size()` bytes are copied.
    ///
    /// # Errors
    ///
    /// - [`Misuse`] as for [`deallocate`](Heap::deallocate), or if `new` is smaller than `old`.
    /// - [`OutOfMemory`] if there is no room; the block stays as it was.
    /// - [`Corruption`](crate::Corruption) if a header met on the way is damaged.
    ///
    /// # Safety
    ///
    /// The caller holds the block, and nobody uses the old address afterwards unless it is the answer too.
    #[expect(unsafe_code, reason = "may take memory from whoever still uses it")]
    pub unsafe fn grow(
        &mut self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let (block, fit) = self.resizable(ptr, old, new, new.size() >= old.size())?;
        if !ptr.addr().get().is_multiple_of(new.align()) {
            return self.relocate(block, old.size(), new);
        }
        if block.size() >= fit.size() {
            return Ok(self.payload(&block, new));
        }
        if block.end() == self.end() {
            let to = block.at() + fit.size();
            if self.make_room_behind(to)? {
                return Ok(self.commit(|heap| {
                    let block = block.absorb(heap.row.lengthen(to));
                    block.settle(&mut heap.row);
                    heap.payload(&block, new)
                }));
            }
        } else if let Some(behind) = self.room_behind(&block, fit)? {
            return Ok(self.commit(|heap| {
                let lacking = fit.size() - block.size();
                let (taken, rest) = heap.withdraw(behind).split_back(lacking);
                if let Some(rest) = rest {
                    heap.offer(&rest);
                }
                let block = block.absorb(taken);
                block.settle(&mut heap.row);
                heap.payload(&block, new)
            }));
        }
        self.relocate(block, old.size(), new)
    }

    /// As [`grow`](Heap::grow), with all bytes behind the first `old.size()` zero.
    ///
    /// # Errors
    ///
    /// As for [`grow`](Heap::grow).
    ///
    /// # Safety
    ///
    /// As for [`grow`](Heap::grow).
    #[expect(unsafe_code, reason = "may take memory from whoever still uses it")]
    pub unsafe fn grow_zeroed(
        &mut self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise is the same.
        let grown = unsafe { self.grow(ptr, old, new)? };
        let block = self.row.holder(grown.cast::<u8>().addr().get())?;
        self.row.zero(&block, old.size(), new.size());
        Ok(grown)
    }

    /// Makes a block smaller: in place, where the rule splits blocks and the rest can be free; the rest
    /// of the last block always goes back to the end. Under [`Whole`](crate::Whole) it keeps its bytes.
    ///
    /// Moves only for an alignment that the block does not have, and then copies `new.size()` bytes.
    ///
    /// # Errors
    ///
    /// - [`Misuse`] as for [`deallocate`](Heap::deallocate), or if `new` is larger than `old`.
    /// - [`OutOfMemory`] if it has to move and there is no room; the block stays as it was.
    /// - [`Corruption`](crate::Corruption) if a header met on the way is damaged.
    ///
    /// # Safety
    ///
    /// The caller holds the block, and nobody uses the bytes beyond `new.size()`, nor the old address
    /// unless it is the answer too.
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    pub unsafe fn shrink(
        &mut self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let (block, fit) = self.resizable(ptr, old, new, new.size() <= old.size())?;
        if !ptr.addr().get().is_multiple_of(new.align()) {
            return self.relocate(block, new.size(), new);
        }
        let payload = self.payload(&block, new);
        let rest = block.size() - fit.size();
        let is_last = block.end() == self.end();
        let behind = if R::SPLITS {
            self.row.free_at(block.end())?
        } else {
            None
        };
        let can_be_free = rest >= SMALLEST || is_last || behind.is_some();
        if R::SPLITS && rest > 0 && can_be_free {
            self.commit(|heap| {
                let (block, mut rest) = block.cut(fit.size());
                block.settle(&mut heap.row);
                if let Some(behind) = behind {
                    rest = rest.join(heap.withdraw(behind));
                }
                heap.settle(rest);
            });
            self.relax();
        }
        Ok(payload)
    }

    /// The block to resize and what it needs to become, if the caller may do so.
    fn resizable(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
        right_way: bool,
    ) -> Result<(UsedBlock, Fit), Error> {
        let block = self.held(ptr, old)?;
        if !right_way {
            return Err(Misuse::WrongWay {
                old: old.size(),
                new: new.size(),
            }
            .into());
        }
        let (tag, size, align) = (block.tag(), new.size(), new.align());
        let too_large = OutOfMemory {
            tag,
            size,
            align,
            cause: Shortage::TooLarge,
        };
        Ok((block, Fit::of(new).ok_or(too_large)?))
    }

    /// The free block behind `block`, if both together are large enough and the rule joins them.
    fn room_behind(
        &self,
        block: &UsedBlock,
        fit: Fit,
    ) -> Result<Option<crate::memory::block::FreeBlock>, Error> {
        if !R::SPLITS {
            return Ok(None);
        }
        let behind = self.row.free_at(block.end())?;
        Ok(behind.filter(|behind| block.size() + behind.size() >= fit.size()))
    }

    /// Moves a block's first `kept` bytes to a new block and frees the old one.
    fn relocate(
        &mut self,
        block: UsedBlock,
        kept: usize,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // Neighbours that are damaged are met here, before anything has changed.
        self.around(&block)?;
        let (fit, place) = self.find(block.tag(), new)?;
        let moved = self.commit(|heap| heap.take(place, fit, block.tag()));
        self.row.copy(&block, &moved, kept);
        let around = self.around(&block)?;
        self.commit(|heap| heap.free(block, around, Freed::Alone));
        Ok(self.payload(&moved, new))
    }
}
