//! Where an arena's next piece goes, and how many pieces it has handed out.
//!
//! # Safety
//!
//! A piece lies between the cursor and its end, which are in one chunk, whose memory is the pool's.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::ground::prefetch::prefetch;
use crate::pools::chunk::Chunk;
use crate::words::size::{UNIT, align_down};

/// The most bytes in front of a cursor, a multiple of [`UNIT`].
const MOST: usize = (PIECE as usize) - UNIT;

/// One piece, as a word counts it.
const PIECE: u64 = 1 << 32;

/// A cursor that moves up to an end, and counts the pieces over which it moves.
///
/// How far it is from the end and how many they are is one word: a piece costs one load and one store of that, with
/// a mask and one sum in between, and one comparison says whether there is room.
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
    ///
    /// Its first line is fetched at once: whoever asked writes there soon, but what is stored waits for its line in turn,
    /// while as many fetches overlap as there are pieces asked for.
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
        // Its size less and a piece more, in one sum: so the next piece need not wait for two.
        let step = (layout.size() as u32).wrapping_neg();
        self.word.set(word + u64::from(step));
        // SAFETY: no further from the end than the cursor, which is in the same chunk.
        let piece = unsafe { self.end.get().sub(room) };
        prefetch(piece.as_ptr());
        Some(piece)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::size::align_up;

    /// A chunk that starts at a multiple of a unit and of no more.
    fn chunk_in(memory: &mut [u128]) -> Chunk {
        let start = NonNull::from(&mut *memory).cast::<u8>();
        let skipped = UNIT * (1 + start.addr().get() / UNIT % 2);
        let bytes = size_of_val(memory) - skipped;
        // SAFETY: within the memory, which is longer.
        let start = unsafe { start.add(skipped) };
        // SAFETY: readable, writable, aligned, and nobody else's.
        unsafe { Chunk::new(NonNull::slice_from_raw_parts(start, bytes)) }
    }

    #[test]
    fn agrees_with_a_plain_cursor() {
        let mut memory = std::vec![0_u128; 1000];
        let chunk = chunk_in(&mut memory);
        let mut random = fastrand::Rng::with_seed(1);
        let cursor = Cursor::new();
        let (mut at, mut end, mut allocations) = (cursor.position(), 0, 0);
        for _ in 0..100_000 {
            match random.u8(..64) {
                0 => {
                    at = random.usize(chunk.base()..=chunk.end());
                    let limit = random.usize(at..=chunk.end() + 40);
                    end = limit.min(chunk.end()) / UNIT * UNIT;
                    cursor.place(chunk, at, limit);
                }
                1 => {
                    cursor.leave();
                    (at, end) = (cursor.position(), 0);
                }
                2 => {
                    cursor.count();
                    allocations += 1;
                }
                _ => {
                    let (most, align) = (1 << random.u32(..11), 1 << random.u32(..13));
                    let size = random.usize(..most);
                    let start = align_up(at, align).unwrap();
                    let wanted = (size > 0 && start + size <= end).then_some(start);
                    let layout = Layout::from_size_align(size, align).unwrap();
                    let piece = cursor.advance(layout);
                    assert_eq!(piece.map(|piece| piece.addr().get()), wanted, "{layout:?}");
                    allocations += u64::from(wanted.is_some());
                    at = wanted.map_or(at, |start| start + size);
                }
            }
            assert_eq!((cursor.position(), cursor.allocations()), (at, allocations));
            assert!(cursor.end() == end.max(at));
        }
    }

    /// Nothing of a distance beyond 2^32 is lost, and nothing runs over into the count.
    #[test]
    fn looks_ahead_four_gibibytes_at_most() {
        let bytes = 5 << 30;
        let memory = Layout::from_size_align(bytes, 4096).unwrap();
        // SAFETY: not of size 0.
        let Some(start) = NonNull::new(unsafe { std::alloc::alloc(memory) }) else {
            return; // A machine with less address space.
        };
        // SAFETY: just handed out. Nothing in it is read or written.
        let chunk = unsafe { Chunk::new(NonNull::slice_from_raw_parts(start, bytes)) };
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        let cursor = Cursor::new();
        for at in [chunk.base(), chunk.base() + 1, chunk.base() + 15] {
            let before = cursor.allocations();
            cursor.place(chunk, at, chunk.end());
            let room = cursor.end() - at;
            assert!((MOST - 15..=MOST).contains(&room) && cursor.end().is_multiple_of(UNIT));
            assert_eq!(cursor.position(), at);
            for size in [room + 1, 1 << 32, (1 << 32) + 8, isize::MAX as usize] {
                assert_eq!(cursor.advance(layout(size, 1)), None);
            }
            for power in 32..63 {
                let answer = cursor.advance(layout(1, 1 << power));
                let next = align_up(at, 1 << power).unwrap();
                assert!(answer.is_none() || next < cursor.end(), "2^{power}");
                if answer.is_some() {
                    cursor.place(chunk, at, chunk.end());
                }
            }
            let counted = cursor.allocations();
            assert!(counted - before < 31);
            let piece = cursor.advance(layout(room, 1)).unwrap();
            assert_eq!(piece.addr().get(), at);
            assert_eq!(
                (cursor.position(), cursor.allocations()),
                (at + room, counted + 1)
            );
            assert_eq!(cursor.advance(layout(1, 1)), None);
        }
        // SAFETY: from there, for this layout.
        unsafe { std::alloc::dealloc(start.as_ptr(), memory) };
    }
}
