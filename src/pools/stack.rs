//! A pool that takes back first what it handed out last.
//!
//! # Safety
//!
//! Pieces stand one behind the other up to the top, which falls only over the last of them. Where each begins
//! and starts is kept beside the pieces, so nothing written into them changes it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::pools::bit_tree::BitTree;
use crate::pools::flags::Flags;
use crate::pools::kind::{self, Kind};
use crate::pools::meter::Meter;
use crate::pools::pool::Pool;
use crate::pools::region::{Place, Region};
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse, Shortage};
use crate::words::size::{UNIT, align_up};
use crate::words::usage::{Measure, Usage};

mod check;
pub(crate) mod mark;

/// A stack: pieces one on the other in one block; the last one in goes out first.
///
/// Sizes are rounded up to 8, addresses to 8 and to the layout's alignment; beyond that a piece costs no room,
/// for nothing stands between pieces. What the stack knows of them, two bits for 8 bytes, is beside them: the
/// heap's block is a thirty-second larger than asked for. Every call takes O(1) with a factor that grows by one
/// with every 64-fold size.
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{Heap, Kind, LocalHeap, Misuse, Pool, Reserve, Stack, Tag};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let stack = Stack::new(Pool::new(&heap, Tag::named("frames")), 1024)?;
/// let layout = Layout::new::<[u64; 4]>();
/// let (one, two) = (stack.allocate(layout)?.cast(), stack.allocate(layout)?.cast());
///
/// // SAFETY: nobody uses them.
/// let refused = unsafe { stack.deallocate(one, layout) };
/// let (address, top) = (one.addr().get(), two.addr().get());
/// assert_eq!(refused, Err(Misuse::OutOfOrder { address, top }.into()));
/// // SAFETY: as above.
/// unsafe { stack.deallocate(two, layout)? };
/// unsafe { stack.deallocate(one, layout)? };
/// assert_eq!(stack.usage()?.used, 0);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// Found exactly, with nothing changed: pieces given back out of order or twice, pointers that no piece starts
/// at, and sizes that do not round to the piece's.
///
/// The piece on top grows and shrinks in place, or moves within its place where the new alignment demands it.
/// Pieces below shrink in place, what they leave coming free with the piece above; that they grow is out of
/// order. A value owned by an [`Own`](crate::Own) that is dropped out of order keeps its piece, which then
/// stands in the way of those below, until a [`rewind`](Stack::rewind) or [`reset`](Kind::reset).
#[derive(Debug)]
pub struct Stack<H: Share> {
    /// Address behind the piece on top.
    top: Cell<usize>,
    /// Where the top stood before the piece on top: it starts there, or behind what its alignment took.
    begin: Cell<usize>,
    /// Bytes that a request may have.
    limit: usize,
    region: Region,
    /// The granules at which the top stood when a piece was put on.
    begins: BitTree,
    /// The granules at which pieces start.
    starts: Flags,
    meter: Meter,
    pool: Pool<H>,
}

/// What sizes and addresses of pieces are multiples of, in bytes.
const GRANULE: usize = 8;

/// Bytes of a small stack.
const SMALL: usize = 1024;

impl<H: Share> Stack<H> {
    /// A stack of so many bytes, rounded up to 8, in one block of the heap's, which it takes here. O(bytes): it clears
    /// its books, a 32nd of them.
    ///
    /// # Errors
    ///
    /// As for [`Pool`]'s [`allocate`](Kind::allocate); nothing is left behind.
    pub fn new(pool: Pool<H>, bytes: usize) -> Result<Self, Error> {
        let books =
            |granules| (BitTree::words(granules) + Flags::words(granules)) * size_of::<u64>();
        let mut region = Region::take(&pool, [bytes, GRANULE, UNIT], books)?;
        let granules = region.bytes() / GRANULE;
        Ok(Self {
            top: Cell::new(region.base()),
            begin: Cell::new(region.base()),
            limit: region.bytes(),
            begins: BitTree::new(region.book(BitTree::words(granules)), granules),
            starts: Flags::new(region.book(Flags::words(granules))),
            meter: pool.meter_of(Measure::Bytes, region.bytes()),
            region,
            pool,
        })
    }

