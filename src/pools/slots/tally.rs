//! How many slots are in use, with one count for each that is taken and none where one goes to and fro.
//!
//! Slots are counted as they leave their groups and come back there. The slot in the hand is out of its group,
//! so whoever keeps the hand takes one off. The most that were ever out is the most that were ever in use: the
//! hand is empty when a slot leaves its group.

use core::cell::Cell;

use crate::pools::meter::Watermark;
use crate::words::tag::Tag;
use crate::words::usage::{Measure, Usage};

/// The numbers of a set of slots, and the watermark at which it calls.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Slots ever taken from the hand.
    handed: Cell<u64>,
    /// Slots that ever left their groups.
    left: Cell<u64>,
    /// As many may have left their groups with nothing to be noted, neither a new peak nor the watermark: as many as
    /// ever came back, and the limit.
    until: Cell<u64>,
    /// As many may be out at most with nothing to be noted.
    limit: Cell<usize>,
    peak: Cell<usize>,
    /// What must be in use for a call.
    mark: Cell<usize>,
    total: Cell<usize>,
    failures: Cell<u64>,
    watermark: Watermark,
    tag: Tag,
}

impl Tally {
    pub(crate) fn new(tag: Tag, total: usize, watermark: Watermark) -> Self {
        Self {
            handed: Cell::new(0),
            left: Cell::new(0),
            until: Cell::new(0),
            limit: Cell::new(0),
            peak: Cell::new(0),
            mark: Cell::new(watermark.of(total)),
            total: Cell::new(total),
            failures: Cell::new(0),
            watermark,
            tag,
        }
    }

    /// Slots out of their groups; none where more came back than left, as a damaged word lets them.
    pub(super) fn out(&self) -> usize {
        let came_back = self.until.get() - self.limit.get() as u64;
        self.left.get().saturating_sub(came_back) as usize
    }

    pub(super) fn total(&self) -> usize {
        self.total.get()
    }

    /// Notes how many slots there are now.
    pub(super) fn set_total(&self, total: usize) {
        self.total.set(total);
        self.mark.set(self.watermark.of(total));
        self.set_limit(self.out());
    }

    /// Looks anew up to where nothing need be noted, with so many slots out.
    fn set_limit(&self, out: usize) {
        let limit = self.peak.get().min(self.mark.get() - 1);
        self.limit.set(limit);
        self.until.set(self.left.get() - out as u64 + limit as u64);
    }

    /// Whether so many are in use that each that is taken may have to be told.
    pub(super) fn is_high(&self) -> bool {
        self.out() >= self.mark.get()
    }

    /// Counts a slot taken that was out of its group.
    #[inline]
    pub(super) fn take(&self) {
        self.handed.set(self.handed.get() + 1);
    }

    /// Counts a slot taken from its group; answers whether that is to be [`noted`](Tally::note).
    #[inline]
    pub(super) fn leave(&self) -> bool {
        let left = self.left.get() + 1;
        self.left.set(left);
        left > self.until.get()
    }

    /// Notes the peak, and calls if the watermark is reached.
    pub(super) fn note(&self) {
        let out = self.out();
        self.peak.set(self.peak.get().max(out));
        self.set_limit(out);
        if out == self.mark.get() {
            self.watermark.call(self.tag, &self.usage(out));
        }
    }

    /// Counts a slot that is back in its group.
    #[inline]
    pub(super) fn come_back(&self) {
        self.until.set(self.until.get() + 1);
    }

    /// Counts all slots back in their groups.
    pub(super) fn reset(&self) {
        self.set_limit(0);
    }

    /// Counts a request refused.
    #[cold]
    pub(super) fn fail(&self) {
        self.failures.set(self.failures.get() + 1);
    }

    /// The numbers, with so many slots in use.
    pub(super) fn usage(&self, used: usize) -> Usage {
        let taken = self.handed.get() + self.left.get();
        Usage {
            measure: Measure::Slots,
            total: self.total.get(),
            used,
            peak: self.peak.get(),
            allocations: taken,
            deallocations: taken - used as u64,
            failures: self.failures.get(),
        }
    }
}
