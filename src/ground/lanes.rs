//! Thirty-two small numbers, compared all at once.
//!
//! # Safety
//!
//! SSE2 is part of every x86-64; the loads read the line's own numbers.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m128i, _mm_cmpgt_epi16, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_max_epi16, _mm_movemask_epi8,
    _mm_packs_epi16, _mm_set1_epi16, _mm_shuffle_epi32, _mm_shufflelo_epi16,
};

/// Numbers of a line; 64 bytes, which is a cache line where a table is made of them.
pub(crate) const LANES: usize = 32;

/// A line of numbers.
pub(crate) type Lanes = [i16; LANES];

/// A bit for each lane whose number is greater than `bound`.
#[inline]
pub(crate) fn above(lanes: &Lanes, bound: i16) -> u32 {
    // SAFETY: every x86-64 has SSE2.
    unsafe { compare(lanes, bound) }
}

/// The largest number.
#[inline]
pub(crate) fn maximum(lanes: &Lanes) -> i16 {
    // SAFETY: every x86-64 has SSE2.
    unsafe { largest(lanes) }
}

/// Puts a number into a lane: stored as wide as it is loaded.
#[inline]
pub(crate) fn put(lanes: &mut Lanes, lane: usize, number: i16) {
    // SAFETY: every x86-64 has SSE2.
    unsafe { store(lanes, lane % LANES, number) };
}

#[inline]
#[target_feature(enable = "sse2")]
fn store(lanes: &mut Lanes, lane: usize, number: i16) {
    use core::arch::x86_64::*;
    let quarter = lanes.as_mut_ptr().cast::<__m128i>().wrapping_add(lane / 8);
    let old = unsafe { _mm_loadu_si128(quarter) };
    let mask = unsafe { _mm_loadu_si128(MASKS.as_ptr().wrapping_add(LANES - lane % 8).cast()) };
    let new = _mm_or_si128(_mm_and_si128(mask, old), _mm_andnot_si128(mask, _mm_set1_epi16(number)));
    unsafe { _mm_storeu_si128(quarter, new) };
}

/// The largest number but that of one lane, or 0.
#[inline]
pub(crate) fn maximum_but(lanes: &Lanes, lane: usize) -> i16 {
    // SAFETY: every x86-64 has SSE2.
    unsafe { largest_but(lanes, lane % LANES) }
}

static MASKS: [i16; 2 * LANES] = {
    let mut masks = [-1; 2 * LANES];
    masks[LANES] = 0;
    masks
};

#[inline]
#[target_feature(enable = "sse2")]
fn largest_but(lanes: &Lanes, lane: usize) -> i16 {
    use core::arch::x86_64::_mm_and_si128;
    let masks: &Lanes = unsafe { &*MASKS.as_ptr().wrapping_add(LANES - lane).cast() };
    let [a, b, c, d] = load(lanes);
    let [k, l, m, n] = load(masks);
    let (a, b, c, d) = (_mm_and_si128(a, k), _mm_and_si128(b, l), _mm_and_si128(c, m), _mm_and_si128(d, n));
    fold(a, b, c, d)
}

#[inline]
#[target_feature(enable = "sse2")]
fn fold(a: __m128i, b: __m128i, c: __m128i, d: __m128i) -> i16 {
    let max = _mm_max_epi16(_mm_max_epi16(a, b), _mm_max_epi16(c, d));
    let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b01_00_11_10>(max));
    let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b10_11_00_01>(max));
    let max = _mm_max_epi16(max, _mm_shufflelo_epi16::<0b10_11_00_01>(max));
    _mm_cvtsi128_si32(max) as i16
}

#[inline]
#[target_feature(enable = "sse2")]
fn compare(lanes: &Lanes, bound: i16) -> u32 {
    let bound = _mm_set1_epi16(bound);
    let [a, b, c, d] = load(lanes).map(|quarter| _mm_cmpgt_epi16(quarter, bound));
    let low = _mm_movemask_epi8(_mm_packs_epi16(a, b)) as u32;
    let high = _mm_movemask_epi8(_mm_packs_epi16(c, d)) as u32;
    low | high << 16
}

#[inline]
#[target_feature(enable = "sse2")]
fn largest(lanes: &Lanes) -> i16 {
    let [a, b, c, d] = load(lanes);
    let max = _mm_max_epi16(_mm_max_epi16(a, b), _mm_max_epi16(c, d));
    let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b01_00_11_10>(max));
    let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b10_11_00_01>(max));
    let max = _mm_max_epi16(max, _mm_shufflelo_epi16::<0b10_11_00_01>(max));
    _mm_cvtsi128_si32(max) as i16
}

/// The numbers, a quarter each.
#[inline]
#[target_feature(enable = "sse2")]
fn load(lanes: &Lanes) -> [__m128i; 4] {
    let first = lanes.as_ptr().cast::<__m128i>();
    [0, 1, 2, 3].map(|quarter| {
        // SAFETY: one of the four quarters of the line.
        unsafe { _mm_loadu_si128(first.wrapping_add(quarter)) }
    })
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
                assert_eq!(above(&numbers, bound) >> lane & 1 == 1, *number > bound);
            }
            assert_eq!(Some(maximum(&numbers)), numbers.iter().copied().max());
        }
    }
}
