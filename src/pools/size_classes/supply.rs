//! What is not a matter of a few instructions: chunks, blocks of the heap's own, and requests to be looked at.
//!
//! # Safety
//!
//! As for the kind; chunks go back to the heap only when no piece lies in them.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::pools::chunk::Chunk;
use crate::pools::kind::{self, Kind};
use crate::pools::size_classes::class::{Class, Small};
use crate::pools::size_classes::held::Held;
use crate::pools::size_classes::shelf::MOST;
use crate::pools::size_classes::{NOWHERE, SizeClasses, areas, log};
use crate::sharing::share::Share;
use crate::words::error::Error;
use crate::words::size::{HEADER, UNIT, align_down, align_up};

/// Bytes of a chunk that rounding its notes may take besides.
const SPARE: usize = 4 * UNIT;

/// How many chunks have room for four times as much as the one before: a pool that turns out not to be small has few.
const EARLY: usize = 3;

/// The largest first chunk for which it is enough that the tag held as much.
pub(super) const MOST_AT_ONCE: usize = 1 << 20;

/// A chunk is so many times as large as the request that it is taken for, where the heap has that.
pub(super) const WORTH: usize = 8;

impl<H: Share> SizeClasses<H> {
    /// Bytes that pieces may take in all.
    pub(super) fn total(&self) -> usize {
        let bound = self.pool.bound();
        bound.unwrap_or_else(|| self.pool.in_chunks())
    }

    /// The way for a request that does not go to the cursor at once: the first, one from a list, or one from farther
    /// away. Said to be cold, so that the other way is a straight line of code.
    #[cold]
    #[inline(never)]
    pub(super) fn allocate_otherwise(&self, asked: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.watched {
            return self.allocate_watched(asked);
        }
        if self.shelf.count() == 0
            && let Some(small) = Small::of(asked)
        {
            return self.allocate_first(asked, small);
        }
        self.allocate_farther(asked)
    }

    /// A piece from a list, the cursor, or a chunk that is to be opened, or a block.
    #[inline(always)]
    pub(super) fn allocate_farther(&self, asked: Layout) -> Result<NonNull<[u8]>, Error> {
        let served = self.serve(kind::at_least_one(asked));
        let piece = served.map_err(|error| self.refused(asked, error))?;
        Ok(NonNull::slice_from_raw_parts(piece, asked.size()))
    }

    /// The way where somebody is to be called, or pooling is off.
    #[cold]
    fn allocate_watched(&self, asked: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.pool.passes() {
            return self.pool.allocate(asked);
        }
        let before = self.used();
        let served = self.serve(kind::at_least_one(asked));
        let piece = served.map_err(|error| self.refused(asked, error))?;
        self.ring(before);
        Ok(NonNull::slice_from_raw_parts(piece, asked.size()))
    }

    /// Calls if the last request made what is in use reach the watermark.
    pub(super) fn ring(&self, before: usize) {
        let mark = self.pool.watermark().of(self.total());
        if before < mark && self.used() >= mark {
            let usage = self.numbers();
            self.pool.watermark().call(self.pool.tag(), &usage);
        }
    }

    /// Counts a request refused, and names it as it was asked.
    pub(super) fn refused(&self, asked: Layout, error: Error) -> Error {
        self.count(&self.failures);
        match error {
            Error::OutOfMemory(lacking) => self.pool.refusal(asked, lacking.cause),
            other => other,
        }
    }

    /// A piece from a list, or from the cursor if the open chunk has room and nothing must be left out; or from
    /// farther away.
    #[inline(always)]
    fn serve(&self, layout: Layout) -> Result<NonNull<u8>, Error> {
        let Some(class) = Class::of(layout) else {
            return self.take_block(layout);
        };
        if self.lists.has(class) {
            return self.reuse(class).map_err(|at| self.pool.damage(at));
        }
        if class.align() <= UNIT
            && let Some(piece) = self.advance(class)
        {
            return Ok(piece);
        }
        self.serve_anew(layout, class)
    }

    /// A piece of the open chunk or of the next, or a block.
    #[inline(always)]
    fn serve_anew(&self, layout: Layout, class: Class) -> Result<NonNull<u8>, Error> {
        if class.align() > UNIT
            && let Some(piece) = self.carve(class)
        {
            return Ok(piece);
        }
        if !self.turn_over(class)? {
            return self.take_block(layout);
        }
        let piece = match class.align() {
            UNIT => self.advance(class),
            _ => self.carve(class),
        };
        match piece {
            Some(piece) => Ok(piece),
            None => self.take_block(layout),
        }
    }

