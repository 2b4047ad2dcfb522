//! A bounded range of memory: the pieces first, the books of the kind that divides it behind them.
//!
//! # Safety
//!
//! The chunk is the pool's own. Pieces lie in its first bytes, books one behind the other in what follows.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::pools::book::{Book, Number};
use crate::pools::chunk::Chunk;
use crate::pools::pool::Pool;
use crate::sharing::share::Share;
use crate::words::error::{Error, OutOfMemory, Shortage};
use crate::words::size::{UNIT, align_up};

/// A range of memory for pieces, and books beside it that no piece reaches.
#[derive(Debug)]
pub(crate) struct Region {
    chunk: Chunk,
    /// Bytes for pieces, from the start of the chunk.
    bytes: usize,
    /// Bytes behind them that books have.
    booked: usize,
}

/// Where a piece stands, as addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Region {
    /// A region in a chunk of the pool's, so aligned, with so many bytes for pieces, rounded up to whole
    /// granules, and what the books of so many granules take; without memory if the pool passes everything
    /// through.
    pub(crate) fn take<H: Share>(
        pool: &Pool<H>,
        [bytes, granule, align]: [usize; 3],
        books: impl FnOnce(usize) -> usize,
    ) -> Result<Self, Error> {
        debug_assert!(granule.is_multiple_of(8), "books of words follow");
        if pool.passes() {
            return Ok(Self {
                chunk: Chunk::none(),
                bytes: 0,
                booked: 0,
            });
        }
        let measure = || {
            let pieces = align_up(bytes.max(1), granule)?;
            let whole = pieces.checked_add(books(pieces / granule))?;
            let whole = Layout::from_size_align(align_up(whole, UNIT)?, align).ok()?;
            Some((pieces, whole))
        };
        let (pieces, whole) = measure().ok_or(OutOfMemory {
            tag: pool.tag(),
            size: bytes,
            align,
            cause: Shortage::TooLarge,
        })?;
        Ok(Self {
            chunk: pool.take_chunk(whole)?,
            bytes: pieces,
            booked: 0,
        })
    }

    /// The next book, behind those taken before; without numbers if there is no room for so many.
    pub(crate) fn book<T: Number>(&mut self, count: usize) -> Book<T> {
        let at = self.end() + self.booked;
        let bytes = count.saturating_mul(size_of::<T>());
        let fits = bytes <= self.chunk.end() - at && at.is_multiple_of(align_of::<T>());
        debug_assert!(fits || self.bytes == 0, "room for the books was asked for");
        let (bytes, count) = if fits { (bytes, count) } else { (0, 0) };
        self.booked += bytes;
        let start = if count > 0 {
            self.chunk.pointer(at).cast()
        } else {
            NonNull::dangling()
        };
        // SAFETY: aligned, in the chunk, behind the pieces, and behind all books taken before; or no numbers.
        unsafe { Book::new(start, count) }
    }

    /// Address of its first byte.
    #[inline]
    pub(crate) fn base(&self) -> usize {
        self.chunk.base()
    }

    /// Bytes for pieces.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Address behind the last byte for pieces.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.chunk.base() + self.bytes
    }

    /// Whether a piece may have a byte there.
    #[inline]
    pub(crate) fn holds(&self, address: usize) -> bool {
        address.wrapping_sub(self.base()) < self.bytes
    }

    /// The piece of so many bytes at an address in it.
    #[inline]
    pub(crate) fn piece(&self, at: usize, bytes: usize) -> NonNull<[u8]> {
        debug_assert!(
            at >= self.base() && at + bytes <= self.end(),
            "a piece lies in its region"
        );
        self.chunk.piece(at, bytes)
    }

    /// The first place for a piece at or behind an address of the region, in whole granules.
    #[inline]
    pub(crate) fn place(&self, from: usize, layout: Layout, granule: usize) -> Option<Place> {
        let start = align_up(from, layout.align().max(granule))?;
        let size = align_up(layout.size(), granule)?;
        let end = start.checked_add(size)?;
        (end <= self.end()).then_some(Place { start, end })
    }

    /// What is lacking for a request that found no place: room, or a region large or aligned enough.
    #[cold]
    pub(crate) fn shortage(&self, layout: Layout, granule: usize, used: usize) -> Shortage {
        let (base, most) = (self.base(), self.bytes);
        if layout.size() > most {
            return Shortage::Oversized { most };
        }
        if self.place(base, layout, granule).is_some() {
            return Shortage::Full { total: most, used };
        }
        let fits = |align: &usize| {
            let layout = Layout::from_size_align(layout.size(), *align);
            layout.is_ok_and(|layout| self.place(base, layout, granule).is_some())
        };
        let mut aligns = core::iter::successors(Some(layout.align()), |align| Some(align >> 1));
        let most = aligns.find(|align| *align <= granule || fits(align));
        Shortage::Overaligned {
            most: most.unwrap_or(granule),
        }
    }
}
