//! How the cursor moves over pieces, and back over the last.
//!
//! # Safety
//!
//! The cursor and the log's end stay within the open chunk, apart by the room for an entry at least.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::ground::prefetch::prefetch;
use crate::pools::chunk::Chunk;
use crate::pools::size_classes::class::{Class, Small};
use crate::pools::size_classes::{SizeClasses, log, map};
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

    /// Puts the verge where it belongs: a 16th of the room has all entries of the pieces in the rest.
    #[inline]
    pub(super) fn look_ahead(&self) {
        let (at, last) = (
            self.cursor.get().addr().get(),
            self.limit.get().addr().get(),
        );
        let verge = (last - (last - at) / UNIT).saturating_sub(log::ENTRIES + 1);
        let is_clear = self.lists.are_empty() && !self.watched;
        self.verge.set(if is_clear { verge } else { 0 });
    }

    /// Moves the cursor over a piece, if the open chunk has room for it and its entry.
    #[inline(always)]
    pub(super) fn advance(&self, class: Class) -> Option<NonNull<u8>> {
        let (at, last) = (self.cursor.get(), self.limit.get());
        if last.addr().get() - at.addr().get() < class.bytes() + log::ENTRIES {
            return None;
        }
        // SAFETY: within the chunk, as just compared.
        self.cursor.set(unsafe { at.add(class.bytes()) });
        // SAFETY: as above; the limit is the end of the log.
        self.limit
            .set(unsafe { log::write(last, log::entry(class)) });
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
            && map::first(chunk) <= start
            && self.shelf.open() == Some(chunk)
            // SAFETY: the cursor has left the start of the open chunk, so there is an entry.
            && unsafe { log::is_of(self.limit.get(), class) }
    }
}