    /// A stack of 1024 bytes, as by [`new`](Stack::new).
    ///
    /// # Errors
    ///
    /// As for [`new`](Stack::new).
    pub fn small(pool: Pool<H>) -> Result<Self, Error> {
        Self::new(pool, SMALL)
    }

    /// The stack, with a limit: a request of more bytes is refused as
    /// [`Oversized`](Shortage::Oversized). Without one, the limit is all the stack has.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes.min(self.region.bytes());
        self
    }

    /// The pool from which it took its block.
    pub fn pool(&self) -> &Pool<H> {
        &self.pool
    }

    #[inline]
    fn granule(&self, address: usize) -> usize {
        (address - self.region.base()) / GRANULE
    }

    #[inline]
    fn address(&self, granule: usize) -> usize {
        self.region.base() + granule * GRANULE
    }

    /// Lets the top fall over the last piece. There is one.
    #[inline]
    fn pop(&self) {
        let (top, begin) = (self.top.get(), self.begin.get());
        let first = self.granule(begin);
        self.starts.fill(first, self.granule(top), false);
        self.begins.unset(first);
        let below = first.checked_sub(1);
        let below = below.and_then(|below| self.begins.last_upto(below));
        self.top.set(begin);
        self.begin.set(self.address(below.unwrap_or(0)));
        self.meter.give(top - begin);
    }

    /// The place of the piece that starts there and was handed out for this layout.
    #[inline]
    fn find(&self, ptr: NonNull<u8>, layout: Layout) -> Result<Place, Error> {
        let (address, top) = (ptr.addr().get(), self.top.get());
        if !self.region.holds(address) {
            return Err(Misuse::NotFromHere { address }.into());
        }
        if address >= top {
            return Err(Misuse::DoubleFree { address }.into());
        }
        let start = self.granule(address);
        if !address.is_multiple_of(GRANULE) || !self.starts.get(start) {
            return Err(Misuse::NotABlock { address }.into());
        }
        let end = if address >= self.begin.get() {
            top
        } else {
            let next = self.starts.next(start + 1, self.granule(top), true);
            let begin = self.begins.last_upto(next);
            // A damaged note tells of none, or of one before the piece.
            let begin = begin.filter(|begin| *begin > start);
            self.address(begin.unwrap_or(next))
        };
        let (claimed, usable) = (layout.size(), end - address);
        if align_up(claimed, GRANULE) != Some(usable) {
            return Err(Misuse::SizeMismatch {
                address,
                claimed,
                usable,
            }
            .into());
        }
        let claimed = layout.align();
        if !address.is_multiple_of(claimed) {
            return Err(Misuse::AlignMismatch { address, claimed }.into());
        }
        let start = address;
        Ok(Place { start, end })
    }

    /// The error for a piece that is not on top.
    #[cold]
    fn out_of_order(&self, address: usize) -> Error {
        let top = self.starts.last_before(self.granule(self.top.get()));
        let top = top.map_or(0, |top| self.address(top));
        Misuse::OutOfOrder { address, top }.into()
    }

    /// The error for a request that finds no room from an address on.
    #[cold]
    fn refused(&self, layout: Layout) -> Error {
        self.meter.fail();
        let most = self.limit;
        let cause = if layout.size() > most {
            Shortage::Oversized { most }
        } else {
            self.region.shortage(layout, GRANULE, self.meter.used())
        };
        self.pool.refusal(layout, cause)
    }

    /// Where a request goes from an address on.
    #[inline]
    fn place(&self, from: usize, layout: Layout) -> Option<Place> {
        let place = self.region.place(from, layout, GRANULE)?;
        (layout.size() <= self.limit).then_some(place)
    }

    #[cold]
    fn allocate_elsewhere(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.pool.passes() {
            return self.pool.allocate(layout);
        }
        Err(self.refused(layout))
    }

    /// Makes a piece larger or smaller in its place, or moves it there for its alignment.
    ///
    /// # Safety
    ///
    /// As for [`Kind::grow`].
    unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let was = self.find(ptr, kind::at_least_one(old))?;
        let aligned = was.start.is_multiple_of(new.align());
        if was.start < self.begin.get() {
            return self.resize_below(was, new, aligned);
        }
        let from = if aligned { was.start } else { self.begin.get() };
        let place = self.place(from, kind::at_least_one(new));
        let place = place.ok_or_else(|| self.refused(new))?;
        let piece = self.region.piece(place.start, new.size());
        if !aligned {
            let bytes = old.size().min(new.size());
            // SAFETY: the caller's piece, and its new place, which overlaps no other piece.
            unsafe { ptr.copy_to(piece.cast(), bytes) };
            self.starts.put(self.granule(was.start), false);
            self.starts.put(self.granule(place.start), true);
        }
        self.top.set(place.end);
        self.meter.resize(was.end, place.end);
        Ok(piece)
    }

    /// Makes a piece that is not on top smaller: the piece above begins where it ends then.
    #[cold]
    fn resize_below(&self, was: Place, new: Layout, aligned: bool) -> Result<NonNull<[u8]>, Error> {
        let place = self
            .region
            .place(was.start, kind::at_least_one(new), GRANULE);
        let place = place.filter(|place| aligned && place.end <= was.end);
        let end = place.ok_or_else(|| self.out_of_order(was.start))?.end;
        self.begins.unset(self.granule(was.end));
        self.begins.set(self.granule(end));
        if self.begin.get() == was.end {
            self.begin.set(end);
        }
        Ok(self.region.piece(was.start, new.size()))
    }
}

