//! What one thread has under one tag: spans of each class, and a hand in the one that it takes slots from.
//!
//! # Invariants
//!
//! - K1 Every span of the stock is in the chain of all. Of those of a class one may be *current*, in which the
//!   hand is; the others are *full*, in which the owner found no free slot and gave none back since, or on the
//!   list of *open* ones.
//! - K2 A hint names a slot of one of the class's spans that was free when it was noted: whoever takes it looks at
//!   its bit. When a span goes, so do the hints of its class.
//! - K3 Chains of all change under the lock of the centre; all else by the owner only, but for the list of changed
//!   spans.
//!
//! # Safety
//!
//! A slot's address is its span's start and a multiple of the slot's size below the span's room.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::global::center::{self, Center};
use crate::global::classes::CLASSES;
use crate::global::link::Link;
use crate::global::span::{GROUP, Given, Numbers, Span};
use crate::global::thread::{self, Thread};
use crate::pools::size_classes::class::Class;
use crate::words::error::Error;
use crate::words::tag::Tag;

/// What a thread has under a tag. All-zero bytes are one without spans.
#[derive(Debug)]
pub(super) struct Stock {
    shelves: [Shelf; CLASSES],
    /// Spans into which others gave slots back.
    changed: Link<Span>,
    pub(super) owner: Link<Thread>,
    tag: AtomicU64,
    /// All its spans.
    pub(super) spans: Link<Span>,
    /// The next of its thread's.
    pub(super) next: Link<Stock>,
    /// The next of its thread's whose tags are alike.
    pub(super) alike: Link<Stock>,
}

/// How a span goes: by the lock, or by who has it.
type Close<'a> = &'a mut dyn FnMut(&'static Stock, &'static Span) -> Result<(), Error>;

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
    current: Link<Span>,
    open: Link<Span>,
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
    /// Takes the slot given back last that is remembered, else the hand's lowest.
    #[inline(always)]
    fn take(&self) -> Option<NonNull<u8>> {
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

    fn forget_hints(&self) {
        self.hinted.store(0, Ordering::Relaxed);
    }
}

impl Stock {
    pub(super) fn tag(&self) -> Tag {
        Tag::new(self.tag.load(Ordering::Relaxed))
    }

    /// Makes it one of this thread's.
    pub(super) fn set_owner(&self, owner: &'static Thread) {
        self.owner.set(Some(owner));
        for (number, shelf) in self.shelves.iter().enumerate() {
            shelf.owner.set(Some(owner));
            shelf.numbers.set(Class::numbered(number));
        }
    }

    pub(super) fn set_tag(&self, tag: Tag) {
        self.tag.store(tag.number(), Ordering::Relaxed);
    }

