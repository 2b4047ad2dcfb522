//! Random traces.

use fastrand::Rng;

use crate::{Op, Step};

/// What a random trace is made of.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// How many addresses are kept at once.
    pub places: u32,
    /// How many different tags there are.
    pub tags: u64,
    /// Bytes of the largest usual request.
    pub largest: usize,
    /// Of a hundred operations, how many run while growth is refused.
    pub refused: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            places: 128,
            tags: 12,
            largest: 4096,
            refused: 0,
        }
    }
}

/// Yields random operations without end; the same for the same seed.
///
/// A place that holds a block is deallocated, an empty one allocated, so about half of them hold one.
/// One operation in a hundred releases a tag, and one in a hundred deallocates what was freed before. Sizes
/// are log-uniform; some requests are aligned to up to 4096, and a few cannot be met at all.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Rng,
    mix: Mix,
    holds: Vec<Option<u64>>,
}

impl Generator {
    /// The operations that follow from a seed.
    pub fn new(seed: u64, mix: Mix) -> Self {
        Self {
            random: Rng::with_seed(seed),
            mix,
            holds: vec![None; mix.places.max(1) as usize],
        }
    }

    fn op(&mut self) -> Op {
        let place = self.random.usize(..self.holds.len());
        let number = place as u32;
        let chance = self.random.u32(..100);
        match self.holds.get_mut(place) {
            _ if chance == 0 => self.release(),
            Some(None) if chance == 1 => Op::Deallocate { place: number },
            Some(holds @ Some(_)) => {
                *holds = None;
                Op::Deallocate { place: number }
            }
            _ => self.allocate(number),
        }
    }

    fn release(&mut self) -> Op {
        let tag = self.random.u64(1..=self.mix.tags);
        self.holds
            .iter_mut()
            .filter(|holds| **holds == Some(tag))
            .for_each(|holds| *holds = None);
        Op::Release { tag }
    }

    fn allocate(&mut self, place: u32) -> Op {
        let tag = match self.random.u32(..1000) {
            0 => 0,
            1 => u64::MAX - self.random.u64(..16),
            _ => self.random.u64(1..=self.mix.tags),
        };
        let bits = self.random.u32(..=self.mix.largest.max(1).ilog2());
        let size = match self.random.u32(..1000) {
            0 => usize::MAX - self.random.usize(..100),
            1 => isize::MAX as usize - self.random.usize(..100),
            2 => 0,
            _ => (1 << bits) + self.random.usize(..1 << bits),
        };
        let align = match self.random.u32(..8) {
            0 => 1 << self.random.u32(5..=12),
            1 => 1 << self.random.u32(..4),
            _ => 16,
        };
        if let Some(holds) = self.holds.get_mut(place as usize) {
            *holds = Some(tag);
        }
        Op::Allocate {
            place,
            tag,
            size,
            align,
        }
    }
}

impl Iterator for Generator {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let refused = self.random.u32(..100) < self.mix.refused;
        Some(Step {
            op: self.op(),
            refused,
        })
    }
}
