//! How the cursor moves over pieces, and back over the last.
//!
//! # Safety
//!
//! The cursor stays within the pieces of the open chunk, whose log has room for an entry for each unit of them.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::ground::prefetch::prefetch;
use crate::pools::chunk::Chunk;
use crate::pools::size_classes::class::{Class, Small};
use crate::pools::size_classes::{SizeClasses, areas, log};
use crate::sharing::share::Share;

impl<H: Share> SizeClasses<H> {
    /// Moves the cursor over a piece for a small request, up to the verge.
    #[inline(always)]
    pub(super) fn advance_at_once(&self, small: Small) -> Option<NonNull<u8>> {
        let at = self.cursor.get();
        if at.addr().get() + small.bytes > self.verge.get() {
            return None;
        }
        // SAFETY: within the pieces, for the verge is (C5).
        self.cursor.set(unsafe { at.add(small.bytes) });
        // Whoever asked for this piece will write it, and somebody ask for the next.
        prefetch(self.cursor.get().as_ptr());
        let last = self.limit.get();
        // The limit stands beside the cursor: what is written to one cache line, one behind the other, goes there
        // in one step. With the entry between the two, an allocation takes a sixth longer.
        // SAFETY: the limit is the end of the log, which has room for all pieces of the chunk.
        self.limit.set(unsafe { last.sub(1) });
        // SAFETY: as above.
        unsafe { log::write(last, small.units as u8) };
        Some(at)
    }

    /// Puts the verge where it belongs.
    #[inline]
    pub(super) fn look_ahead(&self) {
        let verge = if !self.lists.are_empty() || self.watched {
            0
        } else {
            self.end()
        };
        self.verge.set(verge);
    }

    /// Address behind the pieces that the open chunk may have; 0 without a chunk.
    #[inline]
    fn end(&self) -> usize {
        self.shelf.open().map_or(0, areas::end)
    }

    /// Whether pieces may lie from the cursor up to an address.
    #[inline]
    pub(super) fn has_room(&self, to: usize) -> bool {
        to <= self.end()
    }

    /// Opens the first chunk, as [`open`](Self::open) does, and moves the cursor over a piece. All at once, for a pool
    /// that serves one request.
    #[inline(always)]
    pub(super) fn open_first(&self, chunk: Chunk, small: Small) -> Option<NonNull<u8>> {
        let (first, end) = (areas::first(chunk), areas::end(chunk));
        let to = first + small.bytes;
        if to > end {
            return None;
        }
        let (used, allocations) = (self.used(), self.allocations() as usize);
        self.shelf.begin(chunk);
        self.cursor.set(chunk.pointer(to));
        prefetch(self.cursor.get().as_ptr());
        // SAFETY: the pool's.
        let log = unsafe { log::begin(chunk) };
        // SAFETY: as just begun, and there is room for the piece.
        self.limit
            .set(unsafe { log::write(log, small.units as u8) });
        self.floor.set(first.wrapping_sub(used));
        self.tally.set(log.addr().get().wrapping_add(allocations));
        self.mapped.set(0);
        // Nothing is on a list, for there was no chunk.
        self.verge.set(end);
        Some(chunk.pointer(first))
    }

    /// Moves the cursor over a piece, if the open chunk has room for it.
    #[inline(always)]
    pub(super) fn advance(&self, class: Class) -> Option<NonNull<u8>> {
        let at = self.cursor.get();
        if !self.has_room(at.addr().get() + class.bytes()) {
            return None;
        }
        // SAFETY: within the pieces, as just compared.
        self.cursor.set(unsafe { at.add(class.bytes()) });
        // SAFETY: the limit is the last entry of the log, and there is room for the piece.
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
        // Not the caller's pointer, which may reach no further than his value.
        self.cursor.set(chunk.pointer(at.addr().get()));
        // SAFETY: behind the last entry, within the chunk.
        self.limit.set(unsafe { self.limit.get().add(1) });
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
