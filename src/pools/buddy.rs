//! A pool that halves its memory until a piece fits, and joins the halves again.
//!
//! # Safety
//!
//! A piece is a block that was free, or a half, a quarter, ... of one, and no block is free, or in the hand, while a
//! piece that overlaps it is in use. All this is kept beside the pieces, so nothing written into them changes it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::pools::kind::{self, Kind};
use crate::pools::orders::Orders;
use crate::pools::pool::Pool;
use crate::pools::region::Region;
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse, OutOfMemory, Shortage};
use crate::words::size::{UNIT, align_down};
use crate::words::usage::Usage;

mod check;
mod drawing;
mod hand;
mod joined;
mod lazy;
mod tally;

use crate::pools::buddy::hand::Hand;
use crate::pools::buddy::tally::Tally;

/// A buddy system: blocks of two to the n bytes, halved, and joined as late as may be.
///
/// K. C. Knowlton, *A fast storage allocator* (1965); D. E. Knuth, *The Art of Computer Programming*, section
/// 2.5, algorithms R and S; T. P. Lee and R. E. Barkley, *A watermark-based lazy buddy system for kernel memory
/// allocation* (1989). A block is aligned to its size, and to 4096 bytes at most.
///
/// The block that was given back last is kept in hand, one for each power of two that is asked for, and is the
/// next one handed out for it. Else a request takes the lowest of the smallest free blocks that fit, and halves it
/// as long as a half fits; the last half left over is kept in hand, too. What another takes the place of comes
/// free: it joins its other half if that is free, and so on; and if that other is its other half, both do at once.
/// All in hand comes free where a request finds no block, a piece grows in place, or more blocks than ever are
/// needed, and none is kept while the watermark is reached. So no request fails for what is in hand; and what is
/// displayed, counted and answered is as if it were free.
///
/// What is known of the blocks is beside them, a byte and a quarter for each smallest block: nothing written
/// into a free block does harm. Requests and returns take O(1) where the hand serves them, else O(log blocks): a few
/// instructions for each half that comes or goes where its order has one free block or none, else a way through
/// summaries, 64 blocks a bit.
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
/// and sizes that another power of two would have been for.
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
    hand: Hand,
    tally: Tally,
    pool: Pool<H>,
}

/// Bytes to which the region is aligned at most, and so pieces.
const PAGE: usize = 4096;

