//! The map of a chunk, made from the log when it is first needed.

use crate::pools::chunk::Chunk;
use crate::pools::size_classes::class::Class;
use crate::pools::size_classes::lists::Spot;
use crate::pools::size_classes::log::Entries;
use crate::pools::size_classes::shelf::Reach;
use crate::pools::size_classes::supply::left_out;
use crate::pools::size_classes::{SizeClasses, areas, map};
use crate::sharing::share::Share;

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
        if !self.shelf.is_mapped(place) {
            self.survey_closed(place, chunk)?;
        }
        Ok(areas::end(chunk))
    }

    /// Enters what the open chunk's log tells since the last time.
    #[cold]
    fn survey_open(&self, place: usize, chunk: Chunk, top: usize) -> Result<(), usize> {
        let (from, entry) = self.surveyed(chunk);
        let entries = Entries::between(chunk, [from, top], entry);
        let last = self.limit.get().addr().get();
        if entries.reach() != (Reach { top, last }) {
            return Err(last);
        }
        self.enter(place, chunk, [from, top], entries);
        self.mapped.set(top);
        self.read.set(last);
        Ok(())
    }

    /// Up to which address the map tells of the open chunk's pieces, and down to which the log was read.
    pub(super) fn surveyed(&self, chunk: Chunk) -> (usize, usize) {
        match self.mapped.get() {
            0 => (areas::first(chunk), areas::log(chunk)),
            mapped => (mapped, self.read.get()),
        }
    }

    /// Enters what the log of a chunk before the open one tells, and what is left behind its last piece.
    #[cold]
    fn survey_closed(&self, place: usize, chunk: Chunk) -> Result<(), usize> {
        let (first, reach) = (areas::first(chunk), self.shelf.reach(place));
        let top = reach.top;
        let entries = Entries::between(chunk, [first, top], areas::log(chunk));
        if entries.reach() != reach {
            return Err(reach.last);
        }
        self.enter(place, chunk, [first, top], entries);
        self.tile(place, chunk, top);
        Ok(())
    }

    /// Enters pieces in the map between two addresses.
    fn enter(&self, place: usize, chunk: Chunk, [from, to]: [usize; 2], entries: Entries) {
        map::clear(chunk, from, to);
        for (at, passed) in entries {
            if passed.used {
                map::set(chunk, at, map::USED);
            } else {
                self.offer(place, chunk, at, passed.class);
            }
        }
    }

    /// Makes free pieces of what is left of a chunk that is mapped up to `top`.
    fn tile(&self, place: usize, chunk: Chunk, top: usize) {
        let end = areas::end(chunk);
        map::clear(chunk, top, end);
        let mut at = top;
        for class in left_out(top, end) {
            self.offer(place, chunk, at, class);
            at += class.bytes();
        }
        self.shelf.set_mapped(place, true);
    }

    /// Puts a piece that nobody has on its list.
    fn offer(&self, place: usize, chunk: Chunk, at: usize, class: Class) {
        map::set(chunk, at, map::FREE);
        let spot = Spot::new(place, at - chunk.base());
        self.list(class, spot, chunk.pointer(at));
    }

    /// Prepares the open chunk for another to be opened: what is left becomes free pieces if the map is in use,
    /// and then tells of all pieces; else the log does, as far as they reach.
    pub(super) fn close(&self) {
        let Some(chunk) = self.shelf.open() else {
            return;
        };
        let top = self.cursor.get().addr().get();
        if self.mapped.get() > 0 {
            self.tile(self.shelf.place(), chunk, top);
        } else {
            let last = self.limit.get().addr().get();
            self.shelf.leave(Reach { top, last });
        }
    }
}
