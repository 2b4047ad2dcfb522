//! The one other thread that gives slots of a span back without an exchange: by words that it alone changes.
//!
//! Where one thread takes what another gives back, an exchange for each is most of what that costs: it takes some
//! 20 cycles, and nothing behind it begins before all in front of it is there. So a thread that gives back several slots
//! of a group becomes the span's **giver**, as a lock is biased towards a thread (Kawachiya, Koseki, Onodera, "Lock
//! Reservation", 2002). It turns a slot's bit over in the *handed* words, which only it changes; the owner turns the same
//! bit over in the *seen* words, which only he changes, once he has the slot back. Where the two differ, a slot is given
//! back and not collected: any thread may ask that at any time.
//!
//! A giver tells the owner nothing, since by then the span may be gone: the owner looks at spans that have one.
//!
//! # Invariants
//!
//! - G1 A span has a giver from when a thread claims that, with a slot of it in hand, until its owner parts from him or
//!   nothing is in use: then there is nothing that its giver could do with it. Nobody else becomes it before that.
//! - G2 There is no giver but where the pointer leads to words, for good: for each eight groups a line of handed ones and
//!   behind it one of seen ones. Both are the same where there was no giver yet.
//! - G3 The owner parts in two steps. After the first he who was the giver is it no more, but may be about to hand one more
//!   slot over; after the second, long afterwards, the owner takes it that he did. One who does so still later finds,
//!   having done it, that he was not the giver, and sees to what the owner may rely on by then (N4).
//!
//! # Safety
//!
//! Words are reached by G2: by a group that the span has.
#![allow(unsafe_code)]

use core::ptr;

use crate::global::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::global::local::Local;
use crate::words::size::LINE;

/// Words to a cache line.
const WORDS: usize = LINE / size_of::<u64>();

/// Words for so many groups.
pub(super) const fn words(groups: usize) -> usize {
    groups.next_multiple_of(WORDS) * 2
}

/// What stands for a thread from which the owner parts, and has parted: no thread's place.
const PARTING: usize = 1;
const PARTED: usize = 2;

/// A span's giver. All-zero bytes are none, and none to be.
#[derive(Debug)]
pub(super) struct Giver {
    /// The address of what the thread has for itself, or 0 before there is one. Whoever has that place next is the only
    /// one who has it.
    thread: AtomicUsize,
    words: AtomicPtr<AtomicU64>,
}

impl Giver {
    /// Makes it none, which a thread may become if there are words.
    pub(super) fn begin(&self, words: Option<*const AtomicU64>, groups: usize) {
        self.thread.store(0, Ordering::Relaxed);
        let first = words.map_or(ptr::null_mut(), <*const _>::cast_mut);
        self.words.store(first, Ordering::Relaxed);
        for group in 0..groups {
            if let Some((handed, seen)) = self.pair(group) {
                handed.store(0, Ordering::Relaxed);
                seen.store(0, Ordering::Relaxed);
            }
        }
    }

    /// The handed and the seen word of a group.
    #[inline(always)]
    fn pair(&self, group: usize) -> Option<(&'static AtomicU64, &'static AtomicU64)> {
        let first = self.words.load(Ordering::Relaxed);
        if first.is_null() {
            return None;
        }
        // Their lines alternate.
        let place = group + group / WORDS * WORDS;
        // SAFETY: G2.
        let handed = unsafe { first.add(place) };
        // SAFETY: G2.
        let seen = unsafe { handed.add(WORDS) };
        // SAFETY: G2.
        Some((unsafe { &*handed }, unsafe { &*seen }))
    }

    /// Whether there was none yet since nothing was in use.
    #[inline(always)]
    pub(super) fn is_none(&self) -> bool {
        self.thread.load(Ordering::Relaxed) == 0
    }

    /// Whether one may give slots back, asked after all that this thread did in sequentially consistent order.
    pub(super) fn is_there(&self) -> bool {
        !matches!(self.thread.load(Ordering::SeqCst), 0 | PARTED)
    }

    /// Parts from it, or says that this is done, by the owner (G3).
    pub(super) fn part(&self) {
        let next = match self.thread.load(Ordering::Relaxed) {
            0 => 0,
            PARTING | PARTED => PARTED,
            _ => PARTING,
        };
        self.thread.store(next, Ordering::SeqCst);
    }

    /// Whether it is the calling thread, which has this for itself.
    #[inline(always)]
    pub(super) fn is(&self, local: &Local) -> bool {
        self.thread.load(Ordering::Relaxed) == ptr::from_ref(local).addr()
    }

    /// Makes the calling thread, which has a slot of the span in hand, the giver if there may be one and was none (G1).
    pub(super) fn claim(&self, local: &Local) {
        if self.words.load(Ordering::Relaxed).is_null() {
            return;
        }
        let (done, not) = (Ordering::SeqCst, Ordering::Relaxed);
        let me = ptr::from_ref(local).addr();
        // Who was faster stays it.
        let _ = self.thread.compare_exchange(0, me, done, not);
    }

    /// Makes it none, by the owner of a span in which nothing is in use (G1).
    pub(super) fn end(&self) {
        self.thread.store(0, Ordering::Relaxed);
    }

    /// The bits of a group's slots that it gave back and the owner did not collect.
    #[inline(always)]
    pub(super) fn handed(&self, group: usize) -> u64 {
        match self.pair(group) {
            // What the owner saw is asked first: who finds that he did finds the slot's new state behind it.
            Some((handed, seen)) => {
                let seen = seen.load(Ordering::Acquire);
                seen ^ handed.load(Ordering::Acquire)
            }
            None => 0,
        }
    }

    /// Gives a slot back that is in use, by the giver.
    #[inline(always)]
    pub(super) fn hand(&self, group: usize, bit: u64) {
        if let Some((handed, _)) = self.pair(group) {
            let word = handed.load(Ordering::Relaxed);
            handed.store(word ^ bit, Ordering::Release);
        }
    }

    /// Notes that slots which were handed have another state now, by the owner.
    pub(super) fn see(&self, group: usize, bits: u64) {
        if let Some((_, seen)) = self.pair(group) {
            let word = seen.load(Ordering::Relaxed);
            seen.store(word ^ bits, Ordering::Release);
        }
    }
}
