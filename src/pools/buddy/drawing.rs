//! A buddy system in plain text: its blocks in a row.

use core::fmt::{self, Write};

use crate::pools::buddy::Buddy;
use crate::pools::buddy::check::Block;
use crate::sharing::share::Share;
use crate::words::draw::{Columns, WIDTH};

impl<H: Share> Buddy<H> {
    /// Draws equal neighbours, the first of a line behind its address.
    fn draw(
        &self,
        to: &mut Columns<'_, '_>,
        at: usize,
        (block, count): (Block, usize),
    ) -> fmt::Result {
        if to.used == 0 {
            write!(to, "{at:#x} |")?;
        }
        let bytes = self.bytes(block.order);
        if block.is_free {
            write!(to, "[{bytes}]")?;
        } else {
            write!(to, "{bytes}")?;
        }
        if count > 1 {
            write!(to, " x{count}")?;
        }
        to.write_char('|')?;
        if to.used >= WIDTH {
            to.write_char('\n')?;
            to.used = 0;
        }
        Ok(())
    }
}

impl<H: Share> fmt::Display for Buddy<H> {
    /// Its blocks by address; nothing of a pool that passes through.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut to = Columns { out: f, used: 0 };
        let mut at = self.region.base();
        let mut run: Option<(Block, usize)> = None;
        for block in self.blocks() {
            match (&mut run, block) {
                (Some((first, count)), Ok(block)) if *first == block => *count += 1,
                (_, block) => {
                    if let Some((first, count)) = run.take() {
                        self.draw(&mut to, at, (first, count))?;
                        at += self.bytes(first.order) * count;
                    }
                    match block {
                        Ok(block) => run = Some((block, 1)),
                        Err(at) => return write!(to, " {}", self.pool.damage(at)),
                    }
                }
            }
        }
        run.map_or(Ok(()), |run| self.draw(&mut to, at, run))
    }
}
