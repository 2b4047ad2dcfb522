//! Where an arena's next piece goes, and how many pieces it has handed out.
//!
//! # Safety
//!
//! A piece lies between the cursor and its end, which are in one chunk, whose memory is the pool's.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::pools::chunk::Chunk;
use crate::words::size::{UNIT, align_down};

/// The most bytes in front of a cursor, a multiple of [`UNIT`].
const MOST: usize = (PIECE as usize) - UNIT;

/// One piece, as a word counts it.
const PIECE: u64 = 1 << 32;

/// A cursor that moves up to an end, and counts the pieces over which it moves.
///
/// How far it is from the end and how many they are is one word: a piece costs one load and one store of that, with
/// a mask and sums in between, and one comparison says whether there is room.
#[derive(Debug)]
pub(super) struct Cursor {
    /// Low half: bytes from the cursor to its end. High half: pieces since it was placed.
    ///
    /// Both together are at most [`MOST`], for each piece took a byte at least: the high half does not overflow.
    word: Cell<u64>,
    /// A multiple of [`UNIT`], unless the cursor is there: so up to that bytes are aligned as addresses are.
    end: Cell<NonNull<u8>>,
    /// Pieces from before it was placed.
    earlier: Cell<u64>,
}

// SAFETY: the pointer is into a chunk, which is the pool's and goes where that goes.
unsafe impl Send for Cursor {}

impl Cursor {
    /// At no memory.
    pub(super) fn new() -> Self {
        Self {
            word: Cell::new(0),
            end: Cell::new(NonNull::dangling()),
            earlier: Cell::new(0),
        }
    }

    /// Moves over a piece; `None` if there is no room for it in front of the end, or it has no bytes.
    #[inline]
    pub(super) fn advance(&self, layout: Layout) -> Option<NonNull<u8>> {
        let mask = layout.align() as u64 - 1;
        let word = if layout.align() <= UNIT {
            self.word.get() & !mask
        } else {
            self.padded(mask)?
        };
        let room = word as u32 as usize;
        // Less than its size, or that is 0 and wraps.
        if layout.size().wrapping_sub(1) >= room {
            return None;
        }
        self.word.set(word - layout.size() as u64 + PIECE);
        // SAFETY: no further from the end than the cursor, which is in the same chunk.
        Some(unsafe { self.end.get().sub(room) })
    }

    /// The word once the cursor has moved up to an alignment of more than a unit.
    fn padded(&self, mask: u64) -> Option<u64> {
        let word = self.word.get();
        let padding = (self.position() as u64).wrapping_neg() & mask;
        (padding <= u64::from(word as u32)).then(|| word - padding)
    }

    /// Puts it into a chunk, with an end at this limit or as near before that as it can be.
    pub(super) fn place(&self, chunk: Chunk, at: usize, limit: usize) {
        let end = limit.min(chunk.end()).min(at.saturating_add(MOST));
        let end = align_down(end, UNIT).max(at);
        self.move_to(chunk.pointer(end), end - at);
    }

    /// Takes it away from all memory.
    pub(super) fn leave(&self) {
        self.move_to(NonNull::dangling(), 0);
    }

    fn move_to(&self, end: NonNull<u8>, room: usize) {
        self.earlier.set(self.allocations());
        self.word.set(room as u64);
        self.end.set(end);
    }

    /// Counts a piece over which it did not move by itself.
    pub(super) fn count(&self) {
        self.earlier.set(self.earlier.get() + 1);
    }

    /// Its address.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.end() - self.word.get() as u32 as usize
    }

    /// Address up to which it moves by itself.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.end.get().addr().get()
    }

    /// All pieces that were ever counted.
    pub(super) fn allocations(&self) -> u64 {
        self.earlier.get() + self.word.get() / PIECE
    }
}
