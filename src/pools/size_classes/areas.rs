//! What lies where in a chunk: the log's head, the pieces, the log's tail, the map.
//!
//! What few pieces need lies beside the first of them, so that they touch no page for it. A small chunk has room for all
//! entries in the log's head, in front of the pieces, and no tail. A large one would have that room far from its first
//! piece: it has only that one's entry in the head, and all others in the tail, behind the pieces, which takes no more
//! room than they need. The map, which many pools never need, is behind all.

use crate::pools::chunk::Chunk;
use crate::words::size::{UNIT, align_down};

/// Bytes of the largest chunk without a tail.
const MOST_SMALL: usize = 16 << 10;

/// Bytes of the log's head in a large chunk: where it begins, an entry, and the one that ends it.
const LEAST_HEAD: usize = UNIT;

/// Bytes of a chunk of which a unit of the map tells.
const SHARE: usize = 64 * UNIT;

/// Whether the log of a chunk of so many bytes has a tail.
#[inline]
const fn is_large(bytes: usize) -> bool {
    bytes > MOST_SMALL
}

/// Bytes of the log's head in a chunk of so many: in a small one, an entry for each unit and two more.
#[inline]
const fn head(bytes: usize) -> usize {
    if is_large(bytes) {
        return LEAST_HEAD;
    }
    let entries = bytes / UNIT;
    align_down(entries + 2 + UNIT - 1, UNIT)
}

/// Bytes of the map in a chunk of so many.
#[inline]
const fn map(bytes: usize) -> usize {
    bytes.div_ceil(SHARE) * UNIT
}

/// Bytes of the map and the log's head in a chunk of so many.
pub(super) const fn notes(bytes: usize) -> usize {
    head(bytes) + map(bytes)
}

/// Address of the first piece, behind the log's head.
#[inline]
pub(super) fn first(chunk: Chunk) -> usize {
    chunk.base() + head(chunk.bytes())
}

/// Address behind the pieces and the log's tail, where the map begins.
#[inline]
pub(super) fn end(chunk: Chunk) -> usize {
    chunk.end() - map(chunk.bytes())
}

/// Address below which the log's entries lie.
#[inline]
pub(super) fn log(chunk: Chunk) -> usize {
    first(chunk) - 1
}

/// Address below which the entries of the log's tail lie, if it has one.
#[inline]
pub(super) fn tail(chunk: Chunk) -> Option<usize> {
    is_large(chunk.bytes()).then(|| end(chunk) - 1)
}

/// Address up to which pieces have their entries in the log's head.
#[inline]
pub(super) fn near(chunk: Chunk) -> usize {
    if is_large(chunk.bytes()) {
        first(chunk)
    } else {
        end(chunk)
    }
}
