//! The map of a chunk, made from the log when it is first needed.
//!
//! # Safety
//!
//! The log's end is written behind the cursor, where there is always room for it.
#![allow(unsafe_code)]

use crate::pools::chunk::Chunk;
use crate::pools::size_classes::class::Class;
use crate::pools::size_classes::lists::Spot;
use crate::pools::size_classes::{SizeClasses, log, map};
use crate::sharing::share::Share;
use crate::words::size::{UNIT, align_down};

impl<H: Share> SizeClasses<H> {
    /// Has the map of a chunk tell of all its pieces; answers where they end, or where the log is damaged.
    #[inline]
    pub(super) fn survey(&self, place: usize, chunk: Chunk) -> Result<usize, usize> {
        if place == self.shelf.place() {
            let top = self.cursor.get().addr().get();
            if self.mapped.get() != top {
                self.survey_open(place, chunk, top)?;
            }
            return Ok(top);
        }
        match self.shelf.top(place) {
            Some(top) => Ok(top),
            None => self.survey_closed(place, chunk),
        }
    }

    /// Enters what the open chunk's log tells since the last time.
    #[cold]
    fn survey_open(&self, place: usize, chunk: Chunk, top: usize) -> Result<(), usize> {
        let (from, entry) = self.surveyed(chunk);
        let count = entry - self.limit.get().addr().get();
        if reach(chunk, from, entry, count) != top {
            return Err(entry);
        }
        self.enter(place, chunk, [from, top], entry, count);
        self.mapped.set(top);
        self.read.set(self.limit.get().addr().get());
        Ok(())
    }

    /// Up to which address the map tells of the open chunk's pieces, and down to which the log was read.
    pub(super) fn surveyed(&self, chunk: Chunk) -> (usize, usize) {
        match self.mapped.get() {
            0 => (map::first(chunk), chunk.end()),
            mapped => (mapped, self.read.get()),
        }
    }

    /// Enters what the log of a chunk before the open one tells, and what is left behind its last piece.
    #[cold]
    fn survey_closed(&self, place: usize, chunk: Chunk) -> Result<usize, usize> {
        let (first, entry) = (map::first(chunk), chunk.end());
        let count = log::pieces(chunk, first, entry).count();
        let top = reach(chunk, first, entry, count);
        self.enter(place, chunk, [first, top], entry, count);
        Ok(self.tile(place, chunk, top, entry - count - 1))
    }

    /// Enters so many pieces in the map.
    fn enter(
        &self,
        place: usize,
        chunk: Chunk,
        [from, to]: [usize; 2],
        entry: usize,
        count: usize,
    ) {
        map::clear(chunk, from, to);
        for (at, passed) in log::pieces(chunk, from, entry).take(count) {
            if passed.used {
                map::set(chunk, at, map::USED);
            } else {
                self.offer(place, chunk, at, passed.class);
            }
        }
    }

    /// Makes free pieces of what is left of a chunk that is mapped up to `top`; answers where they end.
    fn tile(&self, place: usize, chunk: Chunk, top: usize, entry: usize) -> usize {
        let end = align_down(entry, UNIT);
        map::clear(chunk, top, end);
        let mut at = top;
        while at < end {
            let class = Class::within(end - at);
            self.offer(place, chunk, at, class);
            at += class.bytes();
        }
        self.shelf.set_top(place, Some(end));
        end
    }

    /// Puts a piece that nobody has on its list.
    fn offer(&self, place: usize, chunk: Chunk, at: usize, class: Class) {
        map::set(chunk, at, map::FREE);
        let spot = Spot::new(place, at - chunk.base());
        self.lists.push(class, spot, chunk.pointer(at));
    }

    /// Prepares the open chunk for another to be opened: what is left becomes free pieces if the map is in use,
    /// and then tells of all pieces; else the log is ended.
    pub(super) fn close(&self) {
        let place = self.shelf.place();
        let Some(chunk) = self.shelf.open() else {
            return;
        };
        if self.mapped.get() > 0 {
            let (top, last) = (self.cursor.get(), self.limit.get());
            self.tile(place, chunk, top.addr().get(), last.addr().get());
            return;
        }
        self.shelf.set_top(place, None);
        // SAFETY: the cursor keeps away from the last entry by the room for this one.
        unsafe { log::end(self.limit.get()) };
    }
}

/// Address behind so many pieces.
pub(super) fn reach(chunk: Chunk, from: usize, entry: usize, count: usize) -> usize {
    let pieces = log::pieces(chunk, from, entry).take(count);
    pieces.fold(from, |_, (at, passed)| at + passed.class.bytes())
}
