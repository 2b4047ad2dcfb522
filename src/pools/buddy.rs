//! A pool that halves its memory until a piece fits, and joins the halves again.
//!
//! # Safety
//!
//! A piece is a node that was free, or the lower half of a half of one, and no node is free while a piece that
//! overlaps it is in use. All this is kept beside the pieces, so nothing written into them changes it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::pools::book::Book;
use crate::pools::kind::{self, Kind};
use crate::pools::meter::Meter;
use crate::pools::orders::Orders;
use crate::pools::pool::Pool;
use crate::pools::region::Region;
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse, OutOfMemory, Shortage};
use crate::words::size::UNIT;
use crate::words::usage::{Measure, Usage};

mod check;
mod drawing;

/// A buddy system: blocks of two to the n bytes, halved and joined.
///
/// K. C. Knowlton, *A fast storage allocator* (1965); D. E. Knuth, *The Art of Computer Programming*, section
/// 2.5, algorithms R and S. A request takes the lowest of the smallest free blocks that fit, and halves it as
/// long as a half fits; a block given back joins its other half if that is free, and so on. A block is aligned
/// to its size, and to 4096 bytes at most.
///
/// What is known of the blocks is beside them, a byte and a quarter for each smallest block: nothing written
/// into a free block does harm. Requests and returns take O(log blocks), with one word read or written for each
/// half that comes or goes and its summaries.
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{Buddy, Heap, Kind, LocalHeap, Pool, Reserve, Tag};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let buddy = Buddy::new(Pool::new(&heap, Tag::named("pages")), 1024, 64)?;
/// let piece = buddy.allocate(Layout::new::<[u8; 100]>())?;
/// assert!(buddy.to_string().ends_with(" |128|[128]|[256]|[512]|"));
///
/// // SAFETY: nobody uses it.
/// unsafe { buddy.deallocate(piece.cast(), Layout::new::<[u8; 100]>())? };
/// assert_eq!(buddy.largest_free(), 1024);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// Found exactly, with nothing changed: blocks that are free already, pointers at which no block in use starts,
/// and sizes that another block would have been for.
///
/// Displayed, it draws its blocks by address: those in use by their bytes, free ones in brackets, equal
/// neighbours counted. O(blocks).
#[derive(Debug)]
pub struct Buddy<H: Share> {
    region: Region,
    /// Two to so many bytes are a smallest block.
    shift: u32,
    /// The order of the whole region: it has two to so many smallest blocks.
    top: u32,
    /// Bytes that requests may be aligned to.
    align: usize,
    free: Orders,
    /// For each smallest block at which a block in use starts, that one's order and 1; 0 for others.
    used: Book<u8>,
    meter: Meter,
    pool: Pool<H>,
}

/// Bytes to which the region is aligned at most, and so pieces.
const PAGE: usize = 4096;

impl<H: Share> Buddy<H> {
    /// A buddy system over so many bytes in one block of the heap's, which it takes here, whose smallest blocks
    /// have `smallest` bytes, at least 16. Both are rounded up to powers of two.
    ///
    /// # Errors
    ///
    /// As for [`Pool`]'s [`allocate`](Kind::allocate); nothing is left behind.
    pub fn new(pool: Pool<H>, bytes: usize, smallest: usize) -> Result<Self, Error> {
        let smallest_block = smallest.max(UNIT).checked_next_power_of_two();
        let whole = smallest_block.and_then(|least| bytes.max(least).checked_next_power_of_two());
        let (Some(smallest), Some(bytes)) = (smallest_block, whole) else {
            return Err(OutOfMemory {
                tag: pool.tag(),
                size: bytes,
                align: smallest,
                cause: Shortage::TooLarge,
            }
            .into());
        };
        let shift = smallest.ilog2();
        let top = bytes.ilog2() - shift;
        let align = bytes.min(PAGE);
        let words = Orders::words(top);
        let books = |blocks| words * size_of::<u64>() + blocks;
        let mut region = Region::take(&pool, [bytes, smallest, align], books)?;
        let taken = region.bytes() > 0;
        let free = Orders::new(region.book(words), top);
        if taken {
            free.insert(WHOLE);
        }
        Ok(Self {
            shift,
            top,
            align,
            free,
            used: region.book(if taken { 1 << top } else { 0 }),
            meter: pool.meter_of(Measure::Bytes, region.bytes()),
            region,
            pool,
        })
    }

