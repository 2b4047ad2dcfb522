//! What a slot is at the moment: a byte each.
//!
//! Only the thread that owns the span changes them, so it needs no exchange, and what it stores next does not wait for
//! what it stored before; others read. Several are looked at together by their owner only: what he reads he wrote, so
//! no access of another size races with these.
//!
//! # Safety
//!
//! Words are read where there are so many bytes, aligned as words are, and by who alone writes them.
#![allow(unsafe_code)]

use crate::global::atomic::{AtomicU8, AtomicU64, Ordering};

/// Nobody's. All-zero bytes are of free slots.
pub(super) const FREE: u8 = 0;

/// In its owner's magazine, so nobody's either.
pub(super) const HELD: u8 = 1;

/// Somebody has it.
pub(super) const IN_USE: u8 = 2;

/// There is no such slot: it would not end before the span does.
pub(super) const ABSENT: u8 = 3;

/// States to a word.
const WORD: usize = size_of::<u64>();

/// The lowest bit of each byte.
const LOW: u64 = u64::MAX / 0xff;

/// Shows so many free ones in order, the lowest from a number on, of all up to a multiple of eight; as they are shown,
/// each may be changed. Answers the number behind the last one shown.
///
/// # Safety
///
/// There are so many bytes from a word's alignment on, and nobody but the caller changes them.
#[inline(always)]
pub(super) unsafe fn free_from(
    states: *const AtomicU8,
    from: usize,
    to: usize,
    mut count: usize,
    mut show: impl FnMut(usize),
) -> usize {
    let words = states.cast::<AtomicU64>();
    let mut mask = u64::MAX << (from % WORD * 8);
    let mut next = from;
    for place in from / WORD..to / WORD {
        // SAFETY: the caller's promise.
        let word = unsafe { words.add(place) };
        // SAFETY: the caller's promise.
        let word = unsafe { &*word }.load(Ordering::Relaxed);
        // One of its two bits is set in the state of any other.
        let mut free = !(word | word >> 1) & LOW & mask;
        mask = u64::MAX;
        while free != 0 {
            if count == 0 {
                return next;
            }
            count -= 1;
            let number = place * WORD + free.trailing_zeros() as usize / 8;
            free &= free - 1;
            next = number + 1;
            show(number);
        }
    }
    next
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[repr(align(8))]
    struct Row([AtomicU8; 24]);

    #[test]
    fn the_free_ones_are_found_in_order() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let states: [u8; 24] = core::array::from_fn(|_| rng.u8(FREE..=ABSENT));
            let row = Row(states.map(AtomicU8::new));
            for from in 0..24 {
                for (to, count) in [(8, 3), (16, 24), (24, 0), (24, 2), (24, 24)] {
                    let mut found = Vec::new();
                    let note = |number| found.push(number);
                    // SAFETY: so many, aligned, and nobody else's.
                    let next = unsafe { free_from(row.0.as_ptr(), from, to, count, note) };
                    let free = (from..to).filter(|slot| states[*slot] == FREE);
                    assert_eq!(found, free.take(count).collect::<Vec<_>>());
                    assert_eq!(next, found.last().map_or(from, |last| last + 1));
                }
            }
        }
    }
}
