//! Moments of a pool, and the way back to them.
//!
//! # Safety
//!
//! A moment comes back from C as numbers. They are made a mark only if the seal over them is this pool's: then they
//! are a mark of its own, as it was given away.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};

use heap::{BumpMark, Misuse, StackMark};

use crate::answer::{self, Answer, given, put};
use crate::pooled::{on, th_pool};
use crate::status::th_status;

/// A moment in a pool's life, see th_pool_mark.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct th_pool_moment {
    /// The pool's own.
    pub opaque: [u64; 6],
}

/// A kind's mark, as numbers.
#[derive(Clone, Copy)]
pub(crate) struct Words([u64; 5]);

impl From<BumpMark> for Words {
    fn from(mark: BumpMark) -> Self {
        // SAFETY: a mark is so many numbers of 64 bits, which is checked where types are.
        Self(unsafe { core::mem::transmute::<BumpMark, [u64; 5]>(mark) })
    }
}

impl From<Words> for BumpMark {
    fn from(Words(words): Words) -> Self {
        // SAFETY: as above; all numbers are.
        unsafe { core::mem::transmute::<[u64; 5], Self>(words) }
    }
}

impl From<StackMark> for Words {
    fn from(mark: StackMark) -> Self {
        // SAFETY: a mark is a number of 64 bits, which is checked where types are.
        let top = unsafe { core::mem::transmute::<StackMark, u64>(mark) };
        Self([top, 0, 0, 0, 0])
    }
}

impl From<Words> for StackMark {
    fn from(Words([top, ..]): Words) -> Self {
        // SAFETY: as above; all numbers are.
        unsafe { core::mem::transmute::<u64, Self>(top) }
    }
}

/// A number that no other pool of this process has.
pub(crate) fn serial() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// A number over a mark of the pool with this serial, which nobody meets by chance.
fn seal(serial: u64, Words(words): Words) -> u64 {
    // Each step is one to one in what it mixes in, so one word that differs is seen.
    let mix = |seal: u64, word: u64| {
        (seal ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    };
    words.into_iter().fold(mix(!0, serial), mix)
}

fn sealed(serial: u64, words: Words) -> th_pool_moment {
    let [a, b, c, d, e] = words.0;
    th_pool_moment {
        opaque: [a, b, c, d, e, seal(serial, words)],
    }
}

/// The mark in a moment, if it is one of the pool with this serial.
fn opened(serial: u64, moment: th_pool_moment) -> Option<Words> {
    let [a, b, c, d, e, last] = moment.opaque;
    let words = Words([a, b, c, d, e]);
    (seal(serial, words) == last).then_some(words)
}

/// Marks this moment of a pool of th_pool_bump or th_pool_stack, to `moment`; for th_pool_rewind. O(1).
///
/// A moment takes nothing, and need not be rewound to. TH_WRONG_KIND, TH_NULL, TH_REENTERED on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_mark(
    pool: *const th_pool,
    moment: *mut th_pool_moment,
) -> th_status {
    let mark = |pool: &th_pool| {
        let place = given(moment)?;
        let words = pool.shared()?.mark()?;
        // SAFETY: the header's contract.
        unsafe { put(place.as_ptr(), sealed(pool.serial, words)) };
        Ok(())
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, mark) })
}

/// Takes all pieces back that were handed out since a moment, which can be rewound to again. Nobody uses them any
/// more; what was handed out before stays in use, but of what an arena made larger in place since only the bytes
/// that it had then. An arena's chunks taken since go back to the heap: O(chunks); a stack: O(pieces).
///
/// TH_STALE_MARK if what was in use then has been given back, reset or rewound since, as far as that is known: what
/// has grown beyond the moment again may pass for what was there. Always, if the moment is no pool's or another's,
/// and with TH_PASS_THROUGH. TH_WRONG_KIND, TH_REENTERED besides, and TH_DAMAGED_POOL or TH_DAMAGED_HEADER, with
/// which some of an arena's chunks may be gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_rewind(pool: *mut th_pool, moment: th_pool_moment) -> th_status {
    let rewind = |pool: &th_pool| -> Answer<()> {
        let pooled = pool.shared()?;
        let Some(words) = opened(pool.serial, moment) else {
            // If the kind has any, this is none.
            pooled.mark()?;
            return Err(Misuse::StaleMark.into());
        };
        if !pooled.has_lock() {
            pool.watch.refuse_ringing()?;
        }
        // SAFETY: a mark of this pool's; nobody uses what was handed out since, by the header's contract.
        unsafe { pooled.rewind(words) }
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, rewind) })
}
