//! Where a loop's code comes to lie in the cache lines: chance, which makes up to two fifths of a contender's time.
//!
//! So short loops have it at four places by turns, and the best counts, for every contender.

use std::arch::asm;

use crate::stats;

/// Bytes behind a multiple of 64 at which the code lies.
pub(crate) const PLACES: [usize; 4] = [0, 16, 32, 48];

/// Places the code that follows so many bytes behind a multiple of 64.
#[inline(always)]
pub(crate) fn place<const PLACE: usize>() {
    // SAFETY: jumps over bytes that are no code.
    unsafe {
        asm!("jmp 2f", ".p2align 6", ".skip {place}, 0xcc", "2:", place = const PLACE, options(nomem, nostack, preserves_flags));
    }
}

/// Times of the same work at each of the places.
#[derive(Debug, Default)]
pub(crate) struct Times {
    by_place: [Vec<f64>; PLACES.len()],
    count: usize,
}

impl Times {
    /// The place whose turn it is.
    pub(crate) fn next(&self) -> usize {
        self.count % PLACES.len()
    }

    /// Notes the time of the place whose turn it was.
    pub(crate) fn push(&mut self, time: f64) {
        self.by_place[self.next()].push(time);
        self.count += 1;
    }

    /// How many were noted.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The median at the best place; `None` unless each had its turn.
    pub(crate) fn best(&mut self) -> Option<f64> {
        if self.count < PLACES.len() {
            return None;
        }
        let medians = self.by_place.iter_mut().map(|times| stats::median(times));
        medians.min_by(f64::total_cmp)
    }
}
