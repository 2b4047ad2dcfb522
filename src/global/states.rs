//! What a slot is at the moment: a byte each.
//!
//! Only the thread that owns the span changes them, so it needs no exchange, and what it stores next does not wait for
//! what it stored before; others read. As words several are looked at by their owner only: what he reads he wrote, so
//! no access of another size races with these.
//!
//! # Safety
//!
//! Words are read where there are so many bytes, aligned as words are, and by who alone writes them. Anybody else reads more
//! than one by an instruction that reads each byte at once: to the language, as many loads of a byte each.
#![allow(unsafe_code)]

#[cfg(not(any(loom, miri)))]
use core::arch::asm;
#[cfg(not(any(loom, miri)))]
use core::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set1_epi8};

use crate::global::atomic::{AtomicU8, AtomicU64, Ordering};

/// Nobody's. All-zero bytes are of free slots.
pub(super) const FREE: u8 = 0;

/// In its owner's magazine, so nobody's either.
pub(super) const HELD: u8 = 1;

/// Somebody has it.
pub(super) const IN_USE: u8 = 2;

/// There is no such slot: it would not end before the span does.
pub(super) const ABSENT: u8 = 3;

/// Which of 64 say that they are in use, a bit each; by anybody.
///
/// # Safety
///
/// There are 64 bytes.
#[cfg(not(any(loom, miri)))]
#[inline(always)]
pub(super) unsafe fn in_use(states: *const AtomicU8) -> u64 {
    let (first, second, third, last): (__m128i, __m128i, __m128i, __m128i);
    // SAFETY: the caller's promise. Each byte is read at once, as by a relaxed load of its own, in no order that
    // anybody relies on.
    unsafe {
        asm!("movdqu {first}, xmmword ptr [{states}]",
             "movdqu {second}, xmmword ptr [{states} + 16]",
             "movdqu {third}, xmmword ptr [{states} + 32]",
             "movdqu {last}, xmmword ptr [{states} + 48]",
             states = in(reg) states, first = out(xmm_reg) first, second = out(xmm_reg) second,
             third = out(xmm_reg) third, last = out(xmm_reg) last,
             options(readonly, nostack, preserves_flags));
    }
    // SAFETY: every x86-64 has SSE2.
    unsafe { those_in_use([first, second, third, last]) }
}

/// The bits of [`in_use`], of states that were read.
#[cfg(not(any(loom, miri)))]
#[inline]
#[target_feature(enable = "sse2")]
fn those_in_use(states: [__m128i; 4]) -> u64 {
    let such = _mm_set1_epi8(IN_USE as i8);
    let bits = |states| u64::from(_mm_movemask_epi8(_mm_cmpeq_epi8(states, such)) as u16);
    states
        .into_iter()
        .rev()
        .fold(0, |all, states| all << 16 | bits(states))
}

/// As above, one by one: Miri does not know the instruction.
///
/// # Safety
///
/// There are 64 bytes.
#[cfg(miri)]
pub(super) unsafe fn in_use(states: *const AtomicU8) -> u64 {
    (0..64).fold(0, |all, number| {
        // SAFETY: the caller's promise.
        let state = unsafe { states.add(number) };
        // SAFETY: the caller's promise.
        let state = unsafe { &*state };
        all | u64::from(state.load(Ordering::Relaxed) == IN_USE) << number
    })
}

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
        for _ in 0..if cfg!(miri) { 10 } else { 2000 } {
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

    #[test]
    fn those_in_use_have_their_bits() {
        let mut rng = fastrand::Rng::with_seed(1);
        for from in 0..64 {
            let states: [u8; 128] = core::array::from_fn(|_| rng.u8(FREE..=ABSENT));
            let row = states.map(AtomicU8::new);
            // SAFETY: so many from there on.
            let found = unsafe { in_use(row[from..].as_ptr()) };
            for (number, state) in states[from..][..64].iter().enumerate() {
                assert_eq!(found >> number & 1 == 1, *state == IN_USE, "{number}");
            }
        }
    }
}
