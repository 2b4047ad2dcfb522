//! A pool that puts each piece at the lowest place that fits, and takes it back from there.
//!
//! # Safety
//!
//! Pieces are whole granules that were not in use. Which are in use, and where pieces start, is kept beside the
//! pieces, so nothing written into them changes it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::pools::flags::Flags;
use crate::pools::kind::{self, Kind};
use crate::pools::meter::Meter;
use crate::pools::pool::Pool;
use crate::pools::region::{Place, Region};
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse};
use crate::words::size::{UNIT, align_up};
use crate::words::usage::{Measure, Usage};

mod check;

/// One block, divided into pieces of any size and alignment that come back in any order.
///
/// A request takes the lowest free place that fits: first fit by address, as D. E. Knuth has it in *The Art of
/// Computer Programming*, section 2.5. Sizes and addresses are rounded up to 16 bytes, a granule. Nothing
/// stands in front of a piece, neighbours that are free are one by themselves, and what alignment skips stays
/// free. What is known of the pieces is beside them, two bits a granule: the heap's block is a sixty-fourth
/// larger than asked for.
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{FreeList, Heap, Kind, LocalHeap, Pool, Reserve, Tag};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let list = FreeList::new(Pool::new(&heap, Tag::named("parts")), 1024)?;
/// let (small, large) = (Layout::new::<[u8; 100]>(), Layout::new::<[u8; 200]>());
/// let one = list.allocate(small)?.cast();
/// let two = list.allocate(small)?.cast();
/// let last = list.allocate(small)?.cast::<u8>();
///
/// // SAFETY: nobody uses them.
/// unsafe { list.deallocate(two, small)? };
/// unsafe { list.deallocate(one, small)? };
/// assert_eq!(list.allocate(large)?.cast(), one, "both together");
/// assert_eq!(list.top(), last.addr().get() + 112);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// A request looks at the flags from the lowest free granule up to where it fits, 64 at a time, and stops at
/// each hole that is too small: O(bytes / 1024 + holes). Giving back takes O(bytes of the piece / 1024), and if
/// it was the highest as long again for what is free below.
///
/// Found exactly, with nothing changed: what is free already, wholly or in part, pointers that no piece starts
/// at, and sizes that do not round to the piece's.
#[derive(Debug)]
pub struct FreeList<H: Share> {
    /// The granule below which all are in use.
    low: Cell<usize>,
    /// The granule behind the highest that is in use.
    high: Cell<usize>,
    region: Region,
    /// The granules in use.
    used: Flags,
    /// The granules at which pieces start.
    starts: Flags,
    meter: Meter,
    pool: Pool<H>,
}

/// What sizes and addresses of pieces are multiples of, in bytes.
const GRANULE: usize = UNIT;

/// Bytes of a small list.
const SMALL: usize = 1024;

impl<H: Share> FreeList<H> {
    /// A list of so many bytes, rounded up to 16, in one block of the heap's, which it takes here. O(bytes): it clears
    /// its books, a 64th of them.
    ///
    /// # Errors
    ///
    /// As for [`Pool`]'s [`allocate`](Kind::allocate); nothing is left behind.
    pub fn new(pool: Pool<H>, bytes: usize) -> Result<Self, Error> {
        let books = |granules| 2 * Flags::words(granules) * size_of::<u64>();
        let mut region = Region::take(&pool, [bytes, GRANULE, UNIT], books)?;
        let words = Flags::words(region.bytes() / GRANULE);
        Ok(Self {
            low: Cell::new(0),
            high: Cell::new(0),
            used: Flags::new(region.book(words)),
            starts: Flags::new(region.book(words)),
            meter: pool.meter_of(Measure::Bytes, region.bytes()),
            region,
            pool,
        })
    }

    /// A list of 1024 bytes, as by [`new`](FreeList::new).
    ///
    /// # Errors
    ///
    /// As for [`new`](FreeList::new).
    pub fn small(pool: Pool<H>) -> Result<Self, Error> {
        Self::new(pool, SMALL)
    }

    /// The pool from which it took its block.
    pub fn pool(&self) -> &Pool<H> {
        &self.pool
    }

    /// Address of the first byte that pieces may have. Without meaning in a pool that passes through.
    pub fn base(&self) -> usize {
        self.region.base()
    }

    /// Address behind the highest piece in use, rounded up to 16; [`base`](FreeList::base) if there is none.
    /// All from there on is free. O(1).
    pub fn top(&self) -> usize {
        self.address(self.high.get())
    }

    /// Bytes in use, with what rounding costs. O(1).
    pub fn used(&self) -> usize {
        if self.pool.passes() {
            return self.pool.held();
        }
        self.meter.used()
    }

    fn granules(&self) -> usize {
        self.region.bytes() / GRANULE
    }

    #[inline]
    fn granule(&self, address: usize) -> usize {
        (address - self.region.base()) / GRANULE
    }

    #[inline]
    fn address(&self, granule: usize) -> usize {
        self.region.base() + granule * GRANULE
    }

    /// The lowest free place for a request.
    #[inline]
    fn find(&self, layout: Layout) -> Option<Place> {
        let granules = self.granules();
        let mut at = self.used.next(self.low.get(), granules, false);
        self.low.set(at);
        loop {
            let place = self.region.place(self.address(at), layout, GRANULE)?;
            let end = self.granule(place.end);
            let taken = self.used.next(self.granule(place.start), end, true);
            if taken == end {
                return Some(place);
            }
            at = self.used.next(taken, granules, false);
        }
    }