// SAFETY: a piece lies behind the top's old place and before its new one, which is within the region; the top
// falls only over a last piece that was given back, or under an exclusive borrow. A resized piece stays within
// where it was or behind it, up to the top.
unsafe impl<H: Share> Kind for Stack<H> {
    #[inline]
    fn allocate(&self, asked: Layout) -> Result<NonNull<[u8]>, Error> {
        let layout = kind::at_least_one(asked);
        let begin = self.top.get();
        let Some(Place { start, end }) = self.place(begin, layout) else {
            return self.allocate_elsewhere(asked);
        };
        self.begins.set(self.granule(begin));
        self.starts.put(self.granule(start), true);
        self.begin.set(begin);
        self.top.set(end);
        self.meter.take(end - begin);
        Ok(self.region.piece(start, asked.size()))
    }

    /// The piece on top makes room again; another is [`Misuse::OutOfOrder`].
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.deallocate(ptr, layout) };
        }
        let place = self.find(ptr, kind::at_least_one(layout))?;
        if place.start < self.begin.get() {
            return Err(self.out_of_order(place.start));
        }
        self.pop();
        Ok(())
    }

    /// The piece on top grows in its place; another is [`Misuse::OutOfOrder`].
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() < old.size() {
            return Err(kind::wrong_way(old, new));
        }
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.grow(ptr, old, new) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.resize(ptr, old, new) }
    }

    /// In place. What a piece below the top leaves comes free with the piece above.
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() > old.size() {
            return Err(kind::wrong_way(old, new));
        }
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.shrink(ptr, old, new) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.resize(ptr, old, new) }
    }

    /// Keeps its block. O(bytes / 512).
    fn reset(&mut self) -> Result<(), Error> {
        if self.pool.passes() {
            return self.pool.reset();
        }
        self.begins.clear();
        self.starts.clear();
        self.top.set(self.region.base());
        self.begin.set(self.region.base());
        self.meter.reset();
        Ok(())
    }

    /// Whether the address lies among its bytes for pieces. O(1).
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        if self.pool.passes() {
            return self.pool.contains(ptr);
        }
        Ok(self.region.holds(ptr.addr().get()))
    }

    /// Checks what it notes of its pieces, O(bytes / 512 + pieces), and then as [`Pool`] does.
    fn check(&self) -> Result<(), Error> {
        if !self.pool.passes() {
            self.check_books().map_err(|at| self.pool.damage(at))?;
        }
        self.pool.check()
    }

    fn usage(&self) -> Result<Usage, Error> {
        if self.pool.passes() {
            return self.pool.usage();
        }
        Ok(self.meter.usage())
    }
}
