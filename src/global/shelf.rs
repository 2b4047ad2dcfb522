//! The spans of one class that a thread has under one tag, and the slots of those that it has at hand.
//!
//! # Invariants
//!
//! - K1 Of the spans of a class one may be *current*, from which the magazine is filled; all others in which a slot
//!   is free are on the list of *open* ones, and no others.
//! - K2 What is in the magazine is of these spans.
//! - K3 A span that has a giver is in the ring of *watched* ones from when its owner finds that out until it has none or
//!   is gone (N6). The ring is gone round, so that each has its turn.

use crate::global::atomic::Ordering;
use crate::global::classes::Class;
use crate::global::link::Link;
use crate::global::magazine::{Entry, Magazine};
use crate::global::span::Span;
use crate::global::thread::Thread;

/// The spans of a class.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Shelf {
    pub(super) magazine: Magazine,
    /// Whose it is.
    pub(super) owner: Link<Thread>,
    pub(super) current: Link<Span>,
    pub(super) open: Link<Span>,
    /// One of the ring of those that have a giver: where to look next.
    pub(super) watched: Link<Span>,
}

const _: () = assert!(size_of::<Shelf>() == 64);

/// The most slots in a magazine, and the bytes for which there are fewer, but not less than the least.
const MOST: usize = 128;
const BYTES: usize = 64 << 10;
const LEAST: usize = 4;

/// How many stay in a magazine that was full.
pub(super) const FEW: usize = 8;

/// Slots for which the magazine of a class has room.
pub(super) const fn room(class: Class) -> usize {
    match BYTES / class.bytes() {
        0..LEAST => LEAST,
        few @ LEAST..MOST => few,
        MOST.. => MOST,
    }
}

impl Shelf {
    /// Makes it one of a thread's.
    pub(super) fn begin(&self, owner: &'static Thread) {
        self.magazine.begin();
        self.owner.set(Some(owner));
    }

    /// Fills the magazine, which is empty, half from the current span; whether that had any.
    pub(super) fn refill(&self) -> bool {
        let Some(span) = self.current.get() else {
            return false;
        };
        let count = span.free().min(self.at_once());
        if count > 0 {
            self.magazine.fill(count, span);
        }
        count > 0
    }

    /// How many slots are put into the magazine at once.
    pub(super) fn at_once(&self) -> usize {
        (self.magazine.room() / 4).max(LEAST)
    }

    /// Takes slots from this span from now on, which is on no list. The one before has none.
    pub(super) fn change_to(&self, span: Option<&'static Span>) {
        self.current.set(span);
    }

    /// Makes free what the magazine has of a span, if that is all that is not free in it; whether all is free now.
    pub(super) fn take_back(&self, span: &'static Span) -> bool {
        let (entries, taken) = (self.magazine.entries(), span.taken());
        if taken == 0 || taken > entries.len() {
            return taken == 0;
        }
        let is_here = |entry: &&Entry| span.contains(entry.slot());
        if entries.iter().filter(is_here).count() != taken {
            return false;
        }
        self.magazine.retain(|entry| {
            let slot = span.slot_at(entry.slot().addr());
            let slot = slot.filter(|_| is_here(&entry));
            slot.inspect(|slot| span.put(*slot)).is_none()
        });
        if !self.magazine.is_wide() {
            // Else what comes next could be held, and the last of its span.
            self.magazine.narrow();
        }
        true
    }

    /// Whether there is neither a slot nor a span.
    pub(super) fn is_bare(&self) -> bool {
        let has_spans = [&self.current, &self.open, &self.watched];
        has_spans.iter().all(|link| link.is(None)) && self.magazine.entries().is_empty()
    }

    /// Puts a span on the list of open ones, if it belongs there and is not.
    pub(super) fn link(&self, span: &'static Span) {
        if self.current.is(Some(span)) || span.is_listed.load(Ordering::Relaxed) {
            return;
        }
        span.is_listed.store(true, Ordering::Relaxed);
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
        if !span.is_listed.load(Ordering::Relaxed) {
            return;
        }
        span.is_listed.store(false, Ordering::Relaxed);
        let (before, next) = (span.before.get(), span.next.get());
        match before {
            Some(before) => before.next.set(next),
            None => self.open.set(next),
        }
        if let Some(next) = next {
            next.before.set(before);
        }
    }

    /// Puts a span into the ring of those that have a giver, behind all others, if it is not there.
    pub(super) fn watch(&self, span: &'static Span) {
        if !span.next_watched.is(None) {
            return;
        }
        let next = self.watched.get().unwrap_or(span);
        let before = next.before_watched.get().unwrap_or(span);
        span.next_watched.set(Some(next));
        span.before_watched.set(Some(before));
        before.next_watched.set(Some(span));
        next.before_watched.set(Some(span));
        self.watched.set(Some(next));
    }

    /// Takes a span out of the ring of those that have a giver.
    pub(super) fn unwatch(&self, span: &'static Span) {
        let (Some(next), Some(before)) = (span.next_watched.get(), span.before_watched.get())
        else {
            return;
        };
        span.next_watched.set(None);
        span.before_watched.set(None);
        if core::ptr::eq(next, span) {
            self.watched.set(None);
            return;
        }
        before.next_watched.set(Some(next));
        next.before_watched.set(Some(before));
        if self.watched.is(Some(span)) {
            self.watched.set(Some(next));
        }
    }

    /// Those that have a giver, each once.
    pub(super) fn all_watched(&self) -> impl Iterator<Item = &'static Span> + use<> {
        let first = self.watched.get();
        let next = move |span: &&'static Span| {
            let next = span.next_watched.get();
            next.filter(|next| first.is_some_and(|first| !core::ptr::eq(*next, first)))
        };
        core::iter::successors(first, next)
    }

    /// Forgets all spans, which are gone.
    pub(super) fn clear(&self) {
        self.watched.set(None);
        self.magazine.clear();
        self.current.set(None);
        self.open.set(None);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::global::span;
    use std::collections::VecDeque;
    use std::vec::Vec;

    #[test]
    fn a_ring_is_gone_round_in_order() {
        let mut rng = fastrand::Rng::with_seed(1);
        let spans: Vec<_> = (0..6)
            .map(|_| span::tests::opened(Class::numbered(9)))
            .collect();
        let shelf: &Shelf = span::tests::zeroed();
        // Those in the ring, the next one first.
        let mut ring: VecDeque<usize> = VecDeque::new();
        for step in 0..if cfg!(miri) { 200 } else { 20_000 } {
            let number = rng.usize(..spans.len());
            match rng.u8(..3) {
                0 => {
                    shelf.watch(spans[number]);
                    if !ring.contains(&number) {
                        ring.push_back(number);
                    }
                }
                1 => {
                    shelf.unwatch(spans[number]);
                    ring.retain(|other| *other != number);
                }
                _ => {
                    if let Some(span) = shelf.watched.get() {
                        shelf.watched.set(span.next_watched.get());
                        ring.rotate_left(1);
                    }
                }
            }
            let found: Vec<_> = shelf.all_watched().collect();
            let same = |(found, number): (&&Span, &usize)| core::ptr::eq(*found, spans[*number]);
            assert_eq!(found.len(), ring.len(), "{step}");
            assert!(found.iter().zip(&ring).all(same), "{step}");
        }
    }
}
