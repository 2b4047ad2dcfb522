//! A pool of size classes in plain text: its chunks.

use core::fmt::{self, Write};

use crate::pools::size_classes::{SizeClasses, areas};
use crate::sharing::share::Share;
use crate::words::strip::{Part, Piece, Strip};

impl<H: Share> fmt::Display for SizeClasses<H> {
    /// A line for each chunk, in the order in which they are used: its pieces, free ones and what is not divided yet in
    /// brackets. Not the blocks of the heap's own, nor a pool that passes through.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, chunk) in self.shelf.iter().enumerate() {
            if place > 0 {
                f.write_char('\n')?;
            }
            let first = areas::first(chunk);
            let mut strip = Strip::new(f, first);
            let mut drawn = Ok(());
            let mut draw = |piece: Piece| {
                if piece.bytes() > 0 && drawn.is_ok() {
                    drawn = strip.push(piece);
                }
            };
            let end = if place > self.shelf.place() {
                Ok(first)
            } else {
                self.walk(place, chunk, &mut |met| draw(met.piece()))
            };
            if let Ok(end) = end {
                draw(Piece::Free(areas::end(chunk) - end));
            }
            drawn?;
            match end {
                Ok(_) => strip.finish()?,
                Err(at) => strip.fail(self.pool.damage(at))?,
            }
        }
        Ok(())
    }
}