    /// Moves the cursor over a piece, and what must be left out for its alignment, if the open chunk has room.
    #[inline(never)]
    fn carve(&self, class: Class) -> Option<NonNull<u8>> {
        self.shelf.open()?;
        let from = self.cursor.get().addr().get();
        let to = align_up(from, class.align())?;
        let end = to.checked_add(class.bytes())?;
        if !self.has_room(end) {
            return None;
        }
        for passed in left_out(from, to) {
            self.advance(passed);
            // SAFETY: just written.
            unsafe { log::leave_out(self.limit.get()) };
            // Neither in use nor a request.
            self.floor
                .set(self.floor.get().wrapping_add(passed.bytes()));
            self.tally.set(self.tally.get().wrapping_sub(1));
        }
        self.advance(class)
    }

    /// Opens a chunk that has room for a piece: the next one that was kept, or a new one. Whether there was
    /// one for which it is worth to leave the open one.
    fn turn_over(&self, class: Class) -> Result<bool, Error> {
        let place = match self.shelf.open() {
            Some(open) if self.mapped.get() > 0 => {
                let surveyed = self.survey(self.shelf.place(), open);
                surveyed.map_err(|at| self.pool.damage(at))?;
                self.shelf.place() + 1
            }
            Some(_) => self.shelf.place() + 1,
            None => 0,
        };
        let Some(kept) = self.shelf.at(place) else {
            return self.lengthen(place, class);
        };
        let at = align_up(areas::first(kept), class.align());
        let end = at.and_then(|at| at.checked_add(class.bytes()));
        let fits = end.is_some_and(|end| end <= areas::end(kept));
        if fits {
            self.close();
            self.open(place, kept);
        }
        Ok(fits)
    }

    /// Takes a chunk, of [`ample`](Self::ample) size if the pool and the heap have that, and opens it; whether one
    /// is to be had that is worth it. The first is as large as what the tag held before, if that is more.
    #[cold]
    fn lengthen(&self, place: usize, class: Class) -> Result<bool, Error> {
        if place >= MOST {
            return Ok(false);
        }
        let ample = self.ample(place).max(WORTH * class.bytes());
        let room = self.pool.room();
        let bytes = align_down(ample.saturating_sub(HEADER).min(room), UNIT);
        let learns = place == 0 && self.learns;
        let as_before = if learns { MOST_AT_ONCE.min(room) } else { 0 };
        self.lengthen_by(place, class, bytes, as_before)
    }

    /// As [`lengthen`](Self::lengthen), by so many bytes at most, or as many as the tag held before.
    #[cold]
    pub(super) fn lengthen_by(
        &self,
        place: usize,
        class: Class,
        bytes: usize,
        as_before: usize,
    ) -> Result<bool, Error> {
        let end = self.shelf.open().map_or(0, areas::end);
        let left = end.saturating_sub(self.cursor.get().addr().get());
        // Room for two pieces of the class however the chunk lies, and their part of its notes.
        let least = 2 * class.bytes() + class.align() + SPARE;
        let least = (least + areas::notes(least)).max(WORTH * left);
        let (mut bytes, mut as_before) = (bytes, as_before);
        while bytes >= least {
            let Ok(wanted) = Layout::from_size_align(bytes, UNIT) else {
                return Ok(false);
            };
            match self.pool.take_chunk_as_before(wanted, as_before) {
                Ok(chunk) => {
                    self.close();
                    self.shelf.push(chunk);
                    self.open(place, chunk);
                    return Ok(true);
                }
                Err(Error::OutOfMemory(_)) if as_before > 0 => as_before = 0,
                Err(Error::OutOfMemory(_)) => bytes = align_down(bytes / 2, UNIT),
                Err(other) => return Err(other),
            }
        }
        Ok(false)
    }

    /// Bytes that the block of the chunk at a place has: room for twice as many as the one before in the end.
    #[inline]
    fn ample(&self, place: usize) -> usize {
        match self.shelf.at(0) {
            Some(first) => {
                let grown = self.grain << (2 * place).min(place + EARLY);
                let with_notes = grown + areas::notes(grown);
                with_notes.max(first.bytes() + HEADER)
            }
            None => self.grain,
        }
    }

