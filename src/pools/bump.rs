//! A pool that only moves a cursor: an arena.
//!
//! # Safety
//!
//! Pieces lie between the start and the cursor of a chunk; the cursor falls only behind the last piece when
//! that is given back, or when the pool is borrowed exclusively.
#![allow(unsafe_code)]

mod cursor;
mod drawing;
pub(crate) mod mark;
mod supply;

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::pools::bump::cursor::Cursor;
use crate::pools::chunk::{Chunk, Chunks, NOTE};
use crate::pools::kind::{self, Kind};
use crate::pools::pool::Pool;
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse, Shortage};
use crate::words::size::align_up;
use crate::words::usage::{Measure, Usage};

/// An arena: pieces one behind the other in chunks that double, all given back at once.
///
/// A request costs a few instructions; its alignment is the layout's, with no header and no rounding. The
/// last piece can be given back and resized in place; what others give back stays in use until a reset.
///
/// ```
/// use tagheap::{Bump, Heap, Kind, LocalHeap, Pool, Reserve, Tag, Typed};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let mut request = Bump::new(Pool::new(&heap, Tag::named("request")));
/// for _ in 0..3 {
///     let path = request.alloc_str("/harbour")?;
///     let parts = request.alloc_slice_fill_with(2, |n| n * 10)?;
///     assert_eq!((path.len(), parts[1]), (8, 10));
///     request.reset()?; // keeps its newest chunk for the next request
/// }
/// assert_eq!(request.usage()?.allocations, 6);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// Only the last piece's address and size are known: that another was given back twice, or that no piece starts at an
/// address in the chunks, is noticed only when more pieces come back than were handed out.
#[derive(Debug)]
pub struct Bump<H: Share> {
    /// Behind the last piece, in the newest chunk; its end is where it may move to without a look at anything else.
    cursor: Cursor,
    deallocations: Cell<u64>,
    failures: Cell<u64>,
    /// Bytes behind cursors in chunks older than the newest.
    older: Cell<usize>,
    /// The most bytes that were in use before the cursor last fell.
    peak: Cell<usize>,
    chunks: Chunks,
    pool: Pool<H>,
}

impl<H: Share> Bump<H> {
    /// An arena in a pool. Takes no memory yet. O(1).
    pub fn new(pool: Pool<H>) -> Self {
        Self {
            cursor: Cursor::new(),
            deallocations: Cell::new(0),
            failures: Cell::new(0),
            older: Cell::new(0),
            peak: Cell::new(0),
            chunks: Chunks::new(),
            pool,
        }
    }

    /// The pool from which it takes its chunks.
    pub fn pool(&self) -> &Pool<H> {
        &self.pool
    }

    /// Moves the cursor to an address in the newest chunk, if there is one, and its end to where that belongs.
    fn move_to(&self, at: usize) {
        match self.chunks.newest() {
            Some(newest) => self.cursor.place(newest, at, self.stop(newest, at)),
            None => self.cursor.leave(),
        }
    }

    /// Bytes from the start of the newest chunk's pieces to the cursor.
    fn in_newest(&self) -> usize {
        let newest = self.chunks.newest();
        newest.map_or(0, |chunk| self.cursor.position() - chunk.base() - NOTE)
    }

    fn used(&self) -> usize {
        self.older.get() + self.in_newest()
    }

    /// Notes how much is in use, before that falls.
    fn note_peak(&self) {
        self.peak.set(self.peak.get().max(self.used()));
    }

    /// Where a cursor in the newest chunk must next stop: at the watermark or the end of the chunk.
    fn stop(&self, newest: Chunk, at: usize) -> usize {
        let start = newest.base() + NOTE - self.older.get();
        let mark = start.saturating_add(self.pool.watermark().of(self.total()));
        if mark > at {
            newest.end().min(mark - 1)
        } else {
            newest.end()
        }
    }

    /// Bytes that pieces may take in all.
    fn total(&self) -> usize {
        let bound = self.pool.bound();
        bound.unwrap_or_else(|| self.pool.in_chunks())
    }

    /// The way for a request that goes beyond the limit: into this chunk, past the watermark, or a new one; and
    /// for one of no bytes.
    #[cold]
    fn allocate_slowly(&self, asked: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.pool.passes() {
            return self.pool.allocate(asked);
        }
        let layout = kind::at_least_one(asked);
        let before = self.used();
        let placed = match self.chunks.newest() {
            Some(newest) => self.fits(newest, self.cursor.position(), layout),
            None => None,
        };
        let (chunk, at) = match placed {
            Some(placed) => placed,
            None => self.lengthen(asked)?,
        };
        self.move_to(at + layout.size());
        self.cursor.count();
        let mark = self.pool.watermark().of(self.total());
        if before < mark && self.used() >= mark {
            let usage = self.numbers();
            self.pool.watermark().call(self.pool.tag(), &usage);
        }
        Ok(chunk.piece(at, asked.size()))
    }

    /// Where a piece fits into a chunk behind an address.
    fn fits(&self, chunk: Chunk, from: usize, layout: Layout) -> Option<(Chunk, usize)> {
        let at = align_up(from, layout.align())?;
        let end = at.checked_add(layout.size())?;
        (end <= chunk.end()).then_some((chunk, at))
    }

