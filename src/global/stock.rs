//! What one thread has under one tag: its spans, by class.
//!
//! Slots go round between users and the magazines of the [shelves](Shelf); here is what happens when one of these is
//! empty or full, when others gave something back, and when a span may go.
//!
//! A full magazine is emptied but for the few slots on top, and then takes no more than these until it is filled
//! again: who gives back much and asks for nothing frees slot by slot, and a span goes with its last slot, or when the
//! magazine has all that is not free in it. Only what is given back between two fillings can keep spans: as
//! many as there are places.
//!
//! What others gave back is collected when the owner has nothing at hand and no span with a free slot, before
//! there is a new one: from spans on the list of changed ones, and from some of those that have a
//! [giver](crate::global::giver), who puts them on no list.
//!
//! The chain of all spans changes under the lock of the centre; all else by the owner only, but for the list of
//! changed spans.

use core::ptr::NonNull;

use crate::global::atomic::{AtomicU64, Ordering};
use crate::global::center::{self, Center};
use crate::global::classes::{CLASSES, Class};
use crate::global::link::Link;
use crate::global::shelf::{FEW, Shelf};
use crate::global::span::{Slot, Span};
use crate::global::spans;
use crate::global::thread::{self, Thread};
use crate::words::error::{Error, Misuse};
use crate::words::tag::Tag;

/// What a thread has under a tag. All-zero bytes are one that is to [`begin`](Stock::begin).
#[derive(Debug)]
#[repr(C)]
pub(super) struct Stock {
    pub(super) owner: Link<Thread>,
    tag: AtomicU64,
    /// All its spans.
    pub(super) spans: Link<Span>,
    /// The next of its thread's.
    pub(super) next: Link<Stock>,
    /// The next of its thread's whose tags are alike.
    pub(super) alike: Link<Stock>,
    // Behind the start: no shelf of a stock that there is not is at 0, as no link.
    shelves: [Shelf; CLASSES],
    /// Spans into which others gave slots back.
    changed: Link<Span>,
}

const _: () = assert!(core::mem::offset_of!(Stock, shelves) > 0);

/// How many spans that have a giver are looked at before there is a new one. Of so many times as many, each has its turn
/// before a sixteenth of them are new: about that part is what lies about given back, and not collected.
const LOOKS: usize = 16;

/// How a span goes: by the lock, or by who has it.
type Close<'a> = &'a mut dyn FnMut(&'static Stock, &'static Span) -> Result<(), Error>;

impl Stock {
    pub(super) fn tag(&self) -> Tag {
        Tag::new(self.tag.load(Ordering::Relaxed))
    }

    /// Makes it one without spans, of this thread's.
    pub(super) fn begin(&'static self, owner: &'static Thread) {
        self.owner.set(Some(owner));
        self.shelves.iter().for_each(|shelf| shelf.begin(owner));
    }

