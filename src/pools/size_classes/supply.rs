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
use crate::pools::size_classes::class::Class;
use crate::pools::size_classes::lists::Spot;
use crate::pools::size_classes::shelf::MOST;
use crate::pools::size_classes::{Held, SizeClasses, map};
use crate::sharing::share::Share;
use crate::words::error::Error;
use crate::words::size::{HEADER, UNIT, align_down, align_up};

/// Bytes ahead of the cursor for which the map is cleared at a time: what 512 bytes of it tell of.
const STRIDE: usize = 64 * map::REACH;

/// A chunk is so many times as large as the request that it is taken for, where the heap has that.
const WORTH: usize = 8;

impl<H: Share> SizeClasses<H> {
    /// Bytes that pieces may take in all.
    pub(super) fn total(&self) -> usize {
        let bound = self.pool.bound();
        bound.unwrap_or_else(|| self.pool.held())
    }

    /// The way for a request that is not served at once.
    #[cold]
    pub(super) fn allocate_slowly(&self, asked: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.pool.passes() {
            return self.pool.allocate(asked);
        }
        let layout = kind::at_least_one(asked);
        let before = self.used();
        let served = self.serve(layout);
        let (chunk, at) = served.inspect_err(|_| self.count(&self.failures))?;
        self.count(&self.allocations);
        self.ring(before);
        Ok(chunk.piece(at, asked.size()))
    }

    /// Calls if the last request made what is in use reach the watermark.
    fn ring(&self, before: usize) {
        let mark = self.pool.watermark().of(self.total());
        if before < mark && self.used() >= mark {
            let usage = self.numbers();
            self.pool.watermark().call(self.pool.tag(), &usage);
        }
    }

    fn serve(&self, layout: Layout) -> Result<(Chunk, usize), Error> {
        let Some(class) = Class::of(layout) else {
            return self.take_block(layout);
        };
        if self.lists.has(class) {
            return self.reuse(class).map_err(|at| self.pool.damage(at));
        }
        if let Some(piece) = self.carve(class) {
            return Ok(piece);
        }
        if self.turn_over(class, layout)?
            && let Some(piece) = self.carve(class)
        {
            return Ok(piece);
        }
        self.take_block(layout)
    }

    /// Moves the cursor over a piece, if the open chunk has room for it.
    fn carve(&self, class: Class) -> Option<(Chunk, usize)> {
        let chunk = self.shelf.open()?;
        let at = align_up(self.cursor.get(), class.align())?;
        let end = at.checked_add(class.bytes())?;
        if end > chunk.end() {
            return None;
        }
        self.clear_to(chunk, end);
        self.skip(chunk, at);
        self.advance(class.bytes())
    }

    /// Has the map clear for a cursor at this address, and some more.
    fn clear_to(&self, chunk: Chunk, to: usize) {
        let limit = self.limit.get();
        if to <= limit {
            return;
        }
        // Ends with a word of the map, or the chunk, so that the next part starts with a word.
        let past = to.max(limit.saturating_add(STRIDE)) - chunk.base();
        let past = align_up(past, map::REACH).map_or(chunk.end(), |past| chunk.base() + past);
        let until = past.min(chunk.end());
        map::clear(chunk, limit, until);
        self.limit.set(until);
    }

    /// Moves the cursor to an address up to which the map is clear; free pieces tile what it skips.
    fn skip(&self, chunk: Chunk, to: usize) {
        let used = self.used();
        while self.cursor.get() < to {
            let at = self.cursor.get();
            let class = Class::within(to - at);
            map::set(chunk, at, map::FREE);
            let spot = Spot::new(self.shelf.place(), at - chunk.base());
            self.lists.push(class, spot, chunk.pointer(at));
            self.cursor.set(at + class.bytes());
        }
        self.floor.set(self.cursor.get().wrapping_sub(used));
    }

    /// Opens a chunk that has room for a piece: the next one that was kept, or a new one. Whether there was
    /// one for which it is worth to leave the open one.
    fn turn_over(&self, class: Class, layout: Layout) -> Result<bool, Error> {
        let place = match self.shelf.open() {
            Some(_) => self.shelf.place() + 1,
            None => 0,
        };
        let Some(kept) = self.shelf.at(place) else {
            return self.lengthen(place, class, layout);
        };
        let at = align_up(map::first(kept), class.align());
        let fits = at.is_some_and(|at| at <= kept.end() && kept.end() - at >= class.bytes());
        if fits {
            self.open(place, kept);
        }
        Ok(fits)
    }

