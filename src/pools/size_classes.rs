//! A pool whose pieces come from a cursor, and go back to a list for each size class.
//!
//! # The theory
//!
//! A **chunk** is a block of the heap's: pieces, one behind the other, and notes about them, in front of the first and
//! behind the last, where no piece ever is. The **cursor** moves through the open chunk; each piece that it passes has
//! the size of its **class**, and an entry in the **log**, which grows down. A piece that is given back is free and waits on the list of its class,
//! in front of the cursor. Pieces neither split nor merge. The **map** is made from the log when a piece of a chunk is
//! first given back, but for the last before the cursor: over that the cursor moves back.
//!
//! # Invariants
//!
//! - C1 Pieces tile every chunk that was opened since the last reset, from its first up to the cursor, or up to its map
//!   once another was opened: what is skipped for an alignment, or left over at the end, becomes free
//!   pieces when the map is made.
//! - C2 The log tells of all pieces in order; the map, where it is made, tells where each starts and whether it
//!   is in use. Pieces of which it does not tell are in use, or were left out and are on no list.
//! - C3 Every free piece of which the map tells is on the list of a class of its size and alignment.
//! - C4 What is in use is the cursor less the floor, in bytes. Requests served are the tally less the log's end.
//! - C5 The verge is where the pieces of the open chunk must end; it is 0 without one, and where a piece is on a list or
//!   somebody is to be called. The log has room for an entry for each unit up to there.
//!
//! # Safety
//!
//! A piece is handed out when the cursor passes it (C1), or when its state in the map changes from free to in
//! use (C2): so no two overlap, whatever stands in free pieces. A piece is taken back only if the map says that
//! it starts there, is in use, and is of its class's size, or the log says that of the last. The map is made from the
//! log, if that tells of pieces up to where they end. Neither lies where a piece is or was.
#![allow(unsafe_code)]

mod areas;
mod check;
pub(crate) mod class;
mod cursor;
mod drawing;
mod first;
mod held;
mod lists;
mod log;
mod map;
mod resize;
mod shelf;
mod supply;
mod survey;
mod walk;

use core::alloc::Layout;
use core::cell::Cell;
use core::num::NonZero;
use core::ptr::NonNull;

use crate::pools::kind::{self, Kind};
use crate::pools::pool::Pool;
use crate::pools::size_classes::class::{Class, Small};
use crate::pools::size_classes::lists::{Lists, Spot};
use crate::pools::size_classes::shelf::Shelf;
use crate::sharing::share::Share;
use crate::words::error::Error;
use crate::words::usage::{Measure, Usage};

/// An arena that takes single objects back: a cursor through chunks that grow, and a list of free pieces
/// for each size class in front of it.
///
/// As dense as an arena but for the rounding to classes (steps of 16 bytes to 128, then four to a doubling, to
/// 32 KiB) and, of each chunk, a 17th and a 64th, which are set apart for notes and touched only for objects that are
/// there: a byte an object, and two bits for 16 bytes. An object has no header. A request and its giving back cost a
/// few instructions, a reset or a drop as much as the chunks are. Larger requests, and those for which no chunk is to
/// be had, are blocks of the heap's own.
///
/// A pool touches no page before its first request, and then those of the objects that it hands out: its notes of them lie
/// in front of the first. Of a chunk of more than 16 KiB they lie behind all, and take a page for 4096 objects. As soon as
/// one is given back out of order, it touches pages of the map, a 64th of what is in use. Where the heap cuts the chunk
/// from a longer free block, the header of the rest is written behind it.
///
/// ```
/// use tagheap::{Heap, Kind, LocalHeap, Pool, Reserve, SizeClasses, Tag, Typed};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let mut level = SizeClasses::new(Pool::new(&heap, Tag::named("level")));
/// let name = level.alloc_str("harbour")?;
/// for _ in 0..1000 {
///     level.own([0_u8; 300])?; // each takes the place of the last
/// }
/// assert_eq!((&*name, level.usage()?.peak), ("harbour", 16 + 320));
/// level.reset()?;
/// assert_eq!(level.usage()?.used, 0);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// O(1), but that the first piece given back out of order in a chunk costs a few instructions for each one handed
/// out there before: from then on the chunk has a map. Making a pool costs no memory and no call, and its first
/// chunk is as large as what pools under its tag held before, up to a mebibyte. A reset keeps the chunks that
/// were reached since the one before, to use the largest first, unless blocks of the heap's own are out: then all
/// goes back. [`trim`](Self::trim) gives back those that were not reached since, or all where nothing is in use.
///
/// # Misuse
///
/// Foreign addresses, addresses at which no piece starts, pieces given back twice, and layouts of another class
/// than the piece's are found, all of them, as long as the address was not handed out anew in between: sizes of
/// one class pass for one another. A last piece given back twice may be named [`Misuse::NotABlock`](crate::Misuse::NotABlock).
///
/// What somebody writes into a piece that he gave back is found when it is next on its list, and named
/// [`Corruption::Pool`](crate::Corruption::Pool); from then on requests of this class are served only by pieces that are
/// given back later, until a reset.
#[derive(Debug)]
#[repr(C, align(16))] // so that the cursor and the limit are in one cache line
pub struct SizeClasses<H: Share> {
    /// Behind the last piece.
    cursor: Cell<NonNull<u8>>,
    /// The log's last entry, or where it begins, which no piece reaches; where the cursor is, without a chunk.
    limit: Cell<NonNull<u8>>,
    /// The cursor less the bytes in use, C4. May lie below 0.
    floor: Cell<usize>,
    /// The requests served and the address of the limit, C4. May lie beyond all addresses.
    tally: Cell<usize>,
    // What follows is 0 in a new pool, up to the lists' key: written by few stores.
    /// Address up to which a small request moves the cursor at once; the end of the pieces or 0, C5.
    verge: Cell<usize>,
    /// The most bytes that were in use before that last fell.
    peak: Cell<usize>,
    deallocations: Cell<u64>,
    /// Address up to which the map tells of the open chunk's pieces; 0 if of none.
    mapped: Cell<usize>,
    /// Address down to which the log was read for that.
    read: Cell<usize>,
    failures: Cell<u64>,
    /// Blocks of the heap's own.
    blocks: Cell<u64>,
    lists: Lists,
    /// Bytes of the first chunk's block, header and all, if the tag never held more.
    grain: usize,
    /// Whether it counts what the tag held before.
    learns: bool,
    /// Each request is looked at, for somebody is to be called, or pooling is off.
    watched: bool,
    shelf: Shelf,
    pool: Pool<H>,
}

