//! Floor 4, the heap: one row of blocks, each somebody's.
//!
//! # The theory
//!
//! **The row.** A heap is one contiguous range of memory, from its *base* to its *end*, tiled by
//! *blocks*. A block is a 32-byte header and a payload. What the *source* has granted beyond the end
//! is room to grow, up to the *limit*.
//!
//! **A request** names a *tag* and a layout. It takes the lowest free block into which it fits (first
//! fit); if there is none, the end moves up. So addresses follow from the sequence of requests alone,
//! and two implementations can be compared address by address.
//!
//! **The rule** says what becomes of the rest. Under [`Split`] a block is split where the rest can be a
//! block, free neighbours coalesce, and what is free at the end belongs to the end again. Under
//! [`Whole`](crate::Whole) a block is reused whole and nothing merges.
//!
//! **The directory** finds the lowest block that fits without a scan, and **the ledger** knows the blocks of
//! each tag without a walk. Both lie outside the row, and answer as a scan of it would.
//!
//! **A release** frees every block under a tag, as if each were deallocated.
//!
//! **The root block** is the first of every row, tagged [`Tag::HEAP`]. It tells somebody outside where
//! the row ends and whether it is changing.
//!
//! **A fence** is a block tagged [`Tag::FOREIGN`] around memory of somebody else who moved the break.
//!
//! **An operation** first finds out all that it needs and can fail; only then does it change the row,
//! in one [`commit`](Heap::commit) that cannot fail. So a refusal leaves the row as it was, bit for bit.
//!
//! # Invariants
//!
//! - H1 Blocks tile the range from base to end: each ends where the next begins.
//! - H2 A size is a positive multiple of 16, at least 48, header included.
//! - H3 A block is free iff `in_use` is 0; a free block's tag is 0.
//! - H4 Under `Split` no two neighbours are free, and the last block is in use.
//! - H5 The placement remembers exactly the free blocks, if it remembers any.
//! - H6 A tag's account counts exactly its used blocks; its list holds them, but for those counted as
//!   unlisted, and a block's slot is its place there.
//! - H7 A returned address belongs to its holder until it is deallocated or its tag released.

mod accounting;
mod chosen;
mod free;
mod growth;
mod listed;
mod merge;
pub(crate) mod owned;
mod place;
mod purge;
mod query;
mod release;
mod resize;
mod snapshot;
mod table;

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::ground::sys;
use crate::ground::table::IndexMemory;
use crate::heap::growth::Spare;
use crate::memory::block::UsedBlock;
use crate::memory::root::RootWriter;
use crate::memory::row::Row;
use crate::policy::directory::Directory;
use crate::policy::placement::Placement;
use crate::policy::rule::{Rule, Split};
use crate::tags::ledger::Ledger;
use crate::words::error::{Error, Misuse, OutOfMemory, Shortage};
use crate::words::header::Key;
use crate::words::size::Fit;
use crate::words::tag::Tag;

/// A heap of tagged blocks over a source of memory.
///
/// Every allocation names a [`Tag`] and takes the lowest free block that fits; one call,
/// [`release`](Heap::release), frees everything under a tag.
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{Heap, Reserve, Tag};
///
/// const LEVEL: Tag = Tag::named("level");
///
/// let mut heap = Heap::new(Reserve::new()?)?;
/// let mesh = heap.allocate(LEVEL, Layout::new::<[f32; 300]>())?;
/// let sound = heap.allocate(LEVEL, Layout::new::<[i16; 800]>())?;
/// assert_eq!(heap.tag_of(sound.cast())?, LEVEL);
///
/// // SAFETY: nobody uses the level's memory any more.
/// let released = unsafe { heap.release(LEVEL)? };
/// assert_eq!(released.blocks, 2);
/// assert!(!heap.contains(mesh.cast()));
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// Every block costs a header of 32 bytes; sizes are rounded up to 16, and every payload is aligned to
/// 16 bytes at least. An operation that answers an error has changed nothing.
///
/// Dropping the heap drops its source: what that owned is gone, whoever still holds blocks.
#[derive(Debug)]
pub struct Heap<S: Source, R: Rule = Split, P: Placement = Directory> {
    // Declared, so dropped, before the source whose memory they describe and are made of.
    row: Row,
    root: RootWriter,
    placement: P,
    ledger: Ledger,
    memory: IndexMemory,
    spare: Spare,
    source: S,
    rule: PhantomData<R>,
}

