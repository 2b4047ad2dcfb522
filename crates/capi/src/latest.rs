//! The value that was put last, for whoever asks in whichever thread or signal handler: nobody waits for anybody.
//!
//! # Safety
//!
//! The value lies in one of some places. [`Turns`] tells who may write to which, and who may read.
#![allow(unsafe_code)]

mod turns;

/// What the turns are kept by.
mod atomic {
    pub(super) use core::hint::spin_loop;
    pub(super) use core::sync::atomic::{AtomicU64, Ordering};
}

use core::cell::UnsafeCell;
use core::fmt;

use turns::{PLACES, Turns};

pub(crate) struct Latest<T> {
    turns: Turns,
    places: [UnsafeCell<Option<T>>; PLACES],
}

// SAFETY: a place is written by one thread and read by no other meanwhile; values are copied to other threads.
unsafe impl<T: Copy + Send> Sync for Latest<T> {}

impl<T> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").finish_non_exhaustive()
    }
}

impl<T: Copy> Latest<T> {
    pub(crate) fn new() -> Self {
        Self {
            turns: Turns::new(),
            places: [const { UnsafeCell::new(None) }; PLACES],
        }
    }

    /// Puts a value; not where others stand in the middle of it in all places, for one of theirs is as late.
    pub(crate) fn put(&self, value: T) {
        let Some(turn) = self.turns.take() else {
            return;
        };
        if let Some(place) = self.places.get(turn.place()) {
            // SAFETY: this caller's alone until it is published.
            unsafe { *place.get() = Some(value) };
        }
        self.turns.publish(turn);
    }

    /// The value that was put last, if one was.
    pub(crate) fn get(&self) -> Option<T> {
        let visit = self.turns.enter()?;
        let place = self.places.get(visit.place());
        // SAFETY: nobody writes there before this caller leaves.
        let value = place.and_then(|place| unsafe { *place.get() });
        self.turns.leave(visit);
        value
    }
}