/// Where the cursor and the limit are without a chunk.
const NOWHERE: NonZero<usize> = NonZero::<usize>::MIN;

/// Bytes that the first chunk has at least and at most.
const LEAST_GRAIN: usize = 1 << 10;
const MOST_GRAIN: usize = 1 << 40;

/// Bytes of the first chunk's block where nothing else is said, header and all.
const GRAIN: usize = 16 << 10;

impl<H: Share> SizeClasses<H> {
    /// A pool of size classes. Takes no memory yet.
    ///
    /// Its first chunk has 16 KiB, or as many bytes as the tag held at most before, up to a mebibyte, if the pool
    /// and the heap have that, and are not in a [`Buffer`](crate::Buffer). The next three have room for four times as
    /// many bytes of objects as the one before, those behind twice, counted from 16 KiB, and none is smaller than the
    /// first where the heap has that. So pools of one sort, one after the other under one tag, need one chunk each.
    #[inline]
    pub fn new(pool: Pool<H>) -> Self {
        let mut classes = Self::with_chunk(pool, GRAIN);
        classes.learns = true;
        classes
    }

    /// A pool of size classes whose first chunk has so many bytes, header and notes and all, if the pool and the heap
    /// have that: what it will usually hold, and a twelfth. The next three have room for four times as many bytes of
    /// objects as the one before, those behind twice. Takes no memory yet.
    #[inline]
    pub fn with_chunk(pool: Pool<H>, bytes: usize) -> Self {
        let watched = pool.passes() || pool.watermark().calls();
        Self {
            cursor: Cell::new(NonNull::without_provenance(NOWHERE)),
            limit: Cell::new(NonNull::without_provenance(NOWHERE)),
            floor: Cell::new(NOWHERE.get()),
            tally: Cell::new(NOWHERE.get()),
            verge: Cell::new(0),
            peak: Cell::new(0),
            deallocations: Cell::new(0),
            mapped: Cell::new(0),
            read: Cell::new(0),
            failures: Cell::new(0),
            blocks: Cell::new(0),
            lists: Lists::new(),
            grain: bytes.clamp(LEAST_GRAIN, MOST_GRAIN),
            learns: false,
            watched,
            shelf: Shelf::new(),
            pool,
        }
    }

    /// The pool from which it takes its chunks.
    pub fn pool(&self) -> &Pool<H> {
        &self.pool
    }

    /// Bytes in use.
    #[inline]
    fn used(&self) -> usize {
        let cursor = self.cursor.get().addr().get();
        cursor.wrapping_sub(self.floor.get())
    }

    /// Requests served.
    #[inline]
    fn allocations(&self) -> u64 {
        let limit = self.limit.get().addr().get();
        self.tally.get().wrapping_sub(limit) as u64
    }

    /// Counts a request that did not go through the log.
    #[inline]
    fn served(&self) {
        self.tally.set(self.tally.get().wrapping_add(1));
    }

    /// Bytes that come into use, in front of the cursor or beside it.
    #[inline]
    fn rise(&self, bytes: usize) {
        self.floor.set(self.floor.get().wrapping_sub(bytes));
    }

    /// Bytes that go out of use, or are about to.
    #[inline]
    fn fall(&self, bytes: usize) {
        self.peak.set(self.peak.get().max(self.used()));
        self.floor.set(self.floor.get().wrapping_add(bytes));
    }

