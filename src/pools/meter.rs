//! A pool's counters, and the watermark at which it calls.

use core::cell::Cell;

use crate::words::tag::Tag;
use crate::words::usage::{Alarm, Measure, Usage};

/// Percent of a pool's total at which it calls unless told otherwise.
pub(crate) const PERCENT: u8 = 90;

/// A watermark and whom to call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watermark {
    percent: u8,
    call: Option<Alarm>,
}

impl Watermark {
    pub(crate) fn new(percent: u8, call: Alarm) -> Self {
        Self {
            percent: percent.min(100),
            call: Some(call),
        }
    }

    /// Whether there is somebody to call.
    pub(crate) fn calls(&self) -> bool {
        self.call.is_some()
    }

    /// What must be in use for a call: so many percent of the total, rounded up, at least 1; no amount
    /// reaches it where there is nobody to call.
    pub(crate) fn of(&self, total: usize) -> usize {
        if self.call.is_none() {
            return usize::MAX;
        }
        let share = (total as u128 * u128::from(self.percent)).div_ceil(100);
        (share as usize).max(1)
    }

    #[cold]
    pub(crate) fn call(&self, tag: Tag, usage: &Usage) {
        if let Some(call) = self.call {
            call(tag, usage);
        }
    }
}

/// What a pool counts.
#[derive(Debug)]
pub(crate) struct Meter {
    tag: Tag,
    measure: Measure,
    total: Cell<usize>,
    used: Cell<usize>,
    peak: Cell<usize>,
    allocations: Cell<u64>,
    deallocations: Cell<u64>,
    failures: Cell<u64>,
    watermark: Watermark,
    /// What must be in use for a call.
    mark: Cell<usize>,
}

impl Meter {
    pub(crate) fn new(tag: Tag, measure: Measure, total: usize, watermark: Watermark) -> Self {
        Self {
            tag,
            measure,
            total: Cell::new(total),
            used: Cell::new(0),
            peak: Cell::new(0),
            allocations: Cell::new(0),
            deallocations: Cell::new(0),
            failures: Cell::new(0),
            watermark,
            mark: Cell::new(watermark.of(total)),
        }
    }

    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    #[inline]
    pub(crate) fn total(&self) -> usize {
        self.total.get()
    }

    /// Notes how much the pool has now.
    pub(crate) fn set_total(&self, total: usize) {
        self.total.set(total);
        self.mark.set(self.watermark.of(total));
    }

    /// Counts an allocation of so much; calls if that reaches the watermark.
    #[inline]
    pub(crate) fn take(&self, amount: usize) {
        self.allocations.set(self.allocations.get() + 1);
        self.rise(self.used.get() + amount);
    }

    /// Counts a piece in use that is now larger or smaller; calls as [`take`](Meter::take) does.
    pub(crate) fn resize(&self, old: usize, new: usize) {
        self.rise(self.used.get() - old + new);
    }

    #[inline]
    fn rise(&self, used: usize) {
        let before = self.used.replace(used);
        self.peak.set(self.peak.get().max(used));
        let mark = self.mark.get();
        if used >= mark && before < mark {
            self.watermark.call(self.tag, &self.usage());
        }
    }

    /// Counts a deallocation of so much.
    #[inline]
    pub(crate) fn give(&self, amount: usize) {
        self.used.set(self.used.get() - amount);
        self.deallocations.set(self.deallocations.get() + 1);
    }

    /// Counts a request refused.
    #[cold]
    pub(crate) fn fail(&self) {
        self.failures.set(self.failures.get() + 1);
    }

    /// Counts all pieces in use as given back.
    pub(crate) fn reset(&self) {
        self.used.set(0);
        self.deallocations.set(self.allocations.get());
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            measure: self.measure,
            total: self.total.get(),
            used: self.used.get(),
            peak: self.peak.get(),
            allocations: self.allocations.get(),
            deallocations: self.deallocations.get(),
            failures: self.failures.get(),
        }
    }
}
