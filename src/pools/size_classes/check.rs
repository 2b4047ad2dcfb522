//! Maps, lists and numbers held against each other.

use crate::pools::size_classes::class::{COUNT, Class};
use crate::pools::size_classes::lists::Spot;
use crate::pools::size_classes::{SizeClasses, map};
use crate::sharing::share::Share;
use crate::words::error::Error;

/// What the maps say.
#[derive(Default)]
struct Tally {
    pieces: u64,
    bytes: usize,
    free: usize,
}

impl<H: Share> SizeClasses<H> {
    /// Checks that pieces tile the chunks (C1), that the lists hold the free ones (C3), and the numbers (C4).
    pub(super) fn check_pieces(&self) -> Result<(), Error> {
        let tally = self.tally()?;
        let listed = self.listed(tally.free)?;
        let held: usize = self.shelf.iter().map(|chunk| chunk.bytes()).sum();
        let of_blocks = self.used().wrapping_sub(tally.bytes);
        let live = self.allocations.get() - self.deallocations.get();
        let whole = listed == tally.free
            && live == tally.pieces + self.blocks.get()
            && held.wrapping_add(of_blocks) == self.pool.held()
            && (self.blocks.get() > 0 || of_blocks == 0);
        if whole {
            return Ok(());
        }
        Err(self.pool.damage(self.cursor.get()))
    }

    /// Walks over the pieces of all chunks.
    fn tally(&self) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        for (place, chunk) in self.shelf.iter().enumerate() {
            if place > self.shelf.place() {
                break;
            }
            let mut at = map::first(chunk);
            let open = place == self.shelf.place();
            let top = if open { self.cursor.get() } else { chunk.end() };
            if top > chunk.end() || at > chunk.end() || (open && self.limit.get() > chunk.end()) {
                return Err(self.pool.damage(chunk.base()));
            }
            while at < top {
                let next = map::next(chunk, at, top);
                match map::state(chunk, at) {
                    map::USED => {
                        tally.pieces += 1;
                        tally.bytes += next - at;
                    }
                    map::FREE => tally.free += 1,
                    _ => return Err(self.pool.damage(at)),
                }
                at = next;
            }
        }
        Ok(tally)
    }

    /// Walks over the lists, and answers how many pieces are on them: at most `most` are to be expected.
    fn listed(&self, most: usize) -> Result<usize, Error> {
        let mut count = 0;
        for class in (0..COUNT).map(Class::numbered) {
            let mut next = self.lists.head(class);
            while let Some(spot) = next {
                let at = self.listed_at(spot, class)?;
                let Some(chunk) = self.shelf.at(spot.chunk()) else {
                    return Err(self.pool.damage(at));
                };
                let behind = self.lists.behind(chunk.pointer(at));
                next = behind.ok_or_else(|| self.pool.damage(at))?;
                count += 1;
                if count > most {
                    return Err(self.pool.damage(at));
                }
            }
        }
        Ok(count)
    }

    /// The address of a listed piece, which is free, of the class's size, and aligned.
    fn listed_at(&self, spot: Spot, class: Class) -> Result<usize, Error> {
        let damage = |at| Err(self.pool.damage(at));
        let Some(chunk) = self.shelf.at(spot.chunk()) else {
            return damage(self.cursor.get());
        };
        let at = chunk.base().saturating_add(spot.offset());
        let open = spot.chunk() == self.shelf.place();
        let top = if open { self.cursor.get() } else { chunk.end() };
        let placed = spot.chunk() <= self.shelf.place()
            && (map::first(chunk)..top).contains(&at)
            && at.is_multiple_of(class.align());
        if !placed || map::state(chunk, at) != map::FREE {
            return damage(at);
        }
        if map::next(chunk, at, top) - at != class.bytes() {
            return damage(at);
        }
        Ok(at)
    }
}