impl<H: Share> Buddy<H> {
    /// A buddy system over so many bytes in one block of the heap's, which it takes here, whose smallest blocks
    /// have `smallest` bytes, at least 16. Both are rounded up to powers of two. O(smallest blocks): it clears a byte
    /// each.
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
            free.insert(0, top);
        }
        let notes = region.book(if taken { 1 << top } else { 0 });
        Ok(Self {
            shift,
            top,
            align,
            free,
            hand: Hand::new(notes, region.base(), shift),
            tally: Tally::new(pool.tag(), region.bytes(), shift, pool.watermark()),
            region,
            pool,
        })
    }

    /// The pool from which it took its block.
    pub fn pool(&self) -> &Pool<H> {
        &self.pool
    }

    /// Bytes of the largest free block: the most that a request may have now. O(log³ blocks) at most.
    pub fn largest_free(&self) -> usize {
        let held = self.held().map(|(block, order)| self.joined(block, order));
        let highest = self.free.highest().into_iter().chain(held).max();
        highest.map_or(0, |order| self.bytes(order))
    }

    /// Bytes of a block of an order.
    #[inline]
    fn bytes(&self, order: u32) -> usize {
        1 << (order + self.shift)
    }

    /// Two to how many bytes a request of less than 2^63 bytes and so aligned asks for.
    #[inline]
    fn power(layout: Layout) -> u32 {
        let needed = layout.size().max(layout.align());
        usize::BITS - needed.saturating_sub(1).leading_zeros()
    }

    /// The order of the block for a request of a power of two.
    #[inline]
    fn order(&self, power: u32) -> u32 {
        power.saturating_sub(self.shift)
    }

    /// Whether the layout is aligned no more than blocks are.
    #[inline]
    fn aligns(&self, layout: Layout) -> bool {
        layout.align() <= UNIT || layout.align() <= self.align
    }

    /// The piece that starts there and was handed out for this layout: its block and its power.
    fn piece(&self, ptr: NonNull<u8>, layout: Layout) -> Option<(usize, u32)> {
        let block = self.hand.number(ptr.addr().get());
        let power = Self::power(layout);
        let in_use = self.hand.out(block) == Some(power) && !self.hand.holds(block, power);
        in_use.then_some((block, power))
    }

    fn numbers(&self) -> Usage {
        self.tally.usage(self.held_in_all())
    }

    /// The error for what is no piece, or not one for this layout.
    #[cold]
    fn refuse(&self, ptr: NonNull<u8>, layout: Layout) -> Error {
        let address = ptr.addr().get();
        if !self.region.holds(address) {
            return Misuse::NotFromHere { address }.into();
        }
        let within = (address - self.region.base()) >> self.shift;
        let is_free = |order: u32| {
            let block = align_down(within, 1_usize << order);
            self.free.is_free(block, order) || self.is_held(block, order)
        };
        if (0..=self.top).any(is_free) {
            return Misuse::DoubleFree { address }.into();
        }
        let Some(power) = self.hand.out(self.hand.number(address)) else {
            return Misuse::NotABlock { address }.into();
        };
        if self.order(power) > self.top {
            return self.pool.damage(address);
        }
        let claimed = layout.align();
        if !address.is_multiple_of(claimed) {
            return Misuse::AlignMismatch { address, claimed }.into();
        }
        let (claimed, usable) = (layout.size(), 1 << power);
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
        self.tally.fail();
        let (total, used) = (self.region.bytes(), self.numbers().used);
        let cause = if layout.size() > total {
            Shortage::Oversized { most: total }
        } else if layout.align() > self.align {
            Shortage::Overaligned { most: self.align }
        } else {
            Shortage::Full { total, used }
        };
        Err(self.pool.refusal(layout, cause))
    }

    /// What becomes of a piece given back that is none of its own, or for another layout.
    ///
    /// # Safety
    ///
    /// As for [`Kind::deallocate`].
    #[cold]
    unsafe fn deallocate_elsewhere(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.deallocate(ptr, layout) };
        }
        Err(self.refuse(ptr, layout))
    }

    /// Makes a block for one power one for another where it starts; answers whether it could.
    fn resize(&self, block: usize, old: u32, new: u32) -> bool {
        let power = new;
        let (old, new) = (self.order(old), self.order(new));
        if old < new {
            self.settle();
        }
        // There is nothing to join beyond the region, whatever damaged flags say.
        if new > self.top {
            return false;
        }
        // Growing, it is the lower half each time, and the upper one is free.
        let upper = |order: u32| block ^ 1 << order;
        let joins = |order| upper(order) > block && self.free.is_free(upper(order), order);
        if !(old..new).all(joins) {
            return false;
        }
        (old..new).for_each(|order| self.free.remove(upper(order), order));
        (new..old).for_each(|order| self.free.insert(upper(order), order));
        self.hand.note(block, power);
        let (old, new) = (1 << old, 1 << new);
        if new > old {
            self.tally.grow(new - old);
            if self.tally.is_new() {
                self.after_rise(new - old, ());
            }
        } else if new < old {
            self.reopen();
            self.tally.shrink(old - new);
        }
        true
    }

    /// A piece made larger or smaller where it starts, if its block can be and is so aligned.
    fn in_place(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<Option<NonNull<[u8]>>, Error> {
        let piece = self.piece(ptr, old);
        let (block, power) = piece.ok_or_else(|| self.refuse(ptr, old))?;
        let address = ptr.addr().get();
        let fits = new.align() <= self.align && address.is_multiple_of(new.align());
        if fits && self.resize(block, power, Self::power(new)) {
            return Ok(Some(self.region.piece(address, new.size())));
        }
        Ok(None)
    }
}

// SAFETY: a piece is a block that was free and is taken, or half of one; halves that are not are made free
// again. Blocks are joined only with free ones.
unsafe impl<H: Share> Kind for Buddy<H> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        let power = Self::power(layout);
        if self.aligns(layout)
            && let Some(at) = self.hand.take(power).or_else(|| self.take(power))
        {
            return Ok(self.region.piece(at.get(), layout.size()));
        }
        self.allocate_elsewhere(layout)
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if self.give(ptr.addr().get(), Self::power(layout)) {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.deallocate_elsewhere(ptr, layout) }
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
        self.reopen();
        self.hand.clear();
        self.free.clear();
        self.free.insert(0, self.top);
        self.tally.reset(self.held_in_all());
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
        Ok(self.numbers())
    }
}
