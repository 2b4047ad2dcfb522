//! Who may write to which place, and who reads the latest.
//!
//! Who puts a value takes a place that is nobody's and not the latest, writes there and makes it the latest; who asks is
//! counted at the latest while he reads, and a place where somebody is counted is not taken. Who stands still in the middle
//! of either, because he was interrupted, keeps one place from the others and no more.
//!
//! One word has all of it: for each place, who is there, and which is the latest. So a place is taken in one exchange with
//! finding it nobody's and not the latest, and a reader is counted in one exchange with finding his the latest; the latest
//! is never anybody's to write.

use super::atomic::{AtomicU64, Ordering, spin_loop};

/// How many places there are: one is the latest, the others are for those who put at the same time, or who still read what
/// was the latest.
pub(super) const PLACES: usize = 4;

/// Bits of the word for each place: how many read there, or [`WRITER`].
const BITS: u32 = 8;
const WRITER: u64 = (1 << BITS) - 1;

/// From which bit on the latest place's number stands, counted from 1; 0 if there is none.
const LATEST: u32 = BITS * PLACES as u32;

/// A place that is its holder's to write.
#[derive(Debug)]
pub(super) struct Turn {
    place: usize,
}

impl Turn {
    pub(super) fn place(&self) -> usize {
        self.place
    }
}

/// A place that its holder is counted at, to read.
#[derive(Debug)]
pub(super) struct Visit {
    place: usize,
}

impl Visit {
    pub(super) fn place(&self) -> usize {
        self.place
    }
}

#[derive(Debug)]
pub(super) struct Turns {
    state: AtomicU64,
}

fn latest(state: u64) -> Option<usize> {
    ((state >> LATEST) as usize).checked_sub(1)
}

/// Who is at a place.
fn users(state: u64, place: usize) -> u64 {
    state >> (BITS * place as u32) & WRITER
}

/// So many at a place.
fn at(place: usize, users: u64) -> u64 {
    users << (BITS * place as u32)
}

impl Turns {
    pub(super) fn new() -> Self {
        let state = AtomicU64::new(0);
        Self { state }
    }

    /// A place to write to; none where others are at each.
    pub(super) fn take(&self) -> Option<Turn> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let is_free = |&place: &usize| latest(state) != Some(place) && users(state, place) == 0;
            let place = (0..PLACES).find(is_free)?;
            // What the last who were there did is over.
            match self.exchange(state, state | at(place, WRITER), Ordering::Acquire) {
                Ok(_) => return Some(Turn { place }),
                Err(found) => state = found,
            }
        }
    }

    /// Makes what was written the latest.
    pub(super) fn publish(&self, turn: Turn) {
        let Turn { place } = turn;
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let others = state & !(u64::MAX << LATEST) & !at(place, WRITER);
            let latest = (place as u64 + 1) << LATEST;
            match self.exchange(state, others | latest, Ordering::Release) {
                Ok(_) => return,
                Err(found) => state = found,
            }
        }
    }

    /// The latest place, to read; none if nothing was published.
    pub(super) fn enter(&self) -> Option<Visit> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let place = latest(state)?;
            if users(state, place) == WRITER - 1 {
                // So many read that one more cannot be counted.
                spin_loop();
                state = self.state.load(Ordering::Relaxed);
                continue;
            }
            // What was written there is seen.
            match self.exchange(state, state + at(place, 1), Ordering::Acquire) {
                Ok(_) => return Some(Visit { place }),
                Err(found) => state = found,
            }
        }
    }

    /// Says that it was read.
    pub(super) fn leave(&self, visit: Visit) {
        self.state.fetch_sub(at(visit.place, 1), Ordering::Release);
    }

    fn exchange(&self, current: u64, new: u64, order: Ordering) -> Result<u64, u64> {
        self.state
            .compare_exchange(current, new, order, Ordering::Relaxed)
    }
}
