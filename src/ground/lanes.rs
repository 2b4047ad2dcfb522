//! Thirty-two small numbers in one cache line, compared all at once.
//!
//! # Safety
//!
//! SSE2 is part of every x86-64; its aligned loads read the line's own 64 bytes. Lines are arrays of
//! numbers without gaps, so many of them are one long array too.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m128i, _mm_cmpgt_epi16, _mm_cvtsi128_si32, _mm_load_si128, _mm_max_epi16, _mm_movemask_epi8,
    _mm_packs_epi16, _mm_set1_epi16, _mm_shuffle_epi32, _mm_shufflelo_epi16,
};
use core::slice;

use crate::ground::table::Plain;

/// Lanes of a line.
pub(crate) const LANES: usize = 32;

/// Thirty-two numbers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Lanes([i16; LANES]);

const _: () = assert!(size_of::<Lanes>() == size_of::<[i16; LANES]>());

// SAFETY: numbers; aligned to a cache line.
unsafe impl Plain for Lanes {}

/// The numbers of all lines, one after the other.
#[inline]
pub(crate) fn numbers(lines: &[Lanes]) -> &[i16] {
    // SAFETY: so many lines are 32 times as many numbers, borrowed as they are.
    unsafe { slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LANES) }
}

/// As [`numbers`], to be changed.
#[inline]
pub(crate) fn numbers_mut(lines: &mut [Lanes]) -> &mut [i16] {
    // SAFETY: so many lines are 32 times as many numbers, borrowed exclusively as they are.
    unsafe { slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LANES) }
}

impl Lanes {
    /// The numbers of a quarter of the lanes.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(&self, quarter: usize) -> __m128i {
        let lanes = (&raw const self.0)
            .cast::<__m128i>()
            .wrapping_add(quarter % 4);
        // SAFETY: one of the four aligned quarters of the line.
        unsafe { _mm_load_si128(lanes) }
    }

    /// A bit for each lane whose number is greater than `bound`.
    #[inline]
    pub(crate) fn above(&self, bound: i16) -> u32 {
        // SAFETY: every x86-64 has SSE2.
        unsafe { self.compare(bound) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn compare(&self, bound: i16) -> u32 {
        let bound = _mm_set1_epi16(bound);
        let [a, b, c, d] = [0, 1, 2, 3].map(|quarter| _mm_cmpgt_epi16(self.load(quarter), bound));
        let low = _mm_movemask_epi8(_mm_packs_epi16(a, b)) as u32;
        let high = _mm_movemask_epi8(_mm_packs_epi16(c, d)) as u32;
        low | high << 16
    }

    /// The largest number.
    #[inline]
    pub(crate) fn maximum(&self) -> i16 {
        // SAFETY: every x86-64 has SSE2.
        unsafe { self.largest() }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn largest(&self) -> i16 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|quarter| self.load(quarter));
        let max = _mm_max_epi16(_mm_max_epi16(a, b), _mm_max_epi16(c, d));
        let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b01_00_11_10>(max));
        let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b10_11_00_01>(max));
        let max = _mm_max_epi16(max, _mm_shufflelo_epi16::<0b10_11_00_01>(max));
        _mm_cvtsi128_si32(max) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_agree_with_loops() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut lines = [Lanes([0; LANES]); 3];
            let bits = random.u32(1..16);
            for number in numbers_mut(&mut lines) {
                *number = random.u16(..=u16::MAX >> (16 - bits)) as i16 - random.bool() as i16;
            }
            let bound = random.i16(-2..=i16::MAX >> (16 - bits));
            let chunks = numbers(&lines).chunks_exact(LANES);
            assert_eq!(chunks.len(), lines.len());
            for (line, numbers) in lines.iter().zip(chunks) {
                for (lane, number) in numbers.iter().enumerate() {
                    assert_eq!(line.above(bound) >> lane & 1 == 1, *number > bound);
                }
                assert_eq!(Some(line.maximum()), numbers.iter().copied().max());
            }
        }
    }
}