    pub(super) fn set_tag(&self, tag: Tag) {
        self.tag.store(tag.number(), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn shelf(&self, class: Class) -> &Shelf {
        class.of(&self.shelves)
    }

    /// The address of a class's shelf in the stock at an address.
    #[inline(always)]
    pub(super) fn address_of_shelf(stock: usize, class: Class) -> usize {
        let shelves = stock.wrapping_add(core::mem::offset_of!(Self, shelves));
        shelves.wrapping_add(class.number() * size_of::<Shelf>())
    }

    /// Takes a slot, wherever there is one, or of a new span.
    ///
    /// # Errors
    ///
    /// Those of a request to the heap.
    pub(super) fn allocate(&'static self, class: Class) -> Result<NonNull<u8>, Error> {
        let shelf = self.shelf(class);
        loop {
            if let Some(slot) = shelf.magazine.pop() {
                return Ok(slot);
            }
            if !shelf.refill() {
                self.reach(class)?;
            }
        }
    }

    /// Makes a span current in which slots are free, where the one before has none.
    fn reach(&'static self, class: Class) -> Result<(), Error> {
        let shelf = self.shelf(class);
        shelf.change_to(None);
        let is_bare = shelf.open.is(None);
        if is_bare {
            let close: Close<'_> = &mut center::close_span;
            self.collect(close)?;
            self.look(shelf, LOOKS, close)?;
        }
        let found = shelf.open.get();
        // Else who others give back to would collect again after a few requests, from those who are still at it.
        let is_enough = |span: &&Span| !is_bare || span.free() >= shelf.at_once();
        let span = match found.filter(is_enough) {
            Some(span) => span,
            None => match self.open_span(class) {
                Ok(span) => span,
                Err(error) => found.ok_or(error)?,
            },
        };
        shelf.unlink(span);
        shelf.change_to(Some(span));
        Ok(())
    }

    fn open_span(&'static self, class: Class) -> Result<&'static Span, Error> {
        thread::tidy_left()?;
        center::open_span(self, class)
    }

    /// Gives a slot back that starts at an address in a span of its own, by the owner, where that takes more than a
    /// few instructions.
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] if nobody holds it. Those of giving a block back to the heap: the slot is given back all
    /// the same.
    pub(super) fn give(
        &'static self,
        span: &'static Span,
        slot: Slot,
        at: NonNull<u8>,
    ) -> Result<(), Error> {
        span.in_use(slot)?;
        let shelf = self.shelf(span.class());
        let mut answer = Ok(());
        if span.giver.is_there() && span.count_beside() {
            answer = self.see_to(span, span.look_beside(), &mut center::close_span);
        }
        if span.shelf.is(None) && (span.is_changed() || !span.giver.is_there()) {
            answer = answer.and(self.collect(&mut center::close_span));
            // Also where another took it away late (N4).
            span.be_quick(shelf);
            span.in_use(slot)?;
        }
        let magazine = &shelf.magazine;
        if magazine.push(at.as_ptr(), span.state_of(slot)) {
            span.count_without_giver();
        } else {
            if magazine.is_wide() {
                answer = answer.and(self.spill(shelf));
            }
            span.put(slot);
            span.count_without_giver();
            if !span.giver.is_none() {
                let collected = span.collect_handed();
                answer = answer.and(self.see_to(span, collected, &mut center::close_span));
            } else if span.free() == 1 || span.taken() <= magazine.count() {
                answer = answer.and(self.settle(span, &mut center::close_span));
            }
        }
        match answer {
            // From a signal handler, with the lock taken. The slot is given back, and a span found empty later.
            Err(Error::Misuse(Misuse::Reentered)) => Ok(()),
            answer => answer,
        }
    }

    /// Makes all slots free of a full magazine but the few that were given back last, and puts no more than these in it
    /// until it is filled again: what is given back in the meantime may be all of a span.
    fn spill(&'static self, shelf: &Shelf) -> Result<(), Error> {
        let room = shelf.magazine.room();
        let stay = FEW.min(room / 2);
        let mut left = room - stay;
        let mut idle = None;
        shelf.magazine.retain(|entry| {
            let Some(span) = spans::holding(entry.slot().addr()) else {
                return false;
            };
            let stays = left == 0;
            if !stays {
                left -= 1;
                span.put(span.slot_of_state(entry.state()));
            }
            // The first that is free in it, or all that is not may be held.
            if (span.free() == 1 || span.taken() <= room) && !span.is_idle.load(Ordering::Relaxed) {
                span.is_idle.store(true, Ordering::Relaxed);
                span.next_idle.set(idle);
                idle = Some(span);
            }
            stays
        });
        shelf.magazine.narrow();
        let mut answer = Ok(());
        while let Some(span) = idle {
            idle = span.next_idle.get();
            span.is_idle.store(false, Ordering::Relaxed);
            answer = answer.and(self.settle(span, &mut center::close_span));
        }
        answer
    }

    /// Sees to a span in which slots became free: it goes if nobody has one, but for one that the class keeps warm.
    ///
    /// # Errors
    ///
    /// Those of giving a block back to the heap.
    fn settle(&'static self, span: &'static Span, close: Close<'_>) -> Result<(), Error> {
        let shelf = self.shelf(span.class());
        if shelf.current.is(Some(span)) || span.free() == 0 {
            return Ok(());
        }
        shelf.link(span);
        let is_only = shelf.current.is(None) && shelf.open.is(Some(span)) && span.next.is(None);
        if is_only || span.is_changed() || !shelf.take_back(span) {
            return Ok(());
        }
        self.close(span, close)
    }

    /// Lets a span go in which nothing is in use.
    fn close(&'static self, span: &'static Span, close: Close<'_>) -> Result<(), Error> {
        let shelf = self.shelf(span.class());
        shelf.unlink(span);
        shelf.unwatch(span);
        span.giver.end();
        close(self, span).inspect_err(|_| shelf.link(span))
    }

    /// Makes free what others gave back, by the owner.
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`](crate::Misuse::DoubleFree) for what was back already, and those of giving a block
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
            let mut collected = span.collect();
            if !span.giver.is_none() {
                collected = collected.and(span.collect_handed());
            }
            answer = answer.and(self.see_to(span, collected, close));
        }
        answer
    }

    /// Looks at so many of the spans that have a giver, each time at others, and makes free what they gave back; by
    /// the owner.
    ///
    /// # Errors
    ///
    /// As for [`collect`](Stock::collect).
    fn look(&'static self, shelf: &Shelf, most: usize, close: Close<'_>) -> Result<(), Error> {
        let mut answer = Ok(());
        let Some(first) = shelf.watched.get() else {
            return answer;
        };
        // Of the ring that nothing but what is looked at leaves.
        let last = first.before_watched.get();
        for _ in 0..most {
            let Some(span) = shelf.watched.get() else {
                break;
            };
            shelf.watched.set(span.next_watched.get());
            let is_last = last.is_some_and(|last| core::ptr::eq(last, span));
            let collected = span.collect_handed();
            answer = answer.and(self.see_to(span, collected, close));
            if is_last {
                break;
            }
        }
        answer
    }

    /// Sees to a span of which slots were collected.
    ///
    /// # Errors
    ///
    /// As for [`collect`](Stock::collect).
    fn see_to(
        &'static self,
        span: &'static Span,
        collected: Result<(), Misuse>,
        close: Close<'_>,
    ) -> Result<(), Error> {
        let shelf = self.shelf(span.class());
        if span.taken() == 0 {
            span.giver.end();
        }
        if span.giver.is_none() {
            shelf.unwatch(span);
        } else {
            shelf.watch(span);
        }
        span.be_quick(shelf);
        collected.map_err(Error::from).and(self.settle(span, close))
    }

    /// Whether others gave slots back since the last time that was seen to; by the owner.
    pub(super) fn is_changed(&self) -> bool {
        let mut watched = self.shelves.iter().flat_map(Shelf::all_watched);
        !self.changed.is(None) || watched.any(Span::is_handed)
    }

    /// Whether spans have a giver; by the owner.
    pub(super) fn is_watched(&self) -> bool {
        self.shelves.iter().any(|shelf| !shelf.watched.is(None))
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
        let mut answer = self.collect(close);
        for shelf in self.shelves.iter().filter(|shelf| !shelf.is_bare()) {
            answer = answer.and(self.look(shelf, usize::MAX, close));
            shelf.magazine.retain(|entry| {
                if let Some((span, slot)) = spans::slot_at(entry.slot()) {
                    span.put(slot);
                    shelf.link(span);
                }
                false
            });
            if let Some(span) = shelf.current.get().filter(|span| span.free() > 0) {
                shelf.change_to(None);
                shelf.link(span);
            }
            let open = core::iter::successors(shelf.open.get(), |span| span.next.get());
            for span in open {
                if span.is_empty() {
                    answer = answer.and(self.close(span, close));
                }
            }
        }
        answer
    }

    /// Forgets all spans, which are gone.
    pub(super) fn clear(&self) {
        self.shelves.iter().for_each(Shelf::clear);
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
