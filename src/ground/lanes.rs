//! Thirty-two small numbers, compared all at once.
//!
//! Numbers are put as wide as they are loaded: what a processor has just stored in a small piece, it cannot load
//! in a larger one until that and all stored before is in the cache.
//!
//! # Safety
//!
//! SSE2 is part of every x86-64; loads and stores are of a line's own numbers, which lie on a cache line, and of
//! as many masks.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi16, _mm_cmpgt_epi16, _mm_cvtsi128_si32,
    _mm_load_si128, _mm_loadu_si128, _mm_max_epi16, _mm_movemask_epi8, _mm_or_si128,
    _mm_packs_epi16, _mm_set1_epi16, _mm_shuffle_epi32, _mm_shufflehi_epi16, _mm_shufflelo_epi16,
    _mm_store_si128,
};

/// Numbers of a line.
pub(crate) const LANES: usize = 32;

/// Numbers of a register.
const EIGHT: usize = 8;

/// A cache line of numbers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line([i16; LANES]);

const _: () = assert!(size_of::<Line>() == 64);

/// A number, once in each lane of a register.
#[derive(Clone, Copy)]
pub(crate) struct Each(__m128i);

impl Each {
    #[inline]
    pub(crate) fn new(number: i16) -> Self {
        // SAFETY: every x86-64 has SSE2.
        Self(unsafe { _mm_set1_epi16(number) })
    }

    /// The number.
    #[inline]
    pub(crate) fn get(self) -> i16 {
        // SAFETY: every x86-64 has SSE2.
        (unsafe { _mm_cvtsi128_si32(self.0) }) as i16
    }
}

impl Line {
    /// The number in a lane.
    #[inline]
    pub(crate) fn get(&self, lane: usize) -> Option<i16> {
        let Self(numbers) = self;
        numbers.get(lane).copied()
    }

    /// A bit for each lane whose number is greater than `bound`.
    #[inline]
    pub(crate) fn above(&self, bound: Each) -> u32 {
        // SAFETY: every x86-64 has SSE2.
        unsafe { greater(self, bound) }
    }

    /// A bit for each lane whose number is this.
    #[inline]
    pub(crate) fn equal(&self, number: Each) -> u32 {
        // SAFETY: every x86-64 has SSE2.
        unsafe { same(self, number) }
    }

    /// The largest number of all, where one is 0 or more.
    #[inline]
    pub(crate) fn maximum(&self) -> Each {
        // SAFETY: every x86-64 has SSE2.
        Each(unsafe { largest(self) })
    }

    /// Puts a number into a lane.
    #[inline]
    pub(crate) fn put(&mut self, lane: usize, number: Each) {
        // SAFETY: every x86-64 has SSE2.
        unsafe { store(self, lane, number) };
    }

    /// Puts a number of 0 or more into a lane that has a smaller one, where all are 0 or more.
    #[inline]
    pub(crate) fn raise(&mut self, lane: usize, number: Each) {
        // SAFETY: every x86-64 has SSE2.
        unsafe { store_larger(self, lane, number) };
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn greater(line: &Line, bound: Each) -> u32 {
    bits(load(line).map(|eight| _mm_cmpgt_epi16(eight, bound.0)))
}

#[inline]
#[target_feature(enable = "sse2")]
fn same(line: &Line, number: Each) -> u32 {
    bits(load(line).map(|eight| _mm_cmpeq_epi16(eight, number.0)))
}

/// A bit for each lane that is not 0 but all ones.
#[inline]
#[target_feature(enable = "sse2")]
fn bits([a, b, c, d]: [__m128i; LANES / EIGHT]) -> u32 {
    let low = _mm_movemask_epi8(_mm_packs_epi16(a, b)) as u32;
    let high = _mm_movemask_epi8(_mm_packs_epi16(c, d)) as u32;
    low | high << 16
}

#[inline]
#[target_feature(enable = "sse2")]
fn largest(line: &Line) -> __m128i {
    let [a, b, c, d] = load(line);
    let max = _mm_max_epi16(_mm_max_epi16(a, b), _mm_max_epi16(c, d));
    let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b01_00_11_10>(max));
    let max = _mm_max_epi16(max, _mm_shuffle_epi32::<0b10_11_00_01>(max));
    let low = _mm_shufflelo_epi16::<0b10_11_00_01>(max);
    _mm_max_epi16(max, _mm_shufflehi_epi16::<0b10_11_00_01>(low))
}

#[inline]
#[target_feature(enable = "sse2")]
fn store(line: &mut Line, lane: usize, number: Each) {
    let first = line.0.as_mut_ptr().wrapping_add(lane & (LANES - EIGHT));
    // SAFETY: eight of the line's numbers, from a multiple of eight on.
    let old = unsafe { _mm_load_si128(first.cast()) };
    // SAFETY: eight of the masks.
    let others = unsafe { _mm_loadu_si128(all_but(lane % EIGHT).cast()) };
    let new = _mm_andnot_si128(others, number.0);
    let new = _mm_or_si128(_mm_and_si128(others, old), new);
    // SAFETY: eight of the line's numbers, from a multiple of eight on.
    unsafe { _mm_store_si128(first.cast(), new) };
}

#[inline]
#[target_feature(enable = "sse2")]
fn store_larger(line: &mut Line, lane: usize, number: Each) {
    let first = line.0.as_mut_ptr().wrapping_add(lane & (LANES - EIGHT));
    // SAFETY: eight of the line's numbers, from a multiple of eight on.
    let old = unsafe { _mm_load_si128(first.cast()) };
    // SAFETY: eight of the masks.
    let others = unsafe { _mm_loadu_si128(all_but(lane % EIGHT).cast()) };
    let new = _mm_max_epi16(old, _mm_andnot_si128(others, number.0));
    // SAFETY: eight of the line's numbers, from a multiple of eight on.
    unsafe { _mm_store_si128(first.cast(), new) };
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(line: &Line) -> [__m128i; LANES / EIGHT] {
    let first = line.0.as_ptr();
    [0, 1, 2, 3].map(|eight| {
        // SAFETY: eight of the line's numbers, from a multiple of eight on.
        unsafe { _mm_load_si128(first.wrapping_add(eight * EIGHT).cast()) }
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
            let mut line = Line([0; LANES]);
            for number in &mut line.0 {
                *number = random.i16(-2..=i16::MAX >> (15 - bits));
            }
            let bound = random.i16(-2..=i16::MAX >> (15 - bits));
            for (lane, number) in line.0.iter().enumerate() {
                let is_above = line.above(Each::new(bound)) >> lane & 1 == 1;
                assert_eq!(is_above, *number > bound);
                let is_equal = line.equal(Each::new(bound)) >> lane & 1 == 1;
                assert_eq!(is_equal, *number == bound);
                assert_eq!(line.get(lane), Some(*number));
            }
            assert_eq!(line.get(LANES), None);
            assert_eq!(line.0.iter().max(), Some(&line.maximum().get()));
            let lane = random.usize(0..LANES);
            let mut others = line.0;
            others[lane] = 0;
            let new = random.i16(..);
            line.put(lane, Each::new(new));
            others[lane] = new;
            assert_eq!(line.0, others);
            for number in line.0.iter_mut().chain(&mut others) {
                *number &= i16::MAX;
            }
            line.raise(lane, Each::new(bound.max(0)));
            others[lane] = others[lane].max(bound.max(0));
            assert_eq!(line.0, others);
        }
    }
}
