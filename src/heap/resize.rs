//! Growing and shrinking a block: in place where the row allows it, else by moving.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::place::Request;
use crate::heap::{Heap, out_of_memory};
use crate::memory::block::{FreeBlock, UsedBlock};
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::ledger::AccountId;
use crate::words::error::{Error, Misuse, Shortage};
use crate::words::header::Freed;
use crate::words::size::{Fit, SMALLEST, is_aligned};

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Makes a block larger: in place if it has the bytes, if it is the last of the row, or if a free
    /// neighbour behind it has them; else in a new block, to which `old.size()` bytes are copied.
    ///
    /// Where it moves, its tag has both blocks for a moment, which its limit must allow and its peak tells. Takes as
    /// long as [`deallocate`](Heap::deallocate) in place, and as an allocation, a copy and that where it moves.
    ///
    /// # Errors
    ///
    /// - [`Misuse`] as for [`deallocate`](Heap::deallocate), or if `new` is smaller than `old`.
    /// - [`OutOfMemory`](crate::OutOfMemory) as for [`allocate`](Heap::allocate); the block stays as it was.
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
        if !is_aligned(ptr.addr().get(), new.align()) {
            return self.relocate(block, old.size(), new);
        }
        // Each commit is inlined: a call would take the block in memory, stored in words and loaded in wider pieces, which
        // a processor does only once all stores before are in the cache, its holder's to new pages among them.
        if block.size() >= fit.size() {
            let account = self.ledger.find(block.tag());
            return Ok(self.commit(
                #[inline(always)]
                |heap| heap.resized(block, |block| block, new, account),
            ));
        }
        let (tag, lacking) = (block.tag(), fit.size() - block.size());
        let account = self.ledger.open(tag, &mut self.memory);
        let account = account.map_err(|cause| out_of_memory(tag, new, cause))?;
        if let Err(cause) = self.ledger.allows(account, lacking) {
            return Err(self.failed(account, tag, new, cause));
        }
        if block.end() == self.end() {
            let to = block.at() + fit.size();
            if self.make_room_behind(to)? {
                return Ok(self.commit(
                    #[inline(always)]
                    |heap| {
                        let room = heap.lengthen_to(to);
                        heap.resized(block, |block| block.absorb(room), new, account)
                    },
                ));
            }
        } else if let Some(behind) = self.room_behind(&block, fit)? {
            let splits = behind.size() - lacking >= SMALLEST;
            let more = if splits { lacking } else { behind.size() };
            if let Err(cause) = self.ledger.allows(account, more) {
                return Err(self.failed(account, tag, new, cause));
            }
            return Ok(self.commit(
                #[inline(always)]
                |heap| {
                    let old = behind.extent();
                    let (taken, rest) = behind.split_back(lacking);
                    match rest {
                        Some(rest) => heap.put_in_place_of(Some(old), &rest),
                        None => heap.placement.remove(old, R::SPLITS),
                    }
                    heap.resized(block, |block| block.absorb(taken), new, account)
                },
            ));
        }
        self.relocate(block, old.size(), new)
    }

    /// As [`grow`](Heap::grow), with all bytes behind the first `old.size()` zero.
    ///
    /// Memory that comes fresh from the kernel is zero and not written again.
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
        let touched = self.row.touched();
        // SAFETY: the caller's promise is the same.
        let grown = unsafe { self.grow(ptr, old, new)? };
        let block = self.row.holder(grown.cast::<u8>().addr().get())?;
        self.zero(&block, old.size()..new.size(), touched);
        Ok(grown)
    }

    /// Makes a block smaller: in place, where the rule splits blocks and the rest can be free; the rest
    /// of the last block always goes back to the end. Under [`Whole`](crate::Whole) it keeps its bytes.
    ///
    /// Moves only for an alignment that the block does not have, and then copies `new.size()` bytes. Takes as long as
    /// [`grow`](Heap::grow).
    ///
    /// # Errors
    ///
    /// - [`Misuse`] as for [`deallocate`](Heap::deallocate), or if `new` is larger than `old`.
    /// - [`OutOfMemory`](crate::OutOfMemory) as for [`allocate`](Heap::allocate), if it has to move; the block stays as
    ///   it was.
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
        if !is_aligned(ptr.addr().get(), new.align()) {
            return self.relocate(block, new.size(), new);
        }
        let rest = block.size() - fit.size();
        let is_last = block.end() == self.end();
        let behind = if R::SPLITS {
            self.behind(block.end())?
        } else {
            None
        };
        let can_be_free = rest >= SMALLEST || is_last || behind.is_some();
        let cuts = R::SPLITS && rest > 0 && can_be_free;
        let account = self.ledger.find(block.tag());
        let payload = self.commit(|heap| {
            if !cuts {
                return heap.resized(block, |block| block, new, account);
            }
            let mut rest = block.rest(fit.size());
            let payload = heap.resized(block, |block| block.cut(fit.size()), new, account);
            let old = behind.as_ref().map(FreeBlock::extent);
            if let Some(behind) = behind {
                rest = rest.join(behind);
            }
            heap.settle(rest, old);
            payload
        });
        self.relax();
        Ok(payload)
    }

    /// A block of another size, or for another request, in its place: its header and its account say so.
    #[inline(always)]
    fn resized(
        &mut self,
        block: UsedBlock,
        resize: impl FnOnce(UsedBlock) -> UsedBlock,
        new: Layout,
        account: AccountId,
    ) -> NonNull<[u8]> {
        let before = (block.size(), block.requested());
        let block = resize(block).request(new.size());
        let after = (block.size(), block.requested());
        if let Some(account) = self.ledger.by_id(account) {
            account.resize(before, after);
        }
        block.settle_resized(&mut self.row);
        self.payload(&block, new)
    }

    /// The block to resize and what it needs to become, if the caller may do so.
    #[inline(always)]
    fn resizable(
        &mut self,
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
        let Some(fit) = Fit::of(new) else {
            let account = self.ledger.find(block.tag());
            return Err(self.failed(account, block.tag(), new, Shortage::TooLarge));
        };
        Ok((block, fit))
    }

    /// The free block behind `block`, if both together are large enough and the rule joins them.
    fn room_behind(&self, block: &UsedBlock, fit: Fit) -> Result<Option<FreeBlock>, Error> {
        if !R::SPLITS {
            return Ok(None);
        }
        let behind = self.behind(block.end())?;
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
        let (tag, place) = (block.tag(), block.slot().place);
        let epoch = self.ledger.epoch_in(tag, place);
        let mut request = Request {
            counts: false,
            ..self.request(tag, new)?
        };
        request.epoch = epoch.unwrap_or(request.epoch);
        let found = self.find(&request)?;
        let mut moved = self.take(found, &request);
        if epoch.is_none() {
            let place = self.ledger.unlist(request.account, moved.slot().place);
            moved = moved.retag(tag, place);
            moved.settle(&mut self.row);
        }
        self.row.copy(&block, &moved, kept);
        let around = self.around(&block)?;
        self.commit(|heap| {
            heap.ledger
                .leave(tag, place, block.size(), block.requested());
            heap.free(block, around, Freed::Alone);
        });
        Ok(self.payload(&moved, new))
    }
}
