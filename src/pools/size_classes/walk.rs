//! The pieces of a chunk, one after the other: by the map as far as it tells of them, then by the log.

use crate::pools::chunk::Chunk;
use crate::pools::size_classes::log::Entries;
use crate::pools::size_classes::shelf::Reach;
use crate::pools::size_classes::{SizeClasses, areas, map};
use crate::sharing::share::Share;
use crate::words::strip::Piece;

/// What a walk comes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Met {
    /// A piece in use, or one on its list.
    Mapped(Piece),
    /// A piece of which only the log tells: in use unless it was left out for an alignment.
    Logged(Piece),
}

impl Met {
    pub(super) fn piece(self) -> Piece {
        let (Self::Mapped(piece) | Self::Logged(piece)) = self;
        piece
    }
}

impl<H: Share> SizeClasses<H> {
    /// Visits the pieces of the chunk at a place, which is not behind the open one, from the first on; answers
    /// where they end, or where the map and the log do not agree with each other. O(pieces).
    pub(super) fn walk(
        &self,
        place: usize,
        chunk: Chunk,
        visit: &mut dyn FnMut(Met),
    ) -> Result<usize, usize> {
        let first = areas::first(chunk);
        if place == self.shelf.place() {
            let (mapped, entry) = self.surveyed(chunk);
            walk_map(chunk, [first, mapped], visit)?;
            let top = self.cursor.get().addr().get();
            let last = self.limit.get().addr().get();
            let entries = Entries::between(chunk, [mapped, top], entry);
            return walk_log(entries, Reach { top, last }, visit);
        }
        if self.shelf.is_mapped(place) {
            return walk_map(chunk, [first, areas::end(chunk)], visit);
        }
        let reach = self.shelf.reach(place);
        let entries = Entries::between(chunk, [first, reach.top], areas::log(chunk));
        walk_log(entries, reach, visit)
    }
}

fn walk_map(
    chunk: Chunk,
    [mut at, top]: [usize; 2],
    visit: &mut dyn FnMut(Met),
) -> Result<usize, usize> {
    while at < top {
        let next = map::next(chunk, at, top);
        visit(Met::Mapped(match map::state(chunk, at) {
            map::USED => Piece::Used(next - at),
            map::FREE => Piece::Free(next - at),
            _ => return Err(at),
        }));
        at = next;
    }
    Ok(top)
}

fn walk_log(entries: Entries, wanted: Reach, visit: &mut dyn FnMut(Met)) -> Result<usize, usize> {
    for (_, passed) in entries {
        let is = if passed.used {
            Piece::Used
        } else {
            Piece::Free
        };
        visit(Met::Logged(is(passed.class.bytes())));
    }
    let reached = entries.reach();
    if reached == wanted {
        Ok(reached.top)
    } else {
        Err(reached.top)
    }
}
