//! Sizes of blocks, and where a block stands in free memory.

use core::alloc::Layout;

use crate::words::header::Header;

/// Bytes in a unit: every block's address and size is a multiple of it.
pub const UNIT: usize = 16;

/// Bytes of a line of the processor's caches.
pub(crate) const LINE: usize = 64;

/// Bytes of a block's header.
pub const HEADER: usize = size_of::<Header>();

/// Bytes of the smallest block: a header and one unit of payload.
pub const SMALLEST: usize = HEADER + UNIT;

/// The next multiple of `align`, a power of two, at or above `value`; `None` where that would wrap.
#[inline]
pub(crate) const fn align_up(value: usize, align: usize) -> Option<usize> {
    match value.checked_add(align - 1) {
        Some(sum) => Some(sum & !(align - 1)),
        None => None,
    }
}

/// The last multiple of `align`, a power of two, at or below `value`.
#[inline]
pub(crate) const fn align_down(value: usize, align: usize) -> usize {
    value & !(align - 1)
}

/// Whether `value` is a multiple of `align`, a power of two, without a division.
#[inline]
pub(crate) const fn is_aligned(value: usize, align: usize) -> bool {
    value & (align - 1) == 0
}

/// What an allocation needs of the row: a block of so many bytes whose payload is so aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    size: usize,
    align: usize,
}

impl Fit {
    /// The block for a request: payload rounded up to whole units, at least one, and the header.
    /// `None` where no address space could hold it.
    #[inline]
    pub fn of(layout: Layout) -> Option<Self> {
        let payload = align_up(layout.size().max(1), UNIT)?;
        let size = payload.checked_add(HEADER)?;
        if size > isize::MAX as usize {
            return None;
        }
        let align = layout.align().max(UNIT);
        Some(Self { size, align })
    }

    /// Bytes of the block, header included.
    #[inline]
    pub const fn size(self) -> usize {
        self.size
    }

    /// Alignment of the payload in bytes, at least a unit.
    #[inline]
    pub const fn align(self) -> usize {
        self.align
    }

    /// Where the block stands at the earliest in memory that starts at `start`.
    ///
    /// What is left in front of it must be a block of its own or nothing, so the answer is `start`
    /// itself or at least [`SMALLEST`] bytes behind it. `None` beyond the address space.
    #[inline]
    pub const fn place(self, start: usize) -> Option<usize> {
        let Some(first) = start.checked_add(HEADER) else {
            return None;
        };
        if first & (self.align - 1) == 0 {
            return Some(start);
        }
        let Some(first) = first.checked_add(SMALLEST) else {
            return None;
        };
        match align_up(first, self.align) {
            Some(payload) => Some(payload - HEADER),
            None => None,
        }
    }

    /// Whether the block stands at the very start of memory that starts at `start`.
    #[inline]
    const fn stands(self, start: usize) -> bool {
        self.align == UNIT || start.wrapping_add(HEADER) & (self.align - 1) == 0
    }

    /// Bytes left in front of the block in memory that starts at `start` and holds it.
    #[inline]
    pub(crate) const fn in_front(self, start: usize) -> usize {
        if self.stands(start) {
            0
        } else {
            self.moved_up(start)
        }
    }

    #[cold]
    const fn moved_up(self, start: usize) -> usize {
        match self.place(start) {
            Some(at) => at - start,
            None => 0,
        }
    }

    /// Where the block ends when it is placed in memory that starts at `start`.
    #[inline]
    pub const fn end(self, start: usize) -> Option<usize> {
        match self.place(start) {
            Some(at) => at.checked_add(self.size),
            None => None,
        }
    }

    /// Whether the block fits into `size` bytes that start at `start`.
    #[inline]
    pub const fn fits(self, start: usize, size: usize) -> bool {
        if self.stands(start) {
            return self.size <= size;
        }
        match self.end(start) {
            Some(end) => end - start <= size,
            None => false,
        }
    }
}