    /// Puts granules in use or out of it, and keeps the lowest and highest right.
    #[inline]
    fn fill(&self, from: usize, to: usize, up: bool) {
        self.used.fill(from, to, up);
        if up {
            self.high.set(self.high.get().max(to));
        } else {
            self.low.set(self.low.get().min(from));
            if to == self.high.get() && from < to {
                let last = self.used.last_before(from);
                self.high.set(last.map_or(0, |last| last + 1));
            }
        }
    }

    /// The place of the piece that starts there and was handed out for this layout.
    #[inline]
    fn held(&self, ptr: NonNull<u8>, layout: Layout) -> Result<Place, Error> {
        let address = ptr.addr().get();
        if !self.region.holds(address) {
            return Err(Misuse::NotFromHere { address }.into());
        }
        let start = self.granule(address);
        if !self.used.get(start) {
            return Err(Misuse::DoubleFree { address }.into());
        }
        if !address.is_multiple_of(GRANULE) || !self.starts.get(start) {
            return Err(Misuse::NotABlock { address }.into());
        }
        let place = self.region.place(address, layout, GRANULE);
        match place {
            Some(place) if place.start == address && self.ends(start, place.end) => Ok(place),
            _ => Err(self.mismatch(address, layout)),
        }
    }

    /// Whether the piece that starts at a granule ends at an address.
    #[inline]
    fn ends(&self, start: usize, end: usize) -> bool {
        let end = self.granule(end);
        let is_one = self.used.next(start, end, false) == end
            && self.starts.next(start + 1, end, true) == end;
        // Behind it something else starts, or nothing is in use.
        is_one && (self.starts.get(end) || !self.used.get(end) || end == self.granules())
    }

    /// The error for a layout that is not the piece's.
    #[cold]
    fn mismatch(&self, address: usize, layout: Layout) -> Error {
        let (start, last) = (self.granule(address), self.high.get());
        let end = self.used.next(start, last, false);
        let end = self.starts.next(start + 1, end, true);
        // By a damaged note it may end before it starts.
        let usable = self.address(end).saturating_sub(address);
        let claimed = layout.size();
        if align_up(claimed, GRANULE) != Some(usable) {
            return Misuse::SizeMismatch {
                address,
                claimed,
                usable,
            }
            .into();
        }
        let claimed = layout.align();
        Misuse::AlignMismatch { address, claimed }.into()
    }

    #[cold]
    fn allocate_elsewhere(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.pool.passes() {
            return self.pool.allocate(layout);
        }
        self.meter.fail();
        let cause = self.region.shortage(layout, GRANULE, self.meter.used());
        Err(self.pool.refusal(layout, cause))
    }

    /// Makes a piece larger or smaller where it is, if what follows is free; answers whether it could.
    fn resize(&self, was: Place, new: Layout) -> bool {
        let Some(place) = self.region.place(was.start, new, GRANULE) else {
            return false;
        };
        let (old, end) = (self.granule(was.end), self.granule(place.end));
        if place.start != was.start || self.used.next(old, end, true) < end {
            return false;
        }
        self.fill(end, old, false);
        self.fill(old, end, true);
        self.meter.resize(was.end, place.end);
        true
    }
}

// SAFETY: a piece is granules of the region that were not in use and are until it is given back; a resized one
// takes only such, and gives up only its own.
unsafe impl<H: Share> Kind for FreeList<H> {
    #[inline]
    fn allocate(&self, asked: Layout) -> Result<NonNull<[u8]>, Error> {
        let layout = kind::at_least_one(asked);
        let Some(Place { start, end }) = self.find(layout) else {
            return self.allocate_elsewhere(asked);
        };
        self.starts.put(self.granule(start), true);
        self.fill(self.granule(start), self.granule(end), true);
        self.meter.take(end - start);
        Ok(self.region.piece(start, asked.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.deallocate(ptr, layout) };
        }
        let Place { start, end } = self.held(ptr, kind::at_least_one(layout))?;
        self.starts.put(self.granule(start), false);
        self.fill(self.granule(start), self.granule(end), false);
        self.meter.give(end - start);
        Ok(())
    }

    /// In place if so much behind the piece is free.
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
        let was = self.held(ptr, kind::at_least_one(old))?;
        if self.resize(was, kind::at_least_one(new)) {
            return Ok(self.region.piece(was.start, new.size()));
        }
        // SAFETY: the caller's promise.
        unsafe { kind::relocate(self, ptr, old, new) }
    }

    /// In place, unless the new alignment demands a move.
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
        let was = self.held(ptr, kind::at_least_one(old))?;
        if self.resize(was, kind::at_least_one(new)) {
            return Ok(self.region.piece(was.start, new.size()));
        }
        // SAFETY: the caller's promise.
        unsafe { kind::relocate(self, ptr, old, new) }
    }

    /// Keeps its block. O(bytes / 1024).
    fn reset(&mut self) -> Result<(), Error> {
        if self.pool.passes() {
            return self.pool.reset();
        }
        self.used.clear();
        self.starts.clear();
        self.low.set(0);
        self.high.set(0);
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

    /// Checks what it notes of its pieces, O(bytes / 1024 + pieces), and then as [`Pool`] does.
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
