//! A magazine: free slots at hand, the one given back last on top.
//!
//! The name and the idea are Bonwick's and Adams's ("Magazines and Vmem", 2001). What is in it is noted as held, so
//! who takes one out has nothing to ask.
//!
//! # Invariants
//!
//! - M1 From `bottom` to `end` there are entries of one array, for good once there is one; `limit` lies there, and
//!   `top` between `bottom` and `limit`. In front of `bottom` is an entry without a slot, which stays so. Before
//!   there is an array all four are behind [`NOTHING`].
//! - M2 Below `top` are slots of one shelf's spans, each once, with their state, which is held.
//!
//! # Safety
//!
//! Entries are reached by M1. Only the owner does so, in an operation that no other of his comes into.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use crate::global::atomic::{AtomicPtr, AtomicU8, Ordering};
use crate::global::span::Span;
use crate::global::states::{HELD, IN_USE};
use crate::ground::prefetch::prefetch;

/// A slot at hand.
#[derive(Debug)]
pub(super) struct Entry {
    slot: AtomicPtr<u8>,
    state: AtomicPtr<AtomicU8>,
}

/// What there is in front of the bottom of a magazine without room.
static NOTHING: [Entry; 1] = [Entry {
    slot: AtomicPtr::new(ptr::null_mut()),
    state: AtomicPtr::new(ptr::null_mut()),
}];

/// Slots at hand.
#[derive(Debug)]
pub(super) struct Magazine {
    top: AtomicPtr<Entry>,
    /// Above which nothing is put: the end, or lower since it was full.
    limit: AtomicPtr<Entry>,
    bottom: AtomicPtr<Entry>,
    end: AtomicPtr<Entry>,
}

impl Entry {
    #[inline(always)]
    fn set(&self, slot: *mut u8, state: *const AtomicU8) {
        self.slot.store(slot, Ordering::Relaxed);
        self.state.store(state.cast_mut(), Ordering::Relaxed);
    }

    pub(super) fn slot(&self) -> *mut u8 {
        self.slot.load(Ordering::Relaxed)
    }

    pub(super) fn state(&self) -> *const AtomicU8 {
        self.state.load(Ordering::Relaxed)
    }
}

impl Magazine {
    /// Makes it one without room.
    pub(super) fn begin(&self) {
        let behind = NOTHING.as_ptr_range().end.cast_mut();
        for place in [&self.top, &self.limit, &self.bottom, &self.end] {
            place.store(behind, Ordering::Relaxed);
        }
    }

    /// Gives it room: zeroed entries, of which the first is in front of the bottom.
    pub(super) fn furnish(&self, entries: &'static [Entry]) {
        if entries.is_empty() {
            return;
        }
        // Of all of them, for the one in front of the bottom is reached from there.
        let all = entries.as_ptr_range();
        let (bottom, end) = (all.start.wrapping_add(1).cast_mut(), all.end.cast_mut());
        for place in [&self.top, &self.bottom] {
            place.store(bottom, Ordering::Relaxed);
        }
        for place in [&self.limit, &self.end] {
            place.store(end, Ordering::Relaxed);
        }
    }

