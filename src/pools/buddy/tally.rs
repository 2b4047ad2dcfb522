//! What a buddy system counts, in smallest blocks, with one count where a block goes to the hand and comes from there.
//!
//! Blocks are counted as they leave their orders and come back there. Those in the hand are out of them, so whoever
//! keeps the hand takes them off. As long as no more is out than was in use before, and less than the watermark,
//! neither peak nor watermark can be reached, whatever is in the hand; else nothing is in the hand, and what is out
//! is in use.

use core::cell::Cell;

use crate::pools::meter::Watermark;
use crate::words::tag::Tag;
use crate::words::usage::{Measure, Usage};

/// The numbers of a buddy system, and the watermark at which it calls.
#[derive(Debug)]
pub(super) struct Tally {
    /// Blocks that ever left their orders to be used.
    taken: Cell<u64>,
    /// As much may be out at most with nothing to be noted.
    limit: Cell<usize>,
    /// What is out of its order, in use or in the hand.
    out: Cell<usize>,
    /// The most that was in use before some was given back.
    peak: Cell<usize>,
    // Not beside `out`: what is written by one instruction and read by two, or the other way, is slow.
    /// Blocks that came back to their orders.
    given: Cell<u64>,
    /// What must be in use for a call.
    mark: usize,
    failures: Cell<u64>,
    /// Bytes of all.
    total: usize,
    /// Two to so many bytes are a smallest block.
    shift: u32,
    watermark: Watermark,
    tag: Tag,
}

/// What is in the hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) blocks: u64,
    /// And how much they are.
    pub(super) amount: usize,
    /// Blocks ever taken out of it to be used.
    pub(super) taken: u64,
    /// Blocks ever put in it that nobody had used.
    pub(super) kept: u64,
}

impl Tally {
    pub(super) fn new(tag: Tag, total: usize, shift: u32, watermark: Watermark) -> Self {
        Self {
            taken: Cell::new(0),
            given: Cell::new(0),
            out: Cell::new(0),
            limit: Cell::new(0),
            peak: Cell::new(0),
            mark: watermark.of(total).div_ceil(1 << shift),
            failures: Cell::new(0),
            total,
            shift,
            watermark,
            tag,
        }
    }

    /// Whether so much more would have to be noted.
    #[inline]
    pub(super) fn is_near(&self, more: usize) -> bool {
        self.out.get() + more > self.limit.get()
    }

    /// Whether more is out than was ever in use, or enough to reach the watermark.
    #[inline]
    pub(super) fn is_new(&self) -> bool {
        self.out.get() > self.limit.get()
    }

    /// Counts a block that is to be used, and how much left its order with it.
    #[inline]
    pub(super) fn take(&self, amount: usize) {
        self.taken.set(self.taken.get() + 1);
        self.out.set(self.out.get() + amount);
    }

    /// Counts blocks that are back in their order, and how much that is.
    #[inline]
    pub(super) fn give(&self, blocks: u64, amount: usize) {
        self.given.set(self.given.get() + blocks);
        self.out.set(self.out.get() - amount);
    }

    /// Counts a block in use that has become larger.
    pub(super) fn grow(&self, amount: usize) {
        self.out.set(self.out.get() + amount);
    }

    /// Counts a block in use that has become smaller.
    pub(super) fn shrink(&self, amount: usize) {
        self.out.set(self.out.get() - amount);
    }

    /// Whether so much more, with nothing in the hand, has made what is in use reach the watermark.
    #[inline]
    pub(super) fn is_reached(&self, more: usize) -> bool {
        let out = self.out.get();
        out >= self.mark && out - more < self.mark
    }

    #[cold]
    pub(super) fn call(&self, held: Held) {
        self.watermark.call(self.tag, &self.usage(held));
    }

    /// Notes what is in use, with nothing in the hand, before some is given back; answers whether the watermark is
    /// far enough for something to be in the hand.
    pub(super) fn note(&self) -> bool {
        let peak = self.peak.get().max(self.out.get());
        self.peak.set(peak);
        self.limit.set(peak.min(self.mark - 1));
        self.out.get() < self.mark
    }

    /// Counts a request refused.
    #[cold]
    pub(super) fn fail(&self) {
        self.failures.set(self.failures.get() + 1);
    }

    /// Counts all blocks given back, and back in their orders. Nothing is in the hand.
    pub(super) fn reset(&self, held: Held) {
        self.given.set(self.taken.get() + held.kept);
        self.out.set(0);
    }

    pub(super) fn usage(&self, held: Held) -> Usage {
        let used = self.out.get() - held.amount;
        Usage {
            measure: Measure::Bytes,
            total: self.total,
            used: used << self.shift,
            peak: self.peak.get().max(used) << self.shift,
            allocations: self.taken.get() + held.taken,
            deallocations: self.given.get() + held.taken + held.blocks - held.kept,
            failures: self.failures.get(),
        }
    }
}
