//! Where pieces lie in a chunk: two bits for every 16 bytes, from the chunk's end down.
//!
//! One bit says that a piece starts there, the other that it is in use. A piece reaches to the next start. So
//! a piece that is given back is known to be one, to be in use and to be as large as its owner says, before
//! anything is believed that stands in it. The map is written when a first piece is given back, from the log.
//!
//! # Safety
//!
//! The map's words lie in the chunk behind its pieces, so no piece overlaps them. Whoever asks names an address among the
//! pieces of a chunk that is the pool's.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::pools::chunk::Chunk;
use crate::pools::size_classes::areas;
use crate::words::size::UNIT;

/// No piece starts here.
pub(super) const NOTHING: u64 = 0;

/// A free piece starts here.
pub(super) const FREE: u64 = 1;

/// A piece in use starts here.
pub(super) const USED: u64 = 3;

/// The bits of a word that say where pieces start.
const STARTS: u64 = u64::MAX / 3;

/// How many places a word tells of.
const PLACES: usize = 32;

/// Bytes that a word tells of.
const REACH: usize = PLACES * UNIT;

/// What starts at an address: [`FREE`], [`USED`], or nothing.
#[inline]
pub(super) fn state(chunk: Chunk, at: usize) -> u64 {
    let place = (at - chunk.base()) / UNIT;
    // SAFETY: a word of the map, see the head of the file; it was cleared before the cursor came here.
    let word = unsafe { word(chunk, place / PLACES).read() };
    word >> (place % PLACES * 2) & USED
}

/// Notes what starts at an address from now on.
#[inline]
pub(super) fn set(chunk: Chunk, at: usize, state: u64) {
    let place = (at - chunk.base()) / UNIT;
    let word = word(chunk, place / PLACES);
    // SAFETY: as above.
    let before = unsafe { word.read() };
    let shift = place % PLACES * 2;
    // SAFETY: as above.
    unsafe { word.write(before & !(USED << shift) | state << shift) };
}

/// The first start behind an address and before `end`, else `end`.
#[inline]
pub(super) fn next(chunk: Chunk, at: usize, end: usize) -> usize {
    let mut place = (at - chunk.base()) / UNIT + 1;
    let last = (end - chunk.base()) / UNIT;
    while place < last {
        // SAFETY: as above.
        let word = unsafe { word(chunk, place / PLACES).read() };
        let starts = (word & STARTS) >> (place % PLACES * 2);
        if starts != 0 {
            place += starts.trailing_zeros() as usize / 2;
            return end.min(chunk.base() + place * UNIT);
        }
        place = (place / PLACES + 1) * PLACES;
    }
    end
}

/// Clears the words that tell of what is between two addresses; not the first one's, if that tells of what is
/// in front of it too, unless that is the log.
pub(super) fn clear(chunk: Chunk, from: usize, to: usize) {
    let places = from - chunk.base();
    let from_word = if from == areas::first(chunk) {
        places / REACH
    } else {
        places.div_ceil(REACH)
    };
    let to_word = (to - chunk.base()).div_ceil(REACH);
    if from_word < to_word {
        // SAFETY: words of the map, the last of which comes first, for `to` is not behind the pieces' end.
        unsafe { word(chunk, to_word - 1).write_bytes(0, to_word - from_word) };
    }
}

/// A word of a chunk's map.
#[inline]
fn word(chunk: Chunk, number: usize) -> NonNull<u64> {
    debug_assert!(number < chunk.bytes().div_ceil(REACH), "a word of the map");
    chunk.pointer(chunk.end() - 8 * (number + 1)).cast()
}
