//! What lies where in a chunk: the log, the pieces, the map.
//!
//! Each has its place for as long as the chunk is there: where a piece is or was, nothing is ever noted. The log of a small
//! chunk lies in front of the pieces, where it takes no page of its own. That of a large one would part the first piece
//! from the block's header by pages that nobody touches: it lies behind the pieces. The map, which many pools never
//! need, is behind all.

use crate::pools::chunk::Chunk;
use crate::words::size::{UNIT, align_down};

/// Bytes of the largest chunk whose log is in front.
const MOST_SMALL: usize = 16 << 10;

/// Bytes in front of the first piece of a large chunk: no piece is at its start, which says that there is none.
const FRONT: usize = UNIT;

/// Bytes of a chunk for which the log has an entry: pieces of a unit, and the entries themselves.
const LOGGED: usize = UNIT + 1;

/// Bytes of a chunk of which a unit of the map tells.
const MAPPED: usize = 64 * UNIT;

/// Bytes of the log in a chunk of so many: an entry for each unit, and what stands above the first.
#[inline]
const fn log_of(bytes: usize) -> usize {
    align_down(bytes / LOGGED + 1 + UNIT, UNIT)
}

/// Bytes of the map in a chunk of so many.
#[inline]
const fn map_of(bytes: usize) -> usize {
    bytes.div_ceil(MAPPED) * UNIT
}

/// Bytes in front of the pieces, and behind them, in a chunk of so many.
#[inline]
const fn around(bytes: usize) -> (usize, usize) {
    if bytes > MOST_SMALL {
        (FRONT, log_of(bytes) + map_of(bytes))
    } else {
        (log_of(bytes), map_of(bytes))
    }
}

/// Bytes of a chunk of so many that pieces do not get.
pub(super) const fn notes(bytes: usize) -> usize {
    let (front, behind) = around(bytes);
    front + behind
}

/// Address of the first piece.
#[inline]
pub(super) fn first(chunk: Chunk) -> usize {
    let (front, _) = around(chunk.bytes());
    chunk.base() + front
}

/// Address behind the pieces.
#[inline]
pub(super) fn end(chunk: Chunk) -> usize {
    let (_, behind) = around(chunk.bytes());
    chunk.end() - behind
}

/// Address below which the log's entries lie, with a byte at it.
#[inline]
pub(super) fn log(chunk: Chunk) -> usize {
    if chunk.bytes() > MOST_SMALL {
        chunk.end() - map_of(chunk.bytes()) - 1
    } else {
        first(chunk) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_an_entry_for_each_unit_of_the_pieces() {
        for bytes in (64_usize..=1 << 16).chain([1 << 20, 1 << 30, (1 << 40) - 16]) {
            let pieces = bytes.saturating_sub(notes(bytes));
            assert!(log_of(bytes) > pieces / UNIT, "{bytes}");
            assert!(log_of(bytes).is_multiple_of(UNIT) && map_of(bytes).is_multiple_of(UNIT));
            assert!(log_of(bytes) <= bytes / LOGGED + 1 + UNIT);
            assert!(notes(bytes) >= log_of(bytes) + map_of(bytes));
        }
    }
}
