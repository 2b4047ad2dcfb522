//! Thirty-two small numbers in one cache line, compared all at once.
//!
//! # Safety
//!
//! SSE2 is part of every x86-64; its aligned loads read the line's own 64 bytes.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpgt_epi16, _mm_cvtsi128_si32, _mm_load_si128, _mm_max_epi16,
    _mm_movemask_epi8, _mm_packs_epi16, _mm_set1_epi16, _mm_srli_si128,
};

use crate::ground::table::Plain;

/// Lanes of a line.
pub(crate) const LANES: usize = 32;

/// Bits of a lane that are its number; the highest is a flag that no comparison looks at.
const NUMBER: u16 = i16::MAX as u16;

/// Thirty-two numbers, each at most [`i16::MAX`], and a flag beside each.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Lanes([u16; LANES]);

// SAFETY: numbers; aligned to a cache line.
unsafe impl Plain for Lanes {}

impl Lanes {
    /// The numbers of a quarter of the lanes.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(&self, quarter: usize) -> __m128i {
        let lanes = (&raw const self.0)
            .cast::<__m128i>()
            .wrapping_add(quarter % 4);
        // SAFETY: one of the four aligned quarters of the line.
        let lanes = unsafe { _mm_load_si128(lanes) };
        _mm_and_si128(lanes, _mm_set1_epi16(NUMBER as i16))
    }

    /// A bit for each lane whose number is at least `key`, which is at least 1.
    #[inline]
    pub(crate) fn at_least(&self, key: u16) -> u32 {
        // SAFETY: every x86-64 has SSE2.
        unsafe { self.compare(key) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn compare(&self, key: u16) -> u32 {
        let below = _mm_set1_epi16((key - 1) as i16);
        let [a, b, c, d] = [0, 1, 2, 3].map(|quarter| _mm_cmpgt_epi16(self.load(quarter), below));
        let low = _mm_movemask_epi8(_mm_packs_epi16(a, b)) as u32;
        let high = _mm_movemask_epi8(_mm_packs_epi16(c, d)) as u32;
        low | high << 16
    }

    /// The number in a lane.
    #[inline]
    pub(crate) fn get(&self, lane: usize) -> u16 {
        self.word(lane) & NUMBER
    }

    /// Whether a lane's flag is set.
    #[inline]
    pub(crate) fn flag(&self, lane: usize) -> bool {
        self.word(lane) & !NUMBER != 0
    }

    #[inline]
    fn word(&self, lane: usize) -> u16 {
        self.0.get(lane % LANES).copied().unwrap_or(0)
    }

    /// Puts a number into a lane; its flag stays.
    #[inline]
    pub(crate) fn put(&mut self, lane: usize, number: u16) {
        if let Some(place) = self.0.get_mut(lane % LANES) {
            *place = (*place & !NUMBER) | number;
        }
    }

    /// Sets a lane's flag or clears it; its number stays.
    #[inline]
    pub(crate) fn put_flag(&mut self, lane: usize, flag: bool) {
        if let Some(place) = self.0.get_mut(lane % LANES) {
            *place = (*place & NUMBER) | (u16::from(flag) << 15);
        }
    }

    /// The largest number.
    #[inline]
    pub(crate) fn maximum(&self) -> u16 {
        // SAFETY: every x86-64 has SSE2.
        unsafe { self.largest() }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn largest(&self) -> u16 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|quarter| self.load(quarter));
        let max = _mm_max_epi16(_mm_max_epi16(a, b), _mm_max_epi16(c, d));
        let max = _mm_max_epi16(max, _mm_srli_si128::<8>(max));
        let max = _mm_max_epi16(max, _mm_srli_si128::<4>(max));
        let max = _mm_max_epi16(max, _mm_srli_si128::<2>(max));
        _mm_cvtsi128_si32(max) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_agree_with_loops_whatever_the_flags() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut numbers = [0; LANES];
            let mut flags = [false; LANES];
            let bits = random.u32(1..15);
            numbers
                .iter_mut()
                .for_each(|number| *number = random.u16(..1 << bits));
            flags.iter_mut().for_each(|flag| *flag = random.bool());
            let mut lanes = Lanes([0; LANES]);
            for lane in 0..LANES {
                lanes.put(lane, numbers[lane]);
                lanes.put_flag(lane, flags[lane]);
            }
            let (lane, number) = (random.usize(..LANES), random.u16(..=i16::MAX as u16));
            lanes.put(lane, number);
            numbers[lane] = number;
            let lane = random.usize(..LANES);
            lanes.put_flag(lane, !flags[lane]);
            flags[lane] = !flags[lane];

            let key = random.u16(1..=1 << bits);
            for (lane, number) in numbers.iter().enumerate() {
                assert_eq!(lanes.at_least(key) >> lane & 1 == 1, *number >= key);
                assert_eq!((lanes.get(lane), lanes.flag(lane)), (*number, flags[lane]));
            }
            assert_eq!(lanes.maximum(), numbers.into_iter().max().unwrap());
        }
    }
}
