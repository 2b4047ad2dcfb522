//! Whom a pool calls when it fills up.
//!
//! # Safety
//!
//! A pool's bell lies in its handle, which is there before the pool is made and until it is gone; by the bell's
//! context, the handle's address, the caller is found.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use heap::{Bell, Misuse, Tag, Usage};

use crate::answer::Answer;
use crate::pool::th_usage;
use crate::pooled::th_pool;

/// Told that a pool fills up: its tag, its numbers, and the `context` it was made with, each time what is in use
/// reaches so many percent of the `total` in its numbers from below. Pools of th_pool_blocks, and all with
/// TH_PASS_THROUGH, call only if they have a bound.
///
/// Called in the request that reached it, be it in a signal handler, when all is in order but the piece is not handed
/// out yet. It may use other pools, and the heap. Its own pool is busy: with a lock, all calls on it answer
/// TH_REENTERED but those about its tag or its times; without, those that reset, rewind or end it, and so does
/// th_heap_destroy. It returns as functions do: no longjmp, no exception.
pub type th_alarm =
    Option<unsafe extern "C" fn(tag: u64, usage: *const th_usage, context: *mut c_void)>;

/// Percent where nobody says otherwise.
const PERCENT: u8 = 90;

/// A pool's watermark, and whom it calls.
pub(crate) struct Watch {
    alarm: th_alarm,
    context: *mut c_void,
    percent: u8,
    bell: Bell,
    /// How many calls have not come back.
    ringing: AtomicUsize,
}

impl Watch {
    /// At so many percent; at 90 for 0.
    pub(crate) fn new(alarm: th_alarm, context: *mut c_void, percent: u8) -> Self {
        Self {
            alarm,
            context,
            percent: if percent == 0 { PERCENT } else { percent },
            bell: Bell {
                call: ring,
                context: 0,
            },
            ringing: AtomicUsize::new(0),
        }
    }

    /// As new, for a handle at this place.
    pub(crate) fn hung_at(mut self, handle: *mut th_pool) -> Self {
        self.bell.context = handle.expose_provenance();
        self
    }

    /// The percents and the bell, if there is somebody to call.
    pub(crate) fn bell(&self) -> Option<(u8, &Bell)> {
        self.alarm.is_some().then_some((self.percent, &self.bell))
    }

    /// Refuses what must not be done while somebody is called.
    pub(crate) fn refuse_ringing(&self) -> Answer<()> {
        if self.ringing.load(Ordering::Relaxed) > 0 {
            return Err(Misuse::Reentered.into());
        }
        Ok(())
    }
}

/// Calls whoever is to be called for the pool whose handle lies there.
fn ring(tag: Tag, usage: &Usage, handle: usize) {
    let handle = ptr::with_exposed_provenance::<th_pool>(handle);
    // SAFETY: the pool that rings is behind its handle, which is only ever shared.
    let watch = unsafe { &(*handle).watch };
    if let Some(alarm) = watch.alarm {
        let usage = th_usage::from(*usage);
        watch.ringing.fetch_add(1, Ordering::Relaxed);
        // SAFETY: C's own function, called as it is declared.
        unsafe { alarm(tag.number(), &raw const usage, watch.context) };
        watch.ringing.fetch_sub(1, Ordering::Relaxed);
    }
}
