//! Whether a piece is in use where somebody gives one back, and what is there otherwise.

use core::alloc::Layout;

use crate::pools::chunk::Chunk;
use crate::pools::size_classes::class::Class;
use crate::pools::size_classes::{SizeClasses, areas, map};
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse};
use crate::words::size::UNIT;

/// What was found in place of a piece in use of some class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// No piece starts there.
    Nothing,
    /// A free piece.
    Free,
    /// A piece of so many bytes.
    OfBytes(usize),
    /// A piece that has not the class's alignment.
    Unaligned,
}

impl<H: Share> SizeClasses<H> {
    /// Whether the map knows a piece of this class in use there; else what is wrong. The map tells of all pieces
    /// up to `top`.
    #[inline]
    pub(super) fn held(
        &self,
        chunk: Chunk,
        at: usize,
        top: usize,
        class: Class,
    ) -> Result<(), Held> {
        if !at.is_multiple_of(UNIT) || at >= top || at < areas::first(chunk) {
            return Err(Held::Nothing);
        }
        match map::state(chunk, at) {
            map::USED => {}
            map::FREE => return Err(Held::Free),
            _ => return Err(Held::Nothing),
        }
        let usable = map::next(chunk, at, top) - at;
        if usable != class.bytes() {
            return Err(Held::OfBytes(usable));
        }
        if !at.is_multiple_of(class.align()) {
            return Err(Held::Unaligned);
        }
        Ok(())
    }

    /// The error for what was found in place of a piece in use.
    #[cold]
    pub(super) fn misuse(&self, found: Held, address: usize, layout: Layout) -> Error {
        match found {
            Held::Nothing => Misuse::NotABlock { address },
            Held::Free => Misuse::DoubleFree { address },
            Held::OfBytes(usable) => Misuse::SizeMismatch {
                address,
                claimed: layout.size(),
                usable,
            },
            Held::Unaligned => Misuse::AlignMismatch {
                address,
                claimed: layout.align(),
            },
        }
        .into()
    }
}