    /// The pool from which it took its block.
    pub fn pool(&self) -> &Pool<H> {
        &self.pool
    }

    /// Bytes of the largest free block: the most that a request may have now. O(1).
    pub fn largest_free(&self) -> usize {
        let highest = self.free.highest();
        highest.map_or(0, |order| self.bytes(order))
    }

    /// Bytes of a block of an order.
    #[inline]
    fn bytes(&self, order: u32) -> usize {
        1 << (order + self.shift)
    }

    /// The order of the block for a layout of less than 2^63 bytes and so aligned.
    #[inline]
    fn order(&self, layout: Layout) -> u32 {
        let needed = layout.size().max(layout.align());
        let bits = usize::BITS - needed.saturating_sub(1).leading_zeros();
        bits.saturating_sub(self.shift)
    }

    /// The node of an order that starts with a smallest block.
    #[inline]
    fn node(&self, index: usize, order: u32) -> usize {
        ((1 << self.top) + index) >> order
    }

    /// The smallest block with which a node of an order starts.
    #[inline]
    fn index(&self, node: usize, order: u32) -> usize {
        (node << order) - (1 << self.top)
    }

    /// Takes the lowest of the smallest free blocks that are so large, halved as long as it is larger; answers
    /// its first smallest block.
    #[inline]
    fn split(&self, order: u32) -> Option<usize> {
        let mut from = self.free.from(order)?;
        let mut node = self.free.lowest(from)?;
        self.free.remove(node);
        while from > order {
            from -= 1;
            node *= 2;
            self.free.insert(node + 1);
        }
        Some(self.index(node, order))
    }

    /// Makes a node free, joined with its other half if that is free, and so on.
    #[inline]
    fn join(&self, node: usize) {
        let mut node = node;
        // Node 0, beside the whole, is never free.
        while self.free.is_free(node ^ 1) {
            self.free.remove(node ^ 1);
            node /= 2;
        }
        self.free.insert(node);
    }

