//! Maps, lists and numbers held against each other.

use crate::pools::size_classes::class::{COUNT, Class};
use crate::pools::size_classes::lists::Spot;
use crate::pools::size_classes::walk::Met;
use crate::pools::size_classes::{SizeClasses, areas, map};
use crate::sharing::share::Share;
use crate::words::error::Error;
use crate::words::strip::Piece;

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
        let live = self.allocations() - self.deallocations.get();
        let whole = listed == tally.free
            && live == tally.pieces + self.blocks.get()
            && held.wrapping_add(of_blocks) == self.pool.in_chunks()
            && (self.blocks.get() > 0 || of_blocks == 0);
        if whole {
            return Ok(());
        }
        Err(self.pool.damage(self.cursor.get().addr().get()))
    }

    /// Walks over the pieces of all chunks up to the open one.
    fn tally(&self) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let divided = self.shelf.iter().enumerate().take(self.shelf.place() + 1);
        for (place, chunk) in divided {
            let walked = self.walk(place, chunk, &mut |met| match met {
                Met::Mapped(Piece::Used(bytes)) | Met::Logged(Piece::Used(bytes)) => {
                    tally.pieces += 1;
                    tally.bytes += bytes;
                }
                Met::Mapped(Piece::Free(_)) => tally.free += 1,
                Met::Logged(Piece::Free(_)) => {}
            });
            walked.map_err(|at| self.pool.damage(at))?;
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
            return damage(0);
        };
        let at = chunk.base().saturating_add(spot.offset());
        let top = match spot.chunk() {
            place if place == self.shelf.place() => self.mapped.get(),
            place if self.shelf.is_mapped(place) => areas::end(chunk),
            _ => 0,
        };
        let placed = spot.chunk() <= self.shelf.place()
            && (areas::first(chunk)..top).contains(&at)
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
