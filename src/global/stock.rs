//! What one thread has under one tag: its spans, by class.
//!
//! The chain of all spans changes under the lock of the centre; all else by the owner only, but for the list of
//! changed spans.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::global::center::{self, Center};
use crate::global::classes::CLASSES;
use crate::global::link::Link;
use crate::global::shelf::Shelf;
use crate::global::span::Span;
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

impl Stock {
    pub(super) fn tag(&self) -> Tag {
        Tag::new(self.tag.load(Ordering::Relaxed))
    }

    /// Makes it one of this thread's.
    pub(super) fn set_owner(&self, owner: &'static Thread) {
        self.owner.set(Some(owner));
        for (number, shelf) in self.shelves.iter().enumerate() {
            shelf.begin(owner, Class::numbered(number));
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
            if self.shelf(class).has_none() {
                self.reach(class)?;
            }
        }
    }

    /// Puts the hand of a class, which is empty, where slots are free.
    fn reach(&'static self, class: Class) -> Result<(), Error> {
        let shelf = self.shelf(class);
        if shelf.advance() {
            return Ok(());
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
        shelf.change_to(span);
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
                shelf.let_current_go();
                close(self, span).inspect_err(|_| shelf.link(span))?;
            }
        }
        Ok(())
    }

    /// Forgets all spans, which are gone.
    pub(super) fn clear(&self) {
        for shelf in &self.shelves {
            shelf.forget_hints();
            shelf.let_current_go();
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
