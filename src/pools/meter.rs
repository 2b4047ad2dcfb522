//! A pool's counters, and the watermark at which it calls.

use core::cell::Cell;

use crate::words::tag::Tag;
use crate::words::usage::{Alarm, Bell, Measure, Usage};

/// Percent of a pool's total at which it calls unless told otherwise.
pub(crate) const PERCENT: u8 = 90;

/// A watermark, in percent, and whom to call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Watermark {
    #[default]
    Nobody,
    Alarm(u8, Alarm),
    Bell(u8, &'static Bell),
}

// Two words, as one function alone takes: every pool has one.
const _: () = assert!(size_of::<Watermark>() == 16);

impl Watermark {
    pub(crate) fn calling(percent: u8, call: Alarm) -> Self {
        Self::Alarm(percent.min(100), call)
    }

    pub(crate) fn ringing(percent: u8, bell: &'static Bell) -> Self {
        Self::Bell(percent.min(100), bell)
    }

    /// Whether there is somebody to call.
    pub(crate) fn calls(&self) -> bool {
        !matches!(self, Self::Nobody)
    }

    /// What must be in use for a call: so many percent of the total, rounded up, at least 1; no amount
    /// reaches it where there is nobody to call.
    pub(crate) fn of(&self, total: usize) -> usize {
        let percent = match *self {
            Self::Nobody => return usize::MAX,
            Self::Alarm(percent, _) | Self::Bell(percent, _) => percent,
        };
        let share = (total as u128 * u128::from(percent)).div_ceil(100);
        (share as usize).max(1)
    }

    pub(crate) fn call(&self, tag: Tag, usage: &Usage) {
        match *self {
            Self::Nobody => {}
            Self::Alarm(_, call) => call(tag, usage),
            Self::Bell(_, bell) => (bell.call)(tag, usage, bell.context),
        }
    }
}

/// What is counted of pieces, or of slots.
///
/// Whatever is taken is added up, and whatever is given back, apart from each other: so neither waits for the
/// other, and the peak is looked for only when something is given back.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// All that was ever taken, and given back, modulo 2^64; of slots as many as pieces.
    taken: Cell<usize>,
    given: Cell<usize>,
    /// Pieces taken and given back, where they are not slots.
    allocations: Cell<u64>,
    deallocations: Cell<u64>,
    /// The most that was in use before something was given back.
    peak: Cell<usize>,
    failures: Cell<u64>,
}

impl Counters {
    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.taken.get().wrapping_sub(self.given.get())
    }

    /// Pieces in use, where they are not slots.
    #[inline]
    pub(crate) fn live(&self) -> u64 {
        self.allocations.get() - self.deallocations.get()
    }

    /// Counts an allocation of so much.
    #[inline]
    pub(crate) fn take(&self, amount: usize) {
        self.allocations.set(self.allocations.get() + 1);
        self.rise(amount);
    }

    /// Counts a deallocation of so much.
    #[inline]
    pub(crate) fn give(&self, amount: usize) {
        self.deallocations.set(self.deallocations.get() + 1);
        self.fall(amount);
    }

    /// Counts a piece in use that is now larger or smaller.
    pub(crate) fn resize(&self, old: usize, new: usize) {
        match new.checked_sub(old) {
            Some(more) => self.rise(more),
            None => self.fall(old - new),
        }
    }

    #[inline]
    fn rise(&self, amount: usize) {
        self.taken.set(self.taken.get().wrapping_add(amount));
    }

    #[inline]
    fn fall(&self, amount: usize) {
        let used = self.used();
        if used > self.peak.get() {
            self.peak.set(used);
        }
        self.given.set(self.given.get().wrapping_add(amount));
    }

    /// Counts a request refused.
    #[cold]
    pub(crate) fn fail(&self) {
        self.failures.set(self.failures.get() + 1);
    }

    /// Counts all pieces in use as given back.
    pub(crate) fn reset(&self) {
        self.fall(self.used());
        self.deallocations.set(self.allocations.get());
    }

    pub(crate) fn usage(&self, measure: Measure, total: usize) -> Usage {
        let used = self.used();
        let (allocations, deallocations) = match measure {
            Measure::Bytes => (self.allocations.get(), self.deallocations.get()),
            Measure::Slots => (self.taken.get() as u64, self.given.get() as u64),
        };
        Usage {
            measure,
            total,
            used,
            peak: self.peak.get().max(used),
            allocations,
            deallocations,
            failures: self.failures.get(),
        }
    }
}