    #[inline(always)]
    #[expect(
        clippy::indexing_slicing,
        reason = "a class's number is below their count"
    )]
    pub(super) fn shelf(&self, class: Class) -> &Shelf {
        &self.shelves[class.number()]
    }

    /// Takes a slot of the class of this number, if one is at hand.
    #[inline(always)]
    pub(super) fn take(&self, class: usize) -> Option<NonNull<u8>> {
        self.shelves.get(class)?.take()
    }

    /// Takes a slot, wherever there is one, or of a new span.
    ///
    /// # Errors
    ///
    /// Those of a request to the heap.
    pub(super) fn allocate(&'static self, class: Class) -> Result<NonNull<u8>, Error> {
        loop {
            if let Some(slot) = self.take(class.number()) {
                return Ok(slot);
            }
            let shelf = self.shelf(class);
            if shelf.hinted.load(Ordering::Relaxed) == 0 && shelf.hand.is_empty() {
                self.reach(class)?;
            }
        }
    }

    /// Puts the hand of a class, which is empty, where slots are free.
    fn reach(&'static self, class: Class) -> Result<(), Error> {
        let shelf = self.shelf(class);
        if let Some(span) = shelf.current.get() {
            let from = shelf.hand.group_in(span);
            if let Some((group, word)) = span.group_with_free(from) {
                shelf.hand.move_to(span, group, word);
                return Ok(());
            }
            span.be_full();
            shelf.current.set(None);
            shelf.hand.word.set(None);
        }
        if shelf.open.is(None) {
            self.collect(&mut center::close_span)?;
        }
        let span = match shelf.open.get() {
            Some(span) => {
                shelf.unlink(span);
                span
            }
            None => {
                thread::tidy_left()?;
                center::open_span(self, class)?
            }
        };
        shelf.current.set(Some(span));
        if let Some((group, word)) = span.group_with_free(0) {
            shelf.hand.move_to(span, group, word);
        }
        Ok(())
    }

    /// Sees to a span in which slots became free.
    ///
    /// # Errors
    ///
    /// Those of giving a block back to the heap.
    #[inline(never)]
    pub(super) fn tidy(&'static self, span: &'static Span) -> Result<(), Error> {
        self.tidy_by(span, &mut center::close_span)
    }

    fn tidy_by(&'static self, span: &'static Span, close: Close<'_>) -> Result<(), Error> {
        let shelf = self.shelf(span.class());
        if shelf.current.is(Some(span)) {
            return Ok(());
        }
        if span.full.load(Ordering::Relaxed) {
            span.be_open(shelf);
            shelf.link(span);
        }
        if span.is_empty() {
            shelf.forget_hints();
            shelf.unlink(span);
            return close(self, span).inspect_err(|_| shelf.link(span));
        }
        Ok(())
    }

    /// Makes free what others gave back, by the owner.
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`](crate::Misuse::DoubleFree) for what was free already, and those of giving a block
    /// back to the heap.
    fn collect(&'static self, close: Close<'_>) -> Result<(), Error> {
        let mut changed = self.changed.replace(None);
        let mut answer = Ok(());
        while let Some(span) = changed {
            // Once collected it may be put on the list again, and have another next.
            changed = span.next_changed.get();
            if !span.stock.is(Some(self)) {
                // Gone while two gave its last slot back at once: it is nobody's, or another stock's.
                continue;
            }
            let collected = span.collect().map_err(Error::from);
            answer = answer.and(collected.and(self.tidy_by(span, close)));
        }
        answer
    }

    /// Whether others gave slots back since the last time that was seen to.
    pub(super) fn is_changed(&self) -> bool {
        !self.changed.is(None)
    }

    /// Notes that others gave slots of a span back (N2).
    pub(super) fn note_changed(&'static self, span: &'static Span) {
        loop {
            let first = self.changed.get();
            span.next_changed.set(first);
            if self.changed.change(first, span) {
                return;
            }
        }
    }

    /// Gives back all spans in which nothing is in use, by the owner and under the lock: who releases the tag
    /// knows that nobody uses it, but not that the owner looks through all it has.
    ///
    /// # Errors
    ///
    /// As for [`collect`](Stock::collect).
    pub(super) fn trim(&'static self, center: &mut Center) -> Result<(), Error> {
        let close: Close<'_> = &mut |stock, span| center.close_span(stock, span);
        self.collect(close)?;
        for shelf in &self.shelves {
            // Left there by who was in the middle of something.
            let open = core::iter::successors(shelf.open.get(), |span| span.next.get());
            for span in open.filter(|span| span.is_empty()) {
                self.tidy_by(span, close)?;
            }
            if let Some(span) = shelf.current.get().filter(|span| span.is_empty()) {
                shelf.forget_hints();
                shelf.hand.word.set(None);
                shelf.current.set(None);
                close(self, span).inspect_err(|_| shelf.link(span))?;
            }
        }
        Ok(())
    }

    /// Forgets all spans, which are gone.
    pub(super) fn clear(&self) {
        for shelf in &self.shelves {
            shelf.forget_hints();
            shelf.hand.word.set(None);
            shelf.current.set(None);
            shelf.open.set(None);
        }
        self.changed.set(None);
        self.spans.set(None);
    }

    /// Puts a span into the chain of all, under the lock.
    pub(super) fn add(&'static self, span: &'static Span) {
        let first = self.spans.get();
        span.before_of_all.set(None);
        span.next_of_all.set(first);
        if let Some(first) = first {
            first.before_of_all.set(Some(span));
        }
        self.spans.set(Some(span));
    }

    /// Takes a span out of the chain of all, under the lock.
    pub(super) fn remove(&self, span: &'static Span) {
        let (before, next) = (span.before_of_all.get(), span.next_of_all.get());
        match before {
            Some(before) => before.next_of_all.set(next),
            None => self.spans.set(next),
        }
        if let Some(next) = next {
            next.before_of_all.set(before);
        }
    }

    /// All its spans, under the lock.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static Span> + use<> {
        core::iter::successors(self.spans.get(), |span| span.next_of_all.get())
    }
}

impl Shelf {
    /// Puts a span on the list of open ones.
    fn link(&self, span: &'static Span) {
        let first = self.open.get();
        span.before.set(None);
        span.next.set(first);
        if let Some(first) = first {
            first.before.set(Some(span));
        }
        self.open.set(Some(span));
    }

    /// Takes a span off the list of open ones.
    fn unlink(&self, span: &'static Span) {
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