    /// Takes the slot on top, which is in use then.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<NonNull<u8>> {
        let top = self.top.load(Ordering::Relaxed);
        // SAFETY: M1: in front of the top is an entry.
        let last = unsafe { top.sub(1) };
        // SAFETY: M1.
        let entry = unsafe { &*last };
        let slot = NonNull::new(entry.slot.load(Ordering::Relaxed))?;
        // SAFETY: M2: the state of a slot, from such a reference.
        unsafe { &*entry.state() }.store(IN_USE, Ordering::Relaxed);
        self.top.store(last, Ordering::Relaxed);
        Some(slot)
    }

    /// Puts a slot on top that nobody uses, which is held then; whether there was room.
    #[inline(always)]
    pub(super) fn push(&self, slot: *mut u8, state: &'static AtomicU8) -> bool {
        let top = self.top.load(Ordering::Relaxed);
        if top == self.limit.load(Ordering::Relaxed) {
            return false;
        }
        state.store(HELD, Ordering::Relaxed);
        // SAFETY: M1: below the limit are entries.
        let entry = unsafe { &*top };
        // Who gets it next may ask for more bytes than this one's pointer leads to.
        entry.set(ptr::with_exposed_provenance_mut(slot.addr()), state);
        // The next to be handed out, as a rule before its line is gone again.
        prefetch(slot);
        // SAFETY: M1.
        let next = unsafe { top.add(1) };
        self.top.store(next, Ordering::Relaxed);
        true
    }

    /// How many slots are in it.
    pub(super) fn count(&self) -> usize {
        let bottom = self.bottom.load(Ordering::Relaxed).addr();
        (self.top.load(Ordering::Relaxed).addr() - bottom) / size_of::<Entry>()
    }

    /// The slots that are in it, the one on top last.
    pub(super) fn entries(&self) -> &'static [Entry] {
        let bottom = self.bottom.load(Ordering::Relaxed);
        // SAFETY: M1: so many entries, which stay for the rest of the program.
        unsafe { core::slice::from_raw_parts(bottom, self.count()) }
    }

    /// How many can be in it.
    pub(super) fn room(&self) -> usize {
        let bottom = self.bottom.load(Ordering::Relaxed).addr();
        (self.end.load(Ordering::Relaxed).addr() - bottom) / size_of::<Entry>()
    }

    /// Whether it takes as many as there is room for.
    pub(super) fn is_wide(&self) -> bool {
        self.limit.load(Ordering::Relaxed) == self.end.load(Ordering::Relaxed)
    }

    /// Lets it take no more than it has, until it is filled again.
    pub(super) fn narrow(&self) {
        let top = self.top.load(Ordering::Relaxed);
        self.limit.store(top, Ordering::Relaxed);
    }

    /// Puts so many in that a span shows, for which there is room, so that the first is on top; by who found none in it.
    pub(super) fn fill(&self, count: usize, span: &Span) {
        let bottom = self.bottom.load(Ordering::Relaxed);
        // SAFETY: M1: there is room for so many.
        let top = unsafe { bottom.add(count) };
        let mut place = top;
        span.take(count, |slot, state| {
            state.store(HELD, Ordering::Relaxed);
            // SAFETY: M1: no more than the count.
            place = unsafe { place.sub(1) };
            // SAFETY: M1.
            unsafe { &*place }.set(slot, state);
        });
        if !span.giver.is_none() {
            // While these are handed out.
            span.prefetch_next(count);
        }
        self.top.store(top, Ordering::Relaxed);
        let end = self.end.load(Ordering::Relaxed);
        self.limit.store(end, Ordering::Relaxed);
    }

    /// Lets all go for which that is not so, and keeps the order of the others.
    pub(super) fn retain(&self, mut stays: impl FnMut(&Entry) -> bool) {
        let entries = self.entries();
        let mut places = entries.iter();
        let mut kept = 0;
        for entry in entries.iter().filter(|entry| stays(entry)) {
            if let Some(place) = places.next() {
                place.set(entry.slot(), entry.state());
                kept += 1;
            }
        }
        let bottom = self.bottom.load(Ordering::Relaxed);
        // SAFETY: M1: no more than were in it.
        let top = unsafe { bottom.add(kept) };
        self.top.store(top, Ordering::Relaxed);
    }

    /// Forgets all that are in it.
    pub(super) fn clear(&self) {
        let bottom = self.bottom.load(Ordering::Relaxed);
        self.top.store(bottom, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::global::classes::Class;
    use crate::global::span;
    use crate::global::states::FREE;
    use std::vec::Vec;

    fn furnished(room: usize) -> Magazine {
        let empty = || Entry {
            slot: AtomicPtr::new(ptr::null_mut()),
            state: AtomicPtr::new(ptr::null_mut()),
        };
        let entries: Vec<_> = (0..=room).map(|_| empty()).collect();
        let magazine = Magazine {
            top: AtomicPtr::new(ptr::null_mut()),
            limit: AtomicPtr::new(ptr::null_mut()),
            bottom: AtomicPtr::new(ptr::null_mut()),
            end: AtomicPtr::new(ptr::null_mut()),
        };
        magazine.begin();
        assert_eq!((magazine.room(), magazine.count()), (0, 0));
        assert_eq!(magazine.pop(), None);
        let state = std::boxed::Box::leak(std::boxed::Box::new(AtomicU8::new(IN_USE)));
        assert!(!magazine.push(ptr::dangling_mut(), state), "without room");
        assert_eq!(state.load(Ordering::Relaxed), IN_USE);
        magazine.furnish(entries.leak());
        assert_eq!((magazine.room(), magazine.count()), (room, 0));
        magazine
    }

    #[test]
    fn the_last_one_in_is_the_first_one_out() {
        let magazine = furnished(5);
        let span = span::tests::opened(Class::numbered(20));
        let slot = |number| span.slot_of_state(span.state(number));
        let at = |number| ptr::without_provenance_mut::<u8>(0x1000 + number);
        let state = |number| span.state_of(slot(number)).load(Ordering::Relaxed);
        let push = |number| magazine.push(at(number), span.state_of(slot(number)));
        let pop = || magazine.pop().map(|slot| slot.addr().get() - 0x1000);
        assert!((0..5).all(push) && !push(5));
        assert_eq!((state(4), state(5)), (HELD, FREE));
        assert_eq!((pop(), state(4)), (Some(4), IN_USE));
        assert!(push(6) && !push(4));
        assert_eq!(state(4), IN_USE, "what found no place is as it was");
        magazine.retain(|entry| entry.slot().addr() % 2 == 0);
        assert_eq!(magazine.count(), 3);
        assert!(magazine.is_wide());
        magazine.narrow();
        assert!(!magazine.is_wide() && !push(7));
        assert_eq!([pop(), pop()], [Some(6), Some(2)]);
        assert!(push(1) && push(3) && !push(5), "as many as there were");
        assert_eq!(
            [pop(), pop(), pop(), pop()],
            [Some(3), Some(1), Some(0), None]
        );
        magazine.fill(4, span);
        assert!(magazine.is_wide() && magazine.count() == 4);
        magazine.clear();
        assert_eq!((magazine.count(), pop()), (0, None));
    }

    #[test]
    fn it_is_filled_with_the_lowest_on_top() {
        let (magazine, span) = (furnished(8), span::tests::opened(Class::numbered(3)));
        for first in [0, 8, 16] {
            magazine.fill(8, span);
            assert_eq!(magazine.count(), 8);
            for number in first..first + 8 {
                let at = magazine.pop().unwrap().as_ptr();
                assert_eq!(at.addr(), span.start().addr() + number * 64);
                assert_eq!(span.state(number).load(Ordering::Relaxed), IN_USE);
            }
        }
        assert_eq!(span.free(), span.slots() - 24);
    }
}