/// What a pool counts of a total, and whom it calls.
#[derive(Debug)]
pub(crate) struct Meter {
    tag: Tag,
    measure: Measure,
    total: usize,
    counters: Counters,
    watermark: Watermark,
    /// What must be in use for a call.
    mark: usize,
}

impl Meter {
    pub(crate) fn new(tag: Tag, measure: Measure, total: usize, watermark: Watermark) -> Self {
        Self {
            tag,
            measure,
            total,
            counters: Counters::default(),
            watermark,
            mark: watermark.of(total),
        }
    }

    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.counters.used()
    }

    /// Counts an allocation of so much; calls if that reaches the watermark.
    #[inline]
    pub(crate) fn take(&self, amount: usize) {
        let before = self.used();
        self.counters.take(amount);
        self.ring(before, amount);
    }

    /// Counts an allocation of a slot, as [`take`](Meter::take) does.
    #[inline]
    pub(crate) fn take_slot(&self) {
        debug_assert_eq!(self.measure, Measure::Slots);
        // Where words are damaged, more may have come back than were handed out: less than none is in use then.
        let used = self.used().wrapping_add(1);
        self.counters.rise(1);
        if used == self.mark {
            self.call();
        }
    }

    /// Counts a piece in use that is now larger or smaller; calls as [`take`](Meter::take) does.
    pub(crate) fn resize(&self, old: usize, new: usize) {
        let before = self.used();
        self.counters.resize(old, new);
        self.ring(before, new.saturating_sub(old));
    }

    /// Calls if so much more than before reached the watermark.
    #[inline]
    fn ring(&self, before: usize, amount: usize) {
        let mark = self.mark;
        // Whether the mark is above what was in use and not above what is: wraps to far above if it is not.
        if mark.wrapping_sub(before).wrapping_sub(1) < amount {
            self.call();
        }
    }

    #[cold]
    fn call(&self) {
        self.watermark.call(self.tag, &self.usage());
    }

    /// Counts a deallocation of so much.
    #[inline]
    pub(crate) fn give(&self, amount: usize) {
        self.counters.give(amount);
    }

    /// Counts a deallocation of a slot.
    #[inline]
    pub(crate) fn give_slot(&self) {
        debug_assert_eq!(self.measure, Measure::Slots);
        self.counters.fall(1);
    }

    /// Counts a request refused.
    #[cold]
    pub(crate) fn fail(&self) {
        self.counters.fail();
    }

    /// Counts all pieces in use as given back.
    pub(crate) fn reset(&self) {
        self.counters.reset();
    }

    pub(crate) fn usage(&self) -> Usage {
        self.counters.usage(self.measure, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_plain_counters() {
        for measure in [Measure::Bytes, Measure::Slots] {
            let mut random = fastrand::Rng::with_seed(measure as u64);
            let meter = Meter::new(Tag::new(1), measure, 900, Watermark::default());
            let mut pieces = std::vec::Vec::new();
            let mut wanted = meter.usage();
            for _ in 0..20_000 {
                let amount = match measure {
                    Measure::Bytes => random.usize(..20),
                    Measure::Slots => 1,
                };
                match (random.u8(..100), pieces.len()) {
                    (0, _) => {
                        meter.reset();
                        pieces.clear();
                        wanted.deallocations = wanted.allocations;
                    }
                    (1, _) => {
                        meter.fail();
                        wanted.failures += 1;
                    }
                    (2..10, 1..) if measure == Measure::Bytes => {
                        let piece = random.usize(..pieces.len());
                        meter.resize(core::mem::replace(&mut pieces[piece], amount), amount);
                    }
                    (2..50, 1..) => {
                        let amount = pieces.swap_remove(random.usize(..pieces.len()));
                        match measure {
                            Measure::Bytes => meter.give(amount),
                            Measure::Slots => meter.give_slot(),
                        }
                        wanted.deallocations += 1;
                    }
                    _ => {
                        match measure {
                            Measure::Bytes => meter.take(amount),
                            Measure::Slots => meter.take_slot(),
                        }
                        pieces.push(amount);
                        wanted.allocations += 1;
                    }
                }
                wanted.used = pieces.iter().sum();
                wanted.peak = wanted.peak.max(wanted.used);
                assert_eq!(meter.usage(), wanted);
            }
        }
    }
}