impl<S: Source> Heap<S> {
    /// A heap over `source`, with the rule [`Split`] and a key for its check words that differs from run
    /// to run.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if the source does not grant even the root block's 128 bytes and the room for its first
    /// indexes.
    pub fn new(source: S) -> Result<Self, Error> {
        Self::with(
            source,
            Split,
            Directory::new(),
            Key::from_seed(sys::noise()),
        )
    }
}

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// A heap over `source` with a rule, a placement and a key of the caller's choice.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if the source does not grant even the root block's 128 bytes and the room for its first
    /// indexes.
    pub fn with(source: S, _rule: R, placement: P, key: Key) -> Result<Self, Error> {
        growth::found(source, placement, key)
    }

    /// Allocates a block for `layout` under `tag`, and answers its payload: as many bytes as asked for.
    ///
    /// The payload is aligned to the layout's alignment and to 16 at least; its bytes are whatever was
    /// there. A layout of size 0 gets a block of its own too. Takes as long as the placement does to find a block:
    /// O(log32 of the row's length) with [`Directory`], mostly.
    ///
    /// # Errors
    ///
    /// - [`Misuse::ReservedTag`] if the tag is the heap's own.
    /// - [`OutOfMemory`] if no free block fits and the source does not grow, if the tag's limit does not allow the
    ///   block that it would get, or if an index cannot grow; the cause says which.
    /// - [`Corruption`](crate::Corruption) if a header met on the way is damaged.
    pub fn allocate(&mut self, tag: Tag, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        // Before anything else: what is found is far from all else, and looked at next.
        let found = Fit::of(layout).map_or(Ok(None), |fit| self.look(fit));
        let request = self.request(tag, layout)?;
        self.serve(&request, found?)
    }

    /// As [`allocate`](Heap::allocate), with all bytes of the layout zero.
    ///
    /// Memory that comes fresh from the kernel is zero and not written again.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Heap::allocate).
    pub fn allocate_zeroed(&mut self, tag: Tag, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        let request = self.request(tag, layout)?;
        let place = self.find(&request)?;
        let touched = self.row.touched();
        let block = self.take(place, &request);
        self.zero(&block, 0..layout.size(), touched);
        Ok(self.payload(&block, layout))
    }

    /// Gives a block back.
    ///
    /// O(1) but for the placement's part: O(log32 of the row's length) with [`Directory`].
    ///
    /// # Errors
    ///
    /// [`Misuse`] if no block's payload starts at `ptr`, if it was freed before, or if the layout cannot be
    /// the block's: not the size that was asked for, or an alignment it does not have. (Of a block reused
    /// for 63 bytes less than its payload or more, as happens under [`Whole`](crate::Whole), any such size
    /// passes.)
    /// [`Corruption`](crate::Corruption) if its header or a free neighbour's is damaged.
    ///
    /// # Safety
    ///
    /// - The caller holds the block, and nobody uses it afterwards.
    /// - Misuse is found as long as the address was not given to somebody else in between; then the block
    ///   is taken from its new holder.
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    pub unsafe fn deallocate(&mut self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        self.give_back(ptr, layout)
    }

    /// As [`deallocate`](Heap::deallocate), for a caller who knows whose the block is.
    ///
    /// # Errors
    ///
    /// As for [`deallocate`](Heap::deallocate), and [`Misuse::TagMismatch`] if the block belongs to another
    /// tag.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Heap::deallocate).
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    pub unsafe fn deallocate_in(
        &mut self,
        claimed: Tag,
        ptr: NonNull<u8>,
        layout: Layout,
    ) -> Result<(), Error> {
        let tag = self.held(ptr, layout)?.tag();
        if tag != claimed {
            return Err(Misuse::TagMismatch {
                address: ptr.addr().get(),
                claimed,
                tag,
            }
            .into());
        }
        // SAFETY: the caller's promise is the same.
        unsafe { self.deallocate(ptr, layout) }
    }

    /// Makes bytes of a payload zero, but for those that are: they were never in the row, of which `touched` is told as it
    /// was before the block came there, and are zero by the source's word, which may have grown since.
    fn zero(&mut self, block: &UsedBlock, bytes: Range<usize>, touched: usize) {
        let zero_from = touched.max(self.source.zero_from());
        let unclean = zero_from.saturating_sub(block.payload());
        let end = unclean.min(bytes.end).max(bytes.start);
        self.row.zero(block, bytes.start, end);
    }

    /// The payload as the caller gets it: the bytes asked for.
    fn payload(&self, block: &UsedBlock, layout: Layout) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.row.pointer(block.payload()), layout.size())
    }

    /// Changes the row. Whoever reads the root block from outside sees that a change is under way.
    #[inline(always)]
    fn commit<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        self.root.begin();
        let answer = change(self);
        self.root.finish();
        answer
    }
}

/// The error for a request under a tag, of the heap or of a pool over it, that cannot be served.
pub(crate) fn out_of_memory(tag: Tag, layout: Layout, cause: Shortage) -> Error {
    OutOfMemory {
        tag,
        size: layout.size(),
        align: layout.align(),
        cause,
    }
    .into()
}

fn refuse_reserved(tag: Tag) -> Result<(), Misuse> {
    if tag.is_reserved() {
        Err(Misuse::ReservedTag { tag })
    } else {
        Ok(())
    }
}