    fn count_failure(&self) {
        self.failures.set(self.failures.get() + 1);
    }

    fn failed(&self, layout: Layout, cause: Shortage) -> Error {
        self.count_failure();
        self.pool.refusal(layout, cause)
    }

    fn numbers(&self) -> Usage {
        let used = self.used();
        Usage {
            measure: Measure::Bytes,
            total: self.total(),
            used,
            peak: self.peak.get().max(used),
            allocations: self.cursor.allocations(),
            deallocations: self.deallocations.get(),
            failures: self.failures.get(),
        }
    }

    /// Whether a piece is the last one: in the newest chunk, whatever its size is said to be.
    #[inline]
    fn is_last(&self, ptr: NonNull<u8>, layout: Layout) -> bool {
        let at = ptr.addr().get();
        at.wrapping_add(layout.size()) == self.cursor.position()
            && self
                .chunks
                .newest()
                .is_some_and(|newest| at >= newest.base() + NOTE)
    }

    fn refuse_foreign(&self, ptr: NonNull<u8>) -> Result<(), Error> {
        let address = ptr.addr().get();
        let near = |chunk: Chunk| chunk.holds(address) && address >= chunk.base() + NOTE;
        if self.chunks.newest().is_some_and(near) {
            return Ok(());
        }
        kind::refuse_foreign(self, ptr)
    }
}

// SAFETY: a piece lies behind the cursor's old place and before its new one, which is within the chunk; the
// cursor falls only over a last piece that was given back, or under an exclusive borrow.
unsafe impl<H: Share> Kind for Bump<H> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        match self.cursor.advance(layout) {
            Some(piece) => Ok(NonNull::slice_from_raw_parts(piece, layout.size())),
            None => self.allocate_slowly(layout),
        }
    }

    /// The last piece makes room again; another stays in use.
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.deallocate(ptr, layout) };
        }
        self.refuse_foreign(ptr)?;
        if self.deallocations.get() >= self.cursor.allocations() {
            let address = ptr.addr().get();
            return Err(Misuse::DoubleFree { address }.into());
        }
        let layout = kind::at_least_one(layout);
        if self.is_last(ptr, layout) {
            self.note_peak();
            self.move_to(ptr.addr().get());
        }
        self.deallocations.set(self.deallocations.get() + 1);
        Ok(())
    }

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
        self.refuse_foreign(ptr)?;
        let at = ptr.addr().get();
        let more = new.size() - kind::at_least_one(old).size().min(new.size());
        let aligned = at.is_multiple_of(new.align());
        if aligned && more == 0 {
            return Ok(NonNull::slice_from_raw_parts(ptr, new.size()));
        }
        let last = aligned && self.is_last(ptr, kind::at_least_one(old));
        if let Some(chunk) = self.chunks.newest()
            && last
            && more <= self.stop(chunk, self.cursor.position()) - self.cursor.position()
        {
            self.move_to(self.cursor.position() + more);
            return Ok(chunk.piece(at, new.size()));
        }
        // SAFETY: the caller's promise.
        unsafe { kind::relocate(self, ptr, old, new) }
    }

    /// In place; only the last piece makes room.
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
        self.refuse_foreign(ptr)?;
        let at = ptr.addr().get();
        if !at.is_multiple_of(new.align()) {
            // SAFETY: the caller's promise.
            return unsafe { kind::relocate(self, ptr, old, new) };
        }
        if self.is_last(ptr, kind::at_least_one(old)) {
            self.note_peak();
            self.move_to(at + kind::at_least_one(new).size());
        }
        Ok(NonNull::slice_from_raw_parts(ptr, new.size()))
    }

    /// Keeps the newest chunk, which is the largest; the others go back to the heap.
    fn reset(&mut self) -> Result<(), Error> {
        if self.pool.passes() {
            return self.pool.reset();
        }
        self.note_peak();
        let newest = self.chunks.newest();
        if let Some(newest) = newest {
            self.keep_only(newest)?;
        }
        self.older.set(0);
        self.deallocations.set(self.cursor.allocations());
        self.move_to(newest.map_or(0, |chunk| chunk.base() + NOTE));
        Ok(())
    }

    /// Whether the address lies in one of its chunks, behind the note. O(chunks), which double.
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        if self.pool.passes() {
            return self.pool.contains(ptr);
        }
        let address = ptr.addr().get();
        let found = self.chunks.holding(address);
        let found = found.map_err(|at| self.pool.damage(at))?;
        Ok(found.is_some_and(|chunk| address >= chunk.base() + NOTE))
    }

    /// Checks the chunks' notes and the cursor, and then as [`Pool`] does.
    fn check(&self) -> Result<(), Error> {
        let mut held = 0;
        for chunk in self.chunks.iter() {
            held += chunk.map_err(|at| self.pool.damage(at))?.bytes();
        }
        let newest = self.chunks.newest();
        let cursor = self.cursor.position();
        let placed = newest.is_none_or(|chunk| {
            (chunk.base() + NOTE..=chunk.end()).contains(&cursor)
                && self.cursor.end() <= chunk.end()
        });
        if !placed || held != self.pool.in_chunks() {
            return Err(self.pool.damage(cursor));
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
