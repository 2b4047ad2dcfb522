//! A block in hand: owned in one state, consumed by what changes its state.
//!
//! Splitting and joining only compute; a header is written once, when its block is settled: by
//! [`FreeBlock::settle`], by [`FreeBlock::claim`], or by [`UsedBlock::settle`]. A free block in hand that
//! is dropped instead would leave a hole in the row (H1), so it is `#[must_use]`.

use core::hint::select_unpredictable;

use crate::memory::row::Row;
use crate::words::extent::Extent;
use crate::words::header::{Freed, Header};
use crate::words::size::{HEADER, SMALLEST};
use crate::words::slot::Slot;
use crate::words::tag::Tag;

/// A free block in hand.
#[derive(Debug)]
#[must_use]
pub(crate) struct FreeBlock {
    at: usize,
    size: usize,
    freed: Freed,
}

/// A block in use, in hand.
#[derive(Debug)]
pub(crate) struct UsedBlock {
    at: usize,
    size: usize,
    tag: Tag,
    slot: Slot,
}

/// The free blocks beside another that it joins, verified: how many bytes that in front of it has, and that behind it;
/// 0 for none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    before: usize,
    behind: usize,
    /// How the one in front became free.
    freed: Freed,
}

impl Around {
    /// No free blocks.
    pub(crate) const NONE: Self = Self {
        before: 0,
        behind: 0,
        freed: Freed::Alone,
    };

    #[inline]
    pub(super) fn new(before: usize, behind: usize, freed: Freed) -> Self {
        Self {
            before,
            behind,
            freed,
        }
    }

    /// Of two blocks in hand.
    pub(crate) fn of(before: Option<FreeBlock>, behind: Option<FreeBlock>) -> Self {
        let none = Self::NONE;
        let (before, freed) = before.map_or((0, none.freed), |before| (before.size, before.freed));
        let behind = behind.map_or(0, |behind| behind.size);
        Self::new(before, behind, freed)
    }

    /// Bytes of the one in front.
    #[inline]
    pub(crate) fn before(&self) -> usize {
        self.before
    }

    /// Bytes of the one behind.
    #[inline]
    pub(crate) fn behind(&self) -> usize {
        self.behind
    }
}

impl FreeBlock {
    #[inline]
    pub(super) fn new(at: usize, size: usize, freed: Freed) -> Self {
        Self { at, size, freed }
    }

    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.at + self.size
    }

    #[inline]
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            at: self.at,
            size: self.size,
        }
    }

    /// Cuts the first `size` bytes off; `None` and all of it where `size` is 0.
    #[inline]
    pub(crate) fn split_front(self, size: usize) -> (Option<Self>, Self) {
        if size == 0 {
            return (None, self);
        }
        let front = Self { size, ..self };
        let rest = Self::new(self.at + size, self.size - size, Freed::Alone);
        (Some(front), rest)
    }

    /// Keeps the first `size` bytes; what is behind them is a block too, if it is large enough for one.
    #[inline]
    pub(crate) fn split_back(self, size: usize) -> (Self, Option<Self>) {
        if self.size - size < SMALLEST {
            return (self, None);
        }
        let rest = Self::new(self.at + size, self.size - size, Freed::Alone);
        (Self { size, ..self }, Some(rest))
    }

    /// Leaves the last `left` bytes behind as a free block, if they are any; writes its header.
    ///
    /// Without a branch: without any, the header is written to where this block's own will stand.
    #[inline(always)]
    pub(crate) fn leave(self, left: usize, row: &mut Row) -> Self {
        let size = self.size - left;
        let at = select_unpredictable(left == 0, self.at, self.at + size);
        Self::new(at, left, Freed::Alone).settle(row);
        Self { size, ..self }
    }

    /// One block of this and `next`, the block behind it.
    #[inline]
    pub(crate) fn join(self, next: Self) -> Self {
        debug_assert_eq!(self.end(), next.at, "neighbours");
        Self {
            size: self.size + next.size,
            ..self
        }
    }

    /// One block of this and those around it.
    #[inline]
    pub(crate) fn join_around(&self, around: Around) -> Self {
        let Around { before, behind, .. } = around;
        Self {
            at: self.at - before,
            size: before + self.size + behind,
            freed: if before > 0 { around.freed } else { self.freed },
        }
    }

    /// Writes the block's header; it stays free.
    #[inline(always)]
    pub(crate) fn settle(&self, row: &mut Row) {
        let header = Header::free(self.at, self.size, self.freed, row.secret());
        row.write(self.at, header);
    }

    /// Gives the block to `tag`, and writes its header.
    #[inline]
    pub(crate) fn claim(self, row: &mut Row, tag: Tag, slot: Slot) -> UsedBlock {
        let block = UsedBlock {
            at: self.at,
            size: self.size,
            tag,
            slot,
        };
        block.settle(row);
        block
    }
}

impl UsedBlock {
    #[inline]
    pub(super) fn new(at: usize, size: usize, tag: Tag, slot: Slot) -> Self {
        Self {
            at,
            size,
            tag,
            slot,
        }
    }

    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.at + self.size
    }

    #[inline]
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            at: self.at,
            size: self.size,
        }
    }

    #[inline]
    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    #[inline]
    pub(crate) fn payload(&self) -> usize {
        self.at + HEADER
    }

    #[inline]
    pub(crate) fn usable(&self) -> usize {
        self.size - HEADER
    }

    /// Where the block stands in the list of its tag, and how much of it nobody asked for.
    #[inline]
    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    /// Bytes asked for, as far as the slot tells.
    #[inline]
    pub(crate) fn requested(&self) -> usize {
        self.slot.requested(self.usable())
    }

    /// The block for so many bytes.
    #[inline]
    pub(crate) fn request(self, requested: usize) -> Self {
        let slot = Slot::new(self.slot.place, self.usable(), requested);
        Self { slot, ..self }
    }

    /// Writes the block's header; it stays in use.
    #[inline(always)]
    pub(crate) fn settle(&self, row: &mut Row) {
        let header = Header::used(self.at, self.size, self.tag, self.slot.word(), row.secret());
        row.write(self.at, header);
    }

    /// Writes the block's header, which has another size or another slot there; it stays in use under its tag.
    #[inline(always)]
    pub(crate) fn settle_resized(&self, row: &mut Row) {
        let header = Header::used(self.at, self.size, self.tag, self.slot.word(), row.secret());
        row.write_size(self.at, header);
    }

    /// The block under another tag, at a place in that one's list.
    #[inline]
    pub(crate) fn retag(self, tag: Tag, place: u32) -> Self {
        let slot = Slot { place, ..self.slot };
        Self { tag, slot, ..self }
    }

    /// Takes the free block behind it in.
    #[inline]
    pub(crate) fn absorb(self, next: FreeBlock) -> Self {
        debug_assert_eq!(self.end(), next.at, "neighbours");
        Self {
            size: self.size + next.size,
            ..self
        }
    }

    /// What is left of it behind the first `size` bytes; may be too small to settle on its own.
    #[inline]
    pub(crate) fn rest(&self, size: usize) -> FreeBlock {
        FreeBlock::new(self.at + size, self.size - size, Freed::Alone)
    }

    /// Keeps the first `size` bytes; the others are its [`rest`](UsedBlock::rest).
    #[inline]
    pub(crate) fn cut(self, size: usize) -> Self {
        Self { size, ..self }
    }

    /// Takes the block from its holder; its header does not know yet.
    #[inline]
    pub(crate) fn free(self, freed: Freed) -> FreeBlock {
        FreeBlock::new(self.at, self.size, freed)
    }
}