    #[inline]
    fn count(&self, counter: &Cell<u64>) {
        counter.set(counter.get() + 1);
    }

    /// Takes the first piece from the list of a class, which has one; the address of damage to the list.
    #[inline]
    fn reuse(&self, class: Class) -> Result<NonNull<u8>, usize> {
        let spot = self.lists.head(class).ok_or(0_usize)?;
        let chunk = self.shelf.at(spot.chunk()).ok_or(0_usize)?;
        let at = chunk.base() + spot.offset();
        if map::state(chunk, at) != map::FREE {
            return Err(at);
        }
        let piece = chunk.pointer(at);
        let behind = self.lists.behind(piece).ok_or(at)?;
        self.lists.lead(class, behind);
        if behind.is_none() {
            self.look_ahead();
        }
        map::set(chunk, at, map::USED);
        self.rise(class.bytes());
        self.served();
        Ok(piece)
    }

    /// Puts a free piece on its list.
    #[inline]
    fn list(&self, class: Class, spot: Spot, piece: NonNull<u8>) {
        self.lists.push(class, spot, piece);
        self.verge.set(0);
    }

    fn numbers(&self) -> Usage {
        let used = self.used();
        Usage {
            measure: Measure::Bytes,
            total: self.total(),
            used,
            peak: self.peak.get().max(used),
            allocations: self.allocations(),
            deallocations: self.deallocations.get(),
            failures: self.failures.get(),
        }
    }
}

// SAFETY: the cursor and the limit point into the pool's own chunks, which go where it goes.
unsafe impl<H: Share + Send> Send for SizeClasses<H> {}

// SAFETY: see the head of the file; chunks stay where they are until the pool is borrowed exclusively, or hold
// no piece.
unsafe impl<H: Share> Kind for SizeClasses<H> {
    /// A few instructions for an object of up to 1024 bytes, of which a layout that is known leaves half.
    #[inline(always)]
    fn allocate(&self, asked: Layout) -> Result<NonNull<[u8]>, Error> {
        if let Some(small) = Small::of(asked)
            && let Some(piece) = self.advance_at_once(small)
        {
            return Ok(NonNull::slice_from_raw_parts(piece, asked.size()));
        }
        self.allocate_otherwise(asked)
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        let at = ptr.addr().get();
        let found = self.shelf.holding(at);
        let class = Class::of(kind::at_least_one(layout));
        let (Some((place, chunk)), Some(class)) = (found, class) else {
            // SAFETY: the caller's promise.
            return unsafe { self.put_block(ptr, layout) };
        };
        if self.retreat(chunk, ptr, class) {
            self.count(&self.deallocations);
            return Ok(());
        }
        let top = self.survey(place, chunk);
        let top = top.map_err(|at| self.pool.damage(at))?;
        if let Err(found) = self.held(chunk, at, top, class) {
            return Err(self.misuse(found, at, layout));
        }
        map::set(chunk, at, map::FREE);
        let spot = Spot::new(place, at - chunk.base());
        self.list(class, spot, chunk.pointer(at));
        self.fall(class.bytes());
        self.count(&self.deallocations);
        Ok(())
    }

    /// In place within the class, and for the last piece before the cursor.
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() < old.size() {
            return Err(kind::wrong_way(old, new));
        }
        // SAFETY: the caller's promise.
        unsafe { self.resize(ptr, old, new) }
    }

    /// In place within the class.
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() > old.size() {
            return Err(kind::wrong_way(old, new));
        }
        // SAFETY: the caller's promise.
        unsafe { self.resize(ptr, old, new) }
    }

    /// Keeps the chunks that were opened since the last reset, to open the largest first; all goes back if
    /// blocks of the heap's own are out. O(chunks and blocks).
    fn reset(&mut self) -> Result<(), Error> {
        if self.pool.passes() {
            return self.pool.reset();
        }
        if self.blocks.get() > 0 {
            self.pool.release()?;
            self.shelf = Shelf::new();
        } else {
            self.give_back(self.shelf.place() + 1)?;
            self.shelf.sort();
        }
        self.fall(self.used());
        self.deallocations.set(self.allocations());
        self.blocks.set(0);
        self.lists.clear();
        self.restart();
        Ok(())
    }

    /// Whether the address lies in one of its chunks, beside the notes, or a block of the heap's own starts
    /// there. O(chunks).
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        let at = ptr.addr().get();
        if let Some(chunk) = self.shelf.iter().find(|chunk| chunk.holds(at)) {
            return Ok((areas::first(chunk)..areas::end(chunk)).contains(&at));
        }
        self.pool.contains(ptr)
    }

    /// Checks maps, lists and numbers against each other, and then as [`Pool`] does. O(bytes of the chunks).
    fn check(&self) -> Result<(), Error> {
        if !self.pool.passes() {
            self.check_pieces()?;
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