    /// Opens a chunk, after the one that was open was closed.
    #[inline]
    pub(super) fn open(&self, place: usize, chunk: Chunk) {
        let (used, allocations) = (self.used(), self.allocations() as usize);
        self.shelf.turn_to(place);
        let first = areas::first(chunk);
        // SAFETY: the pool's.
        let log = unsafe { log::begin(chunk) };
        self.cursor.set(chunk.pointer(first));
        self.limit.set(log);
        self.floor.set(first.wrapping_sub(used));
        self.tally.set(log.addr().get().wrapping_add(allocations));
        self.mapped.set(0);
        self.look_ahead();
    }

    /// Begins anew with the chunks that are there.
    pub(super) fn restart(&self) {
        self.shelf.turn_to(0);
        match self.shelf.open() {
            Some(chunk) => self.open(0, chunk),
            None => {
                let (used, allocations) = (self.used(), self.allocations() as usize);
                self.cursor.set(NonNull::without_provenance(NOWHERE));
                self.limit.set(NonNull::without_provenance(NOWHERE));
                self.floor.set(NOWHERE.get().wrapping_sub(used));
                self.tally.set(NOWHERE.get().wrapping_add(allocations));
                self.mapped.set(0);
                self.verge.set(0);
            }
        }
    }

    /// Gives all chunks but the first so many back to the heap; answers how many bytes they were.
    pub(super) fn give_back(&self, kept: usize) -> Result<usize, Error> {
        let mut bytes = 0;
        while self.shelf.count() > kept
            && let Some(chunk) = self.shelf.last()
            && let Ok(layout) = Layout::from_size_align(chunk.bytes(), UNIT)
        {
            // SAFETY: taken with this layout; no piece lies in it, as the caller of this vouches.
            unsafe { self.pool.put_chunk(chunk, layout) }?;
            self.shelf.pop();
            bytes += chunk.bytes();
        }
        Ok(bytes)
    }

    /// Gives chunks without pieces back to the heap: those that a reset kept and that were not reached since;
    /// all of them where nothing is in use. Answers how many bytes that was. O(chunks).
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`](crate::Misuse::Reentered) from inside a lock, [`Corruption`](crate::Corruption) if the heap is damaged; what
    /// has not gone back by then stays.
    pub fn trim(&self) -> Result<usize, Error> {
        if self.used() > 0 || self.pool.passes() {
            return self.give_back(self.shelf.place() + 1);
        }
        self.lists.clear();
        self.restart();
        self.give_back(0).inspect(|_| self.restart())
    }

    /// A block of the heap's own for a request.
    pub(super) fn take_block(&self, layout: Layout) -> Result<NonNull<u8>, Error> {
        let block = self.pool.take_chunk(layout)?;
        self.count(&self.blocks);
        self.rise(block.bytes());
        self.served();
        Ok(block.start())
    }

    /// Gives a piece back that is none of a class by its address or layout.
    ///
    /// # Safety
    ///
    /// As for [`Kind::deallocate`].
    #[cold]
    pub(super) unsafe fn put_block(&self, ptr: NonNull<u8>, asked: Layout) -> Result<(), Error> {
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.deallocate(ptr, asked) };
        }
        let layout = kind::at_least_one(asked);
        self.refuse_chunked(ptr, layout)?;
        let piece = NonNull::slice_from_raw_parts(ptr, layout.size());
        // SAFETY: the caller's own block, or none, which the heap finds out.
        let block = unsafe { Chunk::new(piece) };
        // SAFETY: the caller's promise; the heap verifies it, and it is none of the chunks.
        unsafe { self.pool.put_chunk(block, layout) }?;
        self.blocks.set(self.blocks.get() - 1);
        self.fall(layout.size());
        self.count(&self.deallocations);
        Ok(())
    }

    /// Refuses an address in one of the chunks.
    pub(super) fn refuse_chunked(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        let at = ptr.addr().get();
        if !self.shelf.iter().any(|chunk| chunk.holds(at)) {
            return Ok(());
        }
        let found = match self.shelf.holding(at) {
            Some((place, chunk)) => {
                let top = self.survey(place, chunk);
                let top = top.map_err(|at| self.pool.damage(at))?;
                let smallest = self.held(chunk, at, top, Class::numbered(0));
                smallest.err().unwrap_or(Held::OfBytes(UNIT))
            }
            None => Held::Nothing,
        };
        Err(self.misuse(found, at, layout))
    }
}

/// The pieces into which what is left out between two addresses is divided.
pub(super) fn left_out(mut from: usize, to: usize) -> impl Iterator<Item = Class> {
    core::iter::from_fn(move || {
        let class = (from < to).then(|| Class::within(to - from))?;
        from += class.bytes();
        Some(class)
    })
}