    /// Takes a chunk, twice as large as the last if the pool and the heap have that, and opens it; whether one
    /// is to be had that is worth it.
    fn lengthen(&self, place: usize, class: Class, layout: Layout) -> Result<bool, Error> {
        if place >= MOST {
            return Ok(false);
        }
        let left = self
            .shelf
            .open()
            .map_or(0, |chunk| chunk.end() - self.cursor.get());
        // Room for two pieces of the class however the chunk lies, and their part of its map.
        let least = 2 * class.bytes() + class.align() + 2 * UNIT;
        let least = (least + map::room(least)).max(WORTH * left);
        let ample = self
            .grain
            .saturating_mul(1 << place)
            .max(WORTH * class.bytes());
        let room = self.pool.bound().unwrap_or(usize::MAX) - self.pool.held();
        let mut bytes = align_down(ample.saturating_sub(HEADER).min(room), UNIT);
        while bytes >= least {
            let Ok(wanted) = Layout::from_size_align(bytes, UNIT) else {
                return Ok(false);
            };
            match self.pool.take_chunk_for(layout, wanted) {
                Ok(chunk) => {
                    self.shelf.push(chunk);
                    self.open(place, chunk);
                    return Ok(true);
                }
                Err(Error::OutOfMemory(_)) => bytes = align_down(bytes / 2, UNIT),
                Err(other) => return Err(other),
            }
        }
        Ok(false)
    }

    /// Opens a chunk; free pieces tile what is left of the one that was open.
    fn open(&self, place: usize, chunk: Chunk) {
        if let Some(full) = self.shelf.open()
            && place > 0
        {
            self.clear_to(full, full.end());
            self.skip(full, full.end());
        }
        let used = self.used();
        self.shelf.turn_to(place);
        let first = map::first(chunk);
        self.cursor.set(first);
        self.floor.set(first.wrapping_sub(used));
        // The word that tells of the first piece may tell of the map itself too.
        self.limit
            .set(chunk.base() + align_down(first - chunk.base(), map::REACH));
        self.clear_to(chunk, (first + UNIT).min(chunk.end()));
    }

    /// Begins anew with the chunks that are there.
    pub(super) fn restart(&self) {
        self.shelf.turn_to(0);
        match self.shelf.open() {
            Some(chunk) => self.open(0, chunk),
            None => {
                self.cursor.set(0);
                self.limit.set(0);
                self.floor.set(0);
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
    /// all of them where nothing is in use. Answers how many bytes that was.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] from inside a lock, [`Corruption`](crate::Corruption) if the heap is damaged; what
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
    fn take_block(&self, layout: Layout) -> Result<(Chunk, usize), Error> {
        let block = self.pool.take_chunk_for(layout, layout)?;
        self.count(&self.blocks);
        self.rise(block.bytes());
        Ok((block, block.base()))
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
    fn refuse_chunked(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        let at = ptr.addr().get();
        if self.shelf.iter().any(|chunk| chunk.holds(at)) {
            let found = match self.shelf.holding(at) {
                Some((_, chunk)) => self.found(chunk, at),
                None => Held::Nothing,
            };
            return Err(self.misuse(found, at, layout));
        }
        Ok(())
    }

    /// What a piece of no class at all finds at an address.
    fn found(&self, chunk: Chunk, at: usize) -> Held {
        let smallest = self.held(chunk, at, Class::numbered(0));
        smallest.err().unwrap_or(Held::OfBytes(UNIT))
    }

    /// Makes a piece larger or smaller.
    ///
    /// # Safety
    ///
    /// As for [`Kind::grow`].
    pub(super) unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let at = ptr.addr().get();
        let was = kind::at_least_one(old);
        if let (Some((_, chunk)), Some(class)) = (self.shelf.holding(at), Class::of(was)) {
            self.held(chunk, at, class)
                .map_err(|found| self.misuse(found, at, old))?;
            if let Some(next) = Class::of(kind::at_least_one(new))
                && (self.held(chunk, at, next).is_ok() || self.move_end(chunk, at, [class, next]))
            {
                return Ok(NonNull::slice_from_raw_parts(ptr, new.size()));
            }
            // SAFETY: the caller's promise.
            return unsafe { kind::relocate(self, ptr, old, new) };
        }
        if self.pool.passes() {
            if new.size() >= old.size() {
                // SAFETY: the caller's promise.
                return unsafe { self.pool.grow(ptr, old, new) };
            }
            // SAFETY: the caller's promise.
            return unsafe { self.pool.shrink(ptr, old, new) };
        }
        self.refuse_chunked(ptr, was)?;
        let before = self.used();
        let is = kind::at_least_one(new);
        // SAFETY: the caller's promise; the heap verifies it, and it is none of the chunks.
        let resized = unsafe { self.pool.resize_chunk(ptr, was, is) };
        let block = resized.inspect_err(|error| {
            if matches!(error, Error::OutOfMemory(_)) {
                self.count(&self.failures);
            }
        })?;
        self.fall(was.size());
        self.rise(is.size());
        self.ring(before);
        Ok(NonNull::slice_from_raw_parts(block.start(), new.size()))
    }
}
