//! Thirty-two small numbers, compared all at once.
//!
//! Numbers are put as wide as they are loaded: what a processor has just stored in a small piece, it cannot load
//! in a larger one until that and all stored before is in the cache.
//!
//! # Safety
//!
//! SSE2 is part of every x86-64; loads and stores are of the line's own numbers, and of as many masks.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_andnot_si128, _mm_cmpgt_epi16, _mm_cvtsi128_si32, _mm_loadu_si128,
    _mm_max_epi16, _mm_movemask_epi8, _mm_or_si128, _mm_packs_epi16, _mm_set1_epi16,
    _mm_shuffle_epi32, _mm_shufflelo_epi16, _mm_storeu_si128,
};

/// Numbers of a line; 64 bytes, which is a cache line where a table is made of them.
pub(crate) const LANES: usize = 32;

/// Numbers of a register.
const EIGHT: usize = 8;

/// A line of numbers.
pub(crate) type Lanes = [i16; LANES];

/// A number to compare with, once in each lane of a register.
#[derive(Clone, Copy)]
pub(crate) struct Bound(__m128i);

impl Bound {
    #[inline]
    pub(crate) fn new(bound: i16) -> Self {
        // SAFETY: every x86-64 has SSE2.
        Self(unsafe { _mm_set1_epi16(bound) })
    }
}

/// A bit for each lane whose number is greater than `bound`.
#[inline]
pub(crate) fn above(lanes: &Lanes, bound: Bound) -> u32 {
    // SAFETY: every x86-64 has SSE2.
    unsafe { compare(lanes, bound) }
}

/// The largest number but that of one lane, or 0.
#[inline]
pub(crate) fn maximum_but(lanes: &Lanes, lane: usize) -> i16 {
    // SAFETY: every x86-64 has SSE2.
    unsafe { largest_but(lanes, lane) }
}

/// Puts a number into a lane.
#[inline]
pub(crate) fn put(lanes: &mut Lanes, lane: usize, number: i16) {
    // SAFETY: every x86-64 has SSE2.
    unsafe { store(lanes, lane, number) };
}

#[inline]
#[target_feature(enable = "sse2")]
fn compare(lanes: &Lanes, bound: Bound) -> u32 {
    let [a, b, c, d] = load(lanes.as_ptr()).map(|eight| _mm_cmpgt_epi16(eight, bound.0));
    let low = _mm_movemask_epi8(_mm_packs_epi16(a, b)) as u32;
    let high = _mm_movemask_epi8(_mm_packs_epi16(c, d)) as u32;
    low | high << 16
}

#[inline]
#[target_feature(enable = "sse2")]
fn largest_but(lanes: &Lanes, lane: usize) -> i16 {
    let [a, b, c, d] = load(lanes.as_ptr());
    let [k, l, m, n] = load(all_but(lane));
    let low = _mm_max_epi16(_mm_and_si128(a, k), _mm_and_si128(b, l));
    let high = _mm_max_epi16(_mm_and_si128(c, m), _mm_and_si128(d, n));
    let max = _mm_max_epi16(low, high);
    let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b01_00_11_10>(max));
    let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b10_11_00_01>(max));
    let max = _mm_max_epi16(max, _mm_shufflelo_epi16::<0b10_11_00_01>(max));
    _mm_cvtsi128_si32(max) as i16
}

#[inline]
#[target_feature(enable = "sse2")]
fn store(lanes: &mut Lanes, lane: usize, number: i16) {
    let first = lanes.as_mut_ptr().wrapping_add(lane & (LANES - EIGHT));
    // SAFETY: eight of the line's numbers.
    let old = unsafe { _mm_loadu_si128(first.cast()) };
    // SAFETY: eight of the masks.
    let others = unsafe { _mm_loadu_si128(all_but(lane % EIGHT).cast()) };
    let new = _mm_andnot_si128(others, _mm_set1_epi16(number));
    let new = _mm_or_si128(_mm_and_si128(others, old), new);
    // SAFETY: eight of the line's numbers.
    unsafe { _mm_storeu_si128(first.cast(), new) };
}

/// Loads as many numbers as a line has.
#[inline]
#[target_feature(enable = "sse2")]
fn load(first: *const i16) -> [__m128i; LANES / EIGHT] {
    [0, 1, 2, 3].map(|eight| {
        // SAFETY: the callers have so many numbers there.
        unsafe { _mm_loadu_si128(first.wrapping_add(eight * EIGHT).cast()) }
    })
}

/// All bits in each lane, but for one in the middle.
static MASKS: [i16; 2 * LANES] = {
    let mut masks = [-1; 2 * LANES];
    masks[LANES - 1] = 0;
    masks
};

/// The first of as many masks as a line has numbers, all bits but in `lane`.
#[inline]
fn all_but(lane: usize) -> *const i16 {
    MASKS.as_ptr().wrapping_add(LANES - 1 - lane % LANES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_agree_with_loops() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let bits = random.u32(1..16);
            let mut numbers = [0; LANES];
            for number in &mut numbers {
                *number = random.i16(-2..=i16::MAX >> (15 - bits));
            }
            let bound = random.i16(-2..=i16::MAX >> (15 - bits));
            for (lane, number) in numbers.iter().enumerate() {
                let is_above = above(&numbers, Bound::new(bound)) >> lane & 1 == 1;
                assert_eq!(is_above, *number > bound);
            }
            let lane = random.usize(0..LANES);
            let mut others = numbers;
            others[lane] = 0;
            let most = others.iter().copied().max();
            assert_eq!(Some(maximum_but(&numbers, lane)), most);
            let new = random.i16(..);
            put(&mut numbers, lane, new);
            others[lane] = new;
            assert_eq!(numbers, others);
        }
    }
}
