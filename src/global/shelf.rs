//! The spans of one class that a thread has under one tag: a hand in one of them, and hints to slots given back
//! last.
//!
//! # Invariants
//!
//! - K1 Of the spans of a class one may be *current*, in which the hand is; the others are *full*, in which the
//!   owner found no free slot and gave none back since, or on the list of *open* ones.
//! - K2 A hint names a slot of one of the class's spans that was free when it was noted: whoever takes it looks at
//!   its bit. When a span goes, so do the hints of its class.
//!
//! # Safety
//!
//! A slot's address is its span's start and a multiple of the slot's size below the span's room.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::global::classes::Numbers;
use crate::global::link::Link;
use crate::global::span::{GROUP, Given, Span};
use crate::global::thread::Thread;
use crate::pools::size_classes::class::Class;

/// Slots given back last that are remembered for the next requests: where requests and givings back of a class
/// come at random, the fewer there are the more often somebody has to look for a slot elsewhere.
const HINTS: usize = 48;

/// The spans of a class.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Shelf {
    hand: Hand,
    pub(super) numbers: Numbers,
    /// How many hints there are.
    hinted: AtomicUsize,
    /// Whose it is.
    pub(super) owner: Link<Thread>,
    pub(super) current: Link<Span>,
    pub(super) open: Link<Span>,
    hints: [Hint; HINTS],
}

// What each request and each giving back needs is in one line.
const _: () = assert!(core::mem::offset_of!(Shelf, current) <= 64);

/// A slot that was given back: likely in the processor's caches, and found without a search.
#[derive(Debug)]
struct Hint {
    slot: AtomicPtr<u8>,
    word: Link<AtomicU64>,
    bit: AtomicU64,
}

/// A group of slots from which the next ones are taken.
#[derive(Debug)]
struct Hand {
    /// Which are free; none without a group.
    word: Link<AtomicU64>,
    /// What the word says when none is.
    absent: AtomicU64,
    /// The first slot.
    start: AtomicPtr<u8>,
}

impl Hand {
    /// Takes the lowest free slot, of so many bytes.
    #[inline(always)]
    fn take(&self, size: &AtomicUsize) -> Option<NonNull<u8>> {
        let word = self.word.get()?;
        let free = word.load(Ordering::Relaxed);
        if free == self.absent.load(Ordering::Relaxed) {
            return None;
        }
        // What is beyond the last slot is above all others, so the lowest is a slot.
        let number = free.trailing_zeros() as usize;
        word.store(free & (free - 1), Ordering::Relaxed);
        let start = self.start.load(Ordering::Relaxed);
        // SAFETY: the slot lies in the span.
        let slot = unsafe { start.add(number * size.load(Ordering::Relaxed)) };
        // SAFETY: spans start where blocks' payloads do, never at 0.
        Some(unsafe { NonNull::new_unchecked(slot) })
    }

    fn is_empty(&self) -> bool {
        let absent = self.absent.load(Ordering::Relaxed);
        self.word
            .get()
            .is_none_or(|word| word.load(Ordering::Relaxed) == absent)
    }

    fn move_to(&self, span: &'static Span, group: usize, word: &'static AtomicU64) {
        let offset = group * GROUP * span.size();
        // SAFETY: the group has a free slot, so it starts in the span.
        let start = unsafe { span.start().add(offset) };
        self.start.store(start, Ordering::Relaxed);
        self.absent.store(span.absent_in(group), Ordering::Relaxed);
        self.word.set(Some(word));
    }

    /// The group in which it is, in a span; 0 if it is in none.
    fn group_in(&self, span: &Span) -> usize {
        let offset = self
            .start
            .load(Ordering::Relaxed)
            .addr()
            .wrapping_sub(span.start().addr());
        match span.size() * GROUP {
            0 => 0,
            bytes => (offset / bytes).min(span.groups()),
        }
    }
}

impl Shelf {
    /// Makes it one of a thread's, for a class.
    pub(super) fn begin(&self, owner: &'static Thread, class: Class) {
        self.owner.set(Some(owner));
        self.numbers.set(class);
    }

    /// Takes the slot given back last that is remembered, else the hand's lowest.
    #[inline(always)]
    pub(super) fn take(&self) -> Option<NonNull<u8>> {
        let hinted = self.hinted.load(Ordering::Relaxed);
        if hinted == 0 {
            return self.hand.take(&self.numbers.size);
        }
        self.hinted.store(hinted - 1, Ordering::Relaxed);
        let hint = self.hints.get(hinted - 1)?;
        let (word, bit) = (hint.word.get()?, hint.bit.load(Ordering::Relaxed));
        let free = word.load(Ordering::Relaxed);
        if free & bit == 0 {
            // The hand was there before.
            return None;
        }
        word.store(free ^ bit, Ordering::Relaxed);
        let slot = hint.slot.load(Ordering::Relaxed);
        // SAFETY: slots lie in spans, never at 0.
        Some(unsafe { NonNull::new_unchecked(slot) })
    }

    /// Remembers a slot that was given back, if there is room.
    #[inline(always)]
    pub(super) fn hint(&self, given: &Given) {
        let hinted = self.hinted.load(Ordering::Relaxed);
        if let Some(hint) = self.hints.get(hinted) {
            hint.slot.store(given.at, Ordering::Relaxed);
            hint.word.set(Some(given.word));
            hint.bit.store(given.bit, Ordering::Relaxed);
            self.hinted.store(hinted + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn forget_hints(&self) {
        self.hinted.store(0, Ordering::Relaxed);
    }

    /// Whether neither a hint nor the hand has a slot.
    pub(super) fn has_none(&self) -> bool {
        self.hinted.load(Ordering::Relaxed) == 0 && self.hand.is_empty()
    }

    /// Moves the hand, which is empty, to where a slot of the current span is free. If there is none, that span is
    /// full, and current no more.
    pub(super) fn advance(&self) -> bool {
        let Some(span) = self.current.get() else {
            return false;
        };
        if self.reach_into(span, self.hand.group_in(span)) {
            return true;
        }
        span.be_full();
        self.let_current_go();
        false
    }

    /// Takes slots from this span from now on, which is on no list.
    pub(super) fn change_to(&self, span: &'static Span) {
        self.current.set(Some(span));
        self.reach_into(span, 0);
    }

    fn reach_into(&self, span: &'static Span, from: usize) -> bool {
        let found = span.group_with_free(from);
        if let Some((group, word)) = found {
            self.hand.move_to(span, group, word);
        }
        found.is_some()
    }

    /// Takes slots from no span.
    pub(super) fn let_current_go(&self) {
        self.hand.word.set(None);
        self.current.set(None);
    }

    /// Puts a span on the list of open ones.
    pub(super) fn link(&self, span: &'static Span) {
        let first = self.open.get();
        span.before.set(None);
        span.next.set(first);
        if let Some(first) = first {
            first.before.set(Some(span));
        }
        self.open.set(Some(span));
    }

    /// Takes a span off the list of open ones.
    pub(super) fn unlink(&self, span: &'static Span) {
        let (before, next) = (span.before.get(), span.next.get());
        match before {
            Some(before) => before.next.set(next),
            None => self.open.set(next),
        }
        if let Some(next) = next {
            next.before.set(before);
        }
    }
}
