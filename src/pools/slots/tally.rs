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
    /// Slots ever taken.
    taken: Cell<u64>,
    peak: Cell<usize>,
    /// As many more may leave their groups with nothing to be noted: neither a new peak, nor the watermark. Below
    /// 0 while one is noted.
    room: Cell<isize>,
    /// As many may be out at most with nothing to be noted.
    limit: Cell<usize>,
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
            taken: Cell::new(0),
            peak: Cell::new(0),
            room: Cell::new(0),
            limit: Cell::new(0),
            mark: Cell::new(watermark.of(total)),
            total: Cell::new(total),
            failures: Cell::new(0),
            watermark,
            tag,
        }
    }

    /// Slots out of their groups.
    pub(super) fn out(&self) -> usize {
        self.limit.get().wrapping_add_signed(-self.room.get())
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
        self.room.set(limit.wrapping_sub(out) as isize);
    }

    /// Whether so many are in use that each that is taken may have to be told.
    pub(super) fn is_high(&self) -> bool {
        self.out() >= self.mark.get()
    }

    /// Counts a slot taken that was out of its group.
    #[inline]
    pub(super) fn take(&self) {
        self.taken.set(self.taken.get() + 1);
    }

    /// Counts a slot taken from its group; answers whether that is to be [`noted`](Tally::note).
    #[inline]
    pub(super) fn leave(&self) -> bool {
        self.take();
        let room = self.room.get() - 1;
        self.room.set(room);
        room < 0
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
        self.room.set(self.room.get() + 1);
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
        Usage {
            measure: Measure::Slots,
            total: self.total.get(),
            used,
            peak: self.peak.get(),
            allocations: self.taken.get(),
            deallocations: self.taken.get() - used as u64,
            failures: self.failures.get(),
        }
    }
}
