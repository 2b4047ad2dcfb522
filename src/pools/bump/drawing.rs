//! An arena in plain text: its chunks.

use core::fmt::{self, Write};

use crate::pools::bump::Bump;
use crate::pools::chunk::NOTE;
use crate::sharing::share::Share;
use crate::words::strip::{Part, Piece, Strip};

impl<H: Share> fmt::Display for Bump<H> {
    /// A line for each chunk, the newest first: what is behind its cursor, and in brackets what is not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let newest = self.chunks.newest();
        for chunk in self.chunks.iter() {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(at) => return write!(f, "\n{}", self.pool.damage(at)),
            };
            let is_newest = newest == Some(chunk);
            let end = if is_newest {
                self.cursor.position()
            } else {
                chunk.end()
            };
            let start = chunk.base() + NOTE;
            if !is_newest {
                f.write_char('\n')?;
            }
            let mut strip = Strip::new(f, start);
            for part in [Piece::Used(end - start), Piece::Free(chunk.end() - end)] {
                if part.bytes() > 0 {
                    strip.push(part)?;
                }
            }
            strip.finish()?;
        }
        Ok(())
    }
}
