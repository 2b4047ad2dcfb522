//! A buddy system in plain text: its blocks in a row.

use core::fmt::{self, Write};

use crate::pools::buddy::Buddy;
use crate::pools::buddy::check::Block;
use crate::sharing::share::Share;
use crate::words::draw::{Columns, WIDTH};

/// Equal neighbours: where the first of them is, and how many they are.
struct Run {
    at: usize,
    block: Block,
    count: usize,
}

impl<H: Share> Buddy<H> {
    fn draw(&self, to: &mut Columns<'_, '_>, run: &Run) -> fmt::Result {
        let Run { at, block, count } = *run;
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
        let base = self.region.base();
        let mut run: Option<Run> = None;
        for found in self.blocks() {
            match (&mut run, found) {
                (Some(run), Ok((_, block))) if run.block == block => run.count += 1,
                (_, found) => {
                    if let Some(run) = run.take() {
                        self.draw(&mut to, &run)?;
                    }
                    match found {
                        Ok((start, block)) => {
                            let (at, count) = (base + start, 1);
                            run = Some(Run { at, block, count });
                        }
                        Err(at) => return write!(to, " {}", self.pool.damage(at)),
                    }
                }
            }
        }
        run.map_or(Ok(()), |run| self.draw(&mut to, &run))
    }
}
