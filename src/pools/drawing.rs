//! Pools of slots in plain text: used ones bare, free ones in brackets, equal neighbours counted.

use core::fmt::{self, Write};

use lock_api::RawMutex;

use crate::pools::classes::Classes;
use crate::pools::fixed::Fixed;
use crate::pools::kind::Kind;
use crate::pools::lock_free::LockFree;
use crate::pools::locked::Locked;
use crate::pools::priority::Priority;
use crate::pools::slots::Slots;
use crate::sharing::share::Share;
use crate::words::strip::{Piece, Strip};

impl Slots {
    /// Draws a line for each chunk, the newest first.
    pub(crate) fn draw(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (start, slots)) in self.states().enumerate() {
            if number > 0 {
                f.write_char('\n')?;
            }
            draw(f, start, self.shape().size(), slots)?;
        }
        Ok(())
    }
}

/// Draws equal slots from an address on, of each of which is known whether it is in use.
fn draw(
    f: &mut fmt::Formatter<'_>,
    start: usize,
    bytes: usize,
    slots: impl Iterator<Item = bool>,
) -> fmt::Result {
    let mut strip = Strip::new(f, start);
    for is_used in slots {
        strip.push(match is_used {
            true => Piece::Used(bytes),
            false => Piece::Free(bytes),
        })?;
    }
    strip.finish()
}

impl<H: Share> fmt::Display for Fixed<H> {
    /// A line for each chunk, the newest first. O(slots).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slots().draw(f)
    }
}

impl<H: Share, const N: usize> fmt::Display for Classes<H, N> {
    /// A line for each class, by ascending size. O(slots).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sets().draw(f)
    }
}

impl<H: Share> fmt::Display for Priority<H> {
    /// A line for each level, the most important first. O(slots).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sets().draw(f)
    }
}

impl<H: Share> fmt::Display for LockFree<H> {
    /// Its slots as they are while they are looked at, one after the other. O(slots).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, bytes, slots) = self.states();
        draw(f, start, bytes, slots)
    }
}

impl<K: Kind + fmt::Display, L: RawMutex> fmt::Display for Locked<K, L> {
    /// The pool behind the lock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.look(|kind| kind.fmt(f)) {
            Ok(drawn) => drawn,
            Err(busy) => busy.fmt(f),
        }
    }
}