    /// The first smallest block, and the order, of the piece that starts there and was handed out for this
    /// layout.
    #[inline]
    fn held(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(usize, u32), Error> {
        let offset = ptr.addr().get().wrapping_sub(self.region.base());
        let (index, order) = (offset >> self.shift, self.order(layout));
        let starts = offset & ((1 << self.shift) - 1) == 0;
        match self.used.at(index) {
            Some(code) if starts && u32::from(code.get()) == order + 1 => Ok((index, order)),
            _ => Err(self.refuse(ptr, layout)),
        }
    }

    /// The error for what is no piece, or not one for this layout.
    #[cold]
    fn refuse(&self, ptr: NonNull<u8>, layout: Layout) -> Error {
        let address = ptr.addr().get();
        if !self.region.holds(address) {
            return Misuse::NotFromHere { address }.into();
        }
        let offset = address - self.region.base();
        let index = offset >> self.shift;
        let is_free = |order| self.free.is_free(self.node(index, order));
        if (0..=self.top).any(is_free) {
            return Misuse::DoubleFree { address }.into();
        }
        let code = self.used.at(index).map_or(0, Cell::get);
        let Some(order) = u32::from(code).checked_sub(1) else {
            return Misuse::NotABlock { address }.into();
        };
        if !offset.is_multiple_of(self.bytes(0)) {
            return Misuse::NotABlock { address }.into();
        }
        let claimed = layout.align();
        if !address.is_multiple_of(claimed) {
            return Misuse::AlignMismatch { address, claimed }.into();
        }
        let (claimed, usable) = (layout.size(), self.bytes(order));
        Misuse::SizeMismatch {
            address,
            claimed,
            usable,
        }
        .into()
    }

    /// The way of a request that finds no block.
    #[cold]
    fn allocate_elsewhere(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.pool.passes() {
            return self.pool.allocate(layout);
        }
        self.meter.fail();
        let (total, used) = (self.region.bytes(), self.meter.used());
        let cause = if layout.size() > total {
            Shortage::Oversized { most: total }
        } else if layout.align() > self.align {
            Shortage::Overaligned { most: self.align }
        } else {
            Shortage::Full { total, used }
        };
        Err(self.pool.refusal(layout, cause))
    }

    /// Makes a block of one order one of another where it starts; answers whether it could.
    fn resize(&self, index: usize, old: u32, new: u32) -> bool {
        let halves = |order| (self.node(index, order), self.node(index, order) ^ 1);
        for order in old..new {
            let (lower, upper) = halves(order);
            if lower > upper || !self.free.is_free(upper) {
                return false;
            }
        }
        for order in old..new {
            self.free.remove(halves(order).1);
        }
        for order in new..old {
            self.free.insert(halves(order).1);
        }
        if let Some(code) = self.used.at(index) {
            code.set(new as u8 + 1);
        }
        self.meter.resize(self.bytes(old), self.bytes(new));
        true
    }

    /// A piece made larger or smaller where it starts, if its block can be and is so aligned.
    fn in_place(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<Option<NonNull<[u8]>>, Error> {
        let (index, order) = self.held(ptr, old)?;
        let address = ptr.addr().get();
        let fits = new.align() <= self.align && address.is_multiple_of(new.align());
        if fits && self.resize(index, order, self.order(new)) {
            return Ok(Some(self.region.piece(address, new.size())));
        }
        Ok(None)
    }
}

/// The node that is the whole region.
const WHOLE: usize = 1;

// SAFETY: a piece is a block that was free and is taken, or half of one; halves that are not are made free
// again. Blocks are joined only with free ones.
unsafe impl<H: Share> Kind for Buddy<H> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        let layout = kind::at_least_one(layout);
        let order = self.order(layout);
        if layout.align() > self.align || order > self.top {
            return self.allocate_elsewhere(layout);
        }
        let Some(index) = self.split(order) else {
            return self.allocate_elsewhere(layout);
        };
        let Some(code) = self.used.at(index) else {
            return Err(self.pool.damage(self.region.end()));
        };
        code.set(order as u8 + 1);
        self.meter.take(self.bytes(order));
        let at = self.region.base() + (index << self.shift);
        Ok(self.region.piece(at, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        let layout = kind::at_least_one(layout);
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.deallocate(ptr, layout) };
        }
        let (index, order) = self.held(ptr, layout)?;
        if let Some(code) = self.used.at(index) {
            code.set(0);
        }
        self.join(self.node(index, order));
        self.meter.give(self.bytes(order));
        Ok(())
    }

    /// In place if the block is large enough, or the halves that follow it are free.
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() < old.size() {
            return Err(kind::wrong_way(old, new));
        }
        let (old, new) = (kind::at_least_one(old), kind::at_least_one(new));
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.grow(ptr, old, new) };
        }
        if let Some(piece) = self.in_place(ptr, old, new)? {
            return Ok(piece);
        }
        // SAFETY: the caller's promise.
        unsafe { kind::relocate(self, ptr, old, new) }
    }

    /// In place, unless the new alignment demands a move; halves that are not needed any more come free.
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() > old.size() {
            return Err(kind::wrong_way(old, new));
        }
        let (old, new) = (kind::at_least_one(old), kind::at_least_one(new));
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.shrink(ptr, old, new) };
        }
        if let Some(piece) = self.in_place(ptr, old, new)? {
            return Ok(piece);
        }
        // SAFETY: the caller's promise.
        unsafe { kind::relocate(self, ptr, old, new) }
    }

    /// Keeps its block, all free. O(smallest blocks), a byte each.
    fn reset(&mut self) -> Result<(), Error> {
        if self.pool.passes() {
            return self.pool.reset();
        }
        self.used.clear();
        self.free.clear();
        self.free.insert(WHOLE);
        self.meter.reset();
        Ok(())
    }

    /// Whether the address lies among its blocks. O(1).
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        if self.pool.passes() {
            return self.pool.contains(ptr);
        }
        Ok(self.region.holds(ptr.addr().get()))
    }

    /// Checks what it notes of its blocks, O(smallest blocks), and then as [`Pool`] does.
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
