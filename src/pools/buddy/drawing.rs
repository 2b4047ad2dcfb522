//! A buddy system in plain text: its blocks in a row.

use core::fmt;

use crate::pools::buddy::Buddy;
use crate::pools::buddy::check::State;
use crate::sharing::share::Share;
use crate::words::strip::{Piece, Strip};

impl<H: Share> fmt::Display for Buddy<H> {
    /// Its blocks by address, free ones in brackets; nothing of a pool that passes through.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut strip = Strip::new(f, self.region.base());
        for block in self.blocks(|start, block| self.seen(start, block)) {
            let block = match block {
                Ok((_, block)) => block,
                Err(at) => return strip.fail(self.pool.damage(at)),
            };
            let bytes = self.bytes(block.order);
            strip.push(match block.state {
                State::Used => Piece::Used(bytes),
                State::Free | State::Held => Piece::Free(bytes),
            })?;
        }
        strip.finish()
    }
}
