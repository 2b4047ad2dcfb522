//! How the cursor moves over pieces, and back over the last.
//!
//! # Safety
//!
//! The cursor and the log's end stay within the open chunk. In the log's tail they are apart by the room for an entry at
//! least; a small chunk's head has an entry for each unit of its pieces and one more, a large one's for its first piece.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::ground::prefetch::prefetch;
use crate::pools::chunk::Chunk;
use crate::pools::size_classes::class::{Class, Small};
use crate::pools::size_classes::{SizeClasses, areas, log};
use crate::sharing::share::Share;
use crate::words::size::UNIT;

impl<H: Share> SizeClasses<H> {
    /// Moves the cursor over a piece for a small request, up to the verge.
    #[inline(always)]
    pub(super) fn advance_at_once(&self, small: Small) -> Option<NonNull<u8>> {
        let at = self.cursor.get();
        if at.addr().get() + small.bytes > self.verge.get() {
            return None;
        }
        // SAFETY: within the chunk, for the verge is (C5).
        self.cursor.set(unsafe { at.add(small.bytes) });
        // Whoever asked for this piece will write it, and somebody ask for the next.
        prefetch(self.cursor.get().as_ptr());
        let last = self.limit.get();
        // The limit stands beside the cursor: what is written to one cache line, one behind the other, goes there
        // in one step. With the entry between the two, an allocation takes a sixth longer.
        // SAFETY: the limit is the end of the log, and there is room in front of it up to the verge (C5).
        self.limit.set(unsafe { last.sub(1) });
        // SAFETY: as above.
        unsafe { log::write(last, small.units as u8) };
        Some(at)
    }

    /// Puts the verge where it belongs. In the log's tail, a 16th of the room has all entries of the pieces in the rest.
    #[inline]
    pub(super) fn look_ahead(&self) {
        let verge = if !self.lists.are_empty() || self.watched {
            0
        } else if self.is_near() {
            self.near()
        } else {
            let last = self.limit.get().addr().get();
            let room = last - self.cursor.get().addr().get();
            (last - room / UNIT).saturating_sub(log::ENTRIES + 1)
        };
        self.verge.set(verge);
    }

    /// Whether the last entry is in the log's head, or there is no chunk.
    #[inline]
    pub(super) fn is_near(&self) -> bool {
        self.limit.get() <= self.cursor.get()
    }

    /// The address up to which pieces have their entries in the log's head.
    #[inline]
    fn near(&self) -> usize {
        self.shelf.open().map_or(0, areas::near)
    }

    /// Whether so many pieces may lie from the cursor up to an address. If only with entries in the log's tail, that
    /// is begun.
    #[inline]
    pub(super) fn has_room(&self, to: usize, pieces: usize) -> bool {
        if self.is_near() {
            return to <= self.near() || (self.begin_tail() && self.has_room_in_tail(to, pieces));
        }
        self.has_room_in_tail(to, pieces)
    }

    #[inline]
    fn has_room_in_tail(&self, to: usize, pieces: usize) -> bool {
        to.saturating_add(pieces + 1) <= self.limit.get().addr().get()
    }

    /// Goes on with the log's tail in the open chunk, if that has one and its head was in use.
    #[inline]
    pub(super) fn begin_tail(&self) -> bool {
        let chunk = self.shelf.open().filter(|_| self.is_near());
        let Some((chunk, tail)) = chunk.and_then(|chunk| Some((chunk, areas::tail(chunk)?))) else {
            return false;
        };
        let last = self.limit.get();
        // SAFETY: a head has room for one piece's entry and for this one.
        unsafe { log::end(last) };
        // SAFETY: the cursor has passed one piece at most, of a chunk that is many times as large.
        self.limit.set(unsafe { log::begin(chunk, tail) });
        let moved = tail.wrapping_sub(last.addr().get());
        self.tally.set(self.tally.get().wrapping_add(moved));
        true
    }

    /// Opens the first chunk, as [`open`](Self::open) does, and moves the cursor over a piece, whose entry goes to the
    /// log's head. All at once, for a pool that serves one request.
    #[inline(always)]
    pub(super) fn open_first(&self, chunk: Chunk, small: Small) -> Option<NonNull<u8>> {
        let (first, log) = (areas::first(chunk), areas::log(chunk));
        let to = first + small.bytes;
        if to + log::ENTRIES + 1 > areas::end(chunk) {
            return None;
        }
        let (used, allocations) = (self.used(), self.allocations() as usize);
        self.shelf.begin(chunk);
        self.cursor.set(chunk.pointer(to));
        prefetch(self.cursor.get().as_ptr());
        self.limit.set(chunk.pointer(log - 1));
        self.floor.set(first.wrapping_sub(used));
        self.tally.set(log.wrapping_add(allocations));
        self.mapped.set(0);
        // Nothing is on a list, for there was no chunk.
        self.verge.set(areas::near(chunk));
        // SAFETY: the log of a chunk in which no piece is in use.
        let last = unsafe { log::begin(chunk, log) };
        // SAFETY: any head has room for an entry.
        unsafe { log::write(last, small.units as u8) };
        Some(chunk.pointer(first))
    }

    /// Moves the cursor over a piece, if the open chunk has room for it and its entry.
    #[inline(always)]
    pub(super) fn advance(&self, class: Class) -> Option<NonNull<u8>> {
        let at = self.cursor.get();
        if !self.has_room(at.addr().get() + class.bytes(), 1) {
            return None;
        }
        // SAFETY: within the chunk, as just compared.
        self.cursor.set(unsafe { at.add(class.bytes()) });
        // SAFETY: as above; the limit is the last entry of the log.
        self.limit
            .set(unsafe { log::write(self.limit.get(), log::entry(class)) });
        Some(at)
    }

    /// Moves the cursor back over the last piece, if it is of this class and the map does not tell of it yet.
    #[inline]
    pub(super) fn retreat(&self, chunk: Chunk, at: NonNull<u8>, class: Class) -> bool {
        if !self.is_last(chunk, at, class) {
            return false;
        }
        self.fall(0);
        self.cursor.set(at);
        // SAFETY: behind the last entry, within the chunk.
        self.limit.set(unsafe { self.limit.get().add(1) });
        self.look_ahead();
        self.served();
        true
    }

    /// Whether the last piece starts there, in this chunk, is of this class, and the map does not tell of it yet.
    #[inline]
    pub(super) fn is_last(&self, chunk: Chunk, at: NonNull<u8>, class: Class) -> bool {
        let start = at.addr().get();
        start.wrapping_add(class.bytes()) == self.cursor.get().addr().get()
            && self.mapped.get() <= start
            && self.shelf.open() == Some(chunk)
            // SAFETY: of the open chunk, the last entry or where the log begins, which is none.
            && unsafe { log::is_of(self.limit.get(), class) }
    }
}
