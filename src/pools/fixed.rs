//! A pool of equal slots.
//!
//! # Safety
//!
//! A piece is a slot that the set of slots says is in use, and is in it once.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::pools::kind::{self, Kind};
use crate::pools::pool::Pool;
use crate::pools::shape::Shape;
use crate::pools::slots::{Slots, Tally};
use crate::sharing::share::Share;
use crate::words::error::{Error, OutOfMemory, Shortage};
use crate::words::usage::Usage;

/// Equal slots: a request takes one, whatever its size.
///
/// Both ways are O(1) and a few instructions, in any order. A slot has the layout's size, rounded up to its
/// alignment; smaller requests are served, larger or more strictly aligned ones refused.
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{Fixed, Heap, Kind, LocalHeap, Pool, Reserve, Tag, Typed};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let bullets = Fixed::new(Pool::new(&heap, Tag::named("bullets")), Layout::new::<[f32; 4]>(), 100)?;
/// let one = bullets.own([0.0_f32; 4])?;
/// let two = bullets.own([1.0_f32; 4])?;
/// assert_eq!(bullets.usage()?.used, 2);
/// drop(one); // its slot is the next one handed out
/// assert_eq!((two[3], bullets.usage()?.free()), (1.0, 99));
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// Which slots are free stands in front of the slots, in two words for 64: slots hold nothing but what users put
/// there, and are not touched before. So a slot given back twice, a pointer into one and a foreign one are all
/// found, whatever users wrote to slots in use or given back. One slot given back is kept at hand and goes first,
/// so that taking and giving back by turns costs least; none is kept where the watermark is near. Then goes one
/// near those given back last, and then new ones by ascending address.
#[derive(Debug)]
pub struct Fixed<H: Share> {
    slots: Slots,
    grows: bool,
    pool: Pool<H>,
}

impl<H: Share> Fixed<H> {
    /// A pool of so many slots for `layout`. Takes all its memory now, and touches none of the slots: O(slots / 64).
    ///
    /// That is one block: 48 bytes and 16 bytes for 64 slots, rounded up to the slots' alignment, and the slots; from
    /// 4 KiB of slots on up to 63 bytes more, so that each lies in as few cache lines as can be.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if the heap or the pool's bound has no room for them, and the errors of
    /// [`Pool`]'s first request. Nothing is left in the heap then.
    pub fn new(pool: Pool<H>, layout: Layout, slots: usize) -> Result<Self, Error> {
        let layout = kind::at_least_one(layout);
        if pool.passes() {
            return Ok(Self::of(pool, Shape::NONE, 0));
        }
        let Some(shape) = Shape::single(layout, slots) else {
            return Err(pool.refusal(layout, Shortage::TooLarge));
        };
        let fixed = Self::of(pool, shape, slots);
        fixed.slots.lengthen(&fixed.pool)?;
        Ok(fixed)
    }

    /// A pool that takes a chunk of slots for `layout` whenever it has no free slot. Takes no memory yet.
    ///
    /// A chunk has at least `slots_per_chunk` slots, and as many more as fit in a power of two of bytes together
    /// with the heap's header; it is aligned to that power. Few large chunks are faster than many small ones,
    /// whose books compete for the same lines of the processor's caches.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if no address space could hold a chunk.
    pub fn growing(pool: Pool<H>, layout: Layout, slots_per_chunk: usize) -> Result<Self, Error> {
        let layout = kind::at_least_one(layout);
        if pool.passes() {
            return Ok(Self::of(pool, Shape::NONE, 0));
        }
        let Some(shape) = Shape::growing(layout, slots_per_chunk) else {
            return Err(pool.refusal(layout, Shortage::TooLarge));
        };
        let total = pool.bound().map_or(0, |bound| shape.count_in(bound));
        let grows = true;
        Ok(Self {
            grows,
            ..Self::of(pool, shape, total)
        })
    }

    fn of(pool: Pool<H>, shape: Shape, total: usize) -> Self {
        let tally = Tally::new(pool.tag(), total, pool.watermark());
        Self {
            slots: Slots::new(shape, tally),
            grows: false,
            pool,
        }
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The pool from which it takes its chunks.
    pub fn pool(&self) -> &Pool<H> {
        &self.pool
    }

    /// Gives chunks in which no slot is in use back to the heap, if this pool grows, and answers how many bytes
    /// they had. O(slots).
    ///
    /// # Errors
    ///
    /// [`Corruption`](crate::Corruption) if a chunk's head is damaged, and the errors of the heap.
    pub fn trim(&self) -> Result<usize, Error> {
        if !self.grows {
            return Ok(0);
        }
        let given = self.slots.trim(&self.pool);
        self.note_total();
        given
    }

    fn note_total(&self) {
        if self.pool.bound().is_none() {
            let total = self.slots.shape().count_in(self.pool.in_chunks());
            self.slots.set_total(total);
        }
    }

    #[cold]
    fn allocate_slowly(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.pool.passes() {
            return self.pool.allocate(layout);
        }
        self.find(layout).inspect_err(|_| self.slots.fail())
    }

    /// A slot of another group than the one opened last, or of a new chunk.
    fn find(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        if !self.slots.shape().fits(layout) {
            return Err(self.pool.refusal(layout, self.slots.shape().lack(layout)));
        }
        let damage = |at| self.pool.damage(at);
        let start = match self.slots.take_next().map_err(damage)? {
            Some(start) => start,
            None => {
                self.lengthen(layout)?;
                // A chunk is opened with all its slots free.
                self.slots.take().ok_or(0).map_err(damage)?
            }
        };
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    fn lengthen(&self, layout: Layout) -> Result<(), Error> {
        let (total, used) = (self.slots.total(), self.slots.used());
        let full = Shortage::Full { total, used };
        if !self.grows {
            return Err(self.pool.refusal(layout, full));
        }
        match self.slots.lengthen(&self.pool) {
            Ok(()) => self.note_total(),
            Err(Error::OutOfMemory(OutOfMemory { cause, .. })) => {
                let bound = matches!(cause, Shortage::Full { .. });
                let cause = if bound { full } else { cause };
                return Err(self.pool.refusal(layout, cause));
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// # Safety
    ///
    /// As for [`Kind::deallocate`].
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_slowly(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.deallocate(ptr, layout) };
        }
        Err(self.slots.misuse(ptr, layout).into())
    }

    /// A piece in use, with another layout.
    fn resized(&self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Error> {
        let slot = self.slots.in_use(ptr, old)?;
        if !self.slots.shape().fits(new) {
            self.slots.fail();
            return Err(self.pool.refusal(new, self.slots.shape().lack(new)));
        }
        Ok(NonNull::slice_from_raw_parts(slot, new.size()))
    }
}

// SAFETY: a piece is a slot that was free and is now in use until it is given back; slots do not overlap, and
// are as large and aligned as the layouts that fit.
unsafe impl<H: Share> Kind for Fixed<H> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.slots.shape().fits(layout)
            && let Some(start) = self.slots.take()
        {
            return Ok(NonNull::slice_from_raw_parts(start, layout.size()));
        }
        self.allocate_slowly(layout)
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if self.slots.shape().fits(layout) && self.slots.give(ptr) {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.deallocate_slowly(ptr, layout) }
    }

    /// In place, or refused.
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
        self.resized(ptr, old, new)
    }

    /// In place.
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
        self.resized(ptr, old, new)
    }

    /// Keeps all chunks. O(chunks), at a word for 64 slots.
    fn reset(&mut self) -> Result<(), Error> {
        if self.pool.passes() {
            return self.pool.reset();
        }
        self.slots.reset().map_err(|at| self.pool.damage(at))
    }

    /// Whether the address lies in a slot, in use or not. O(1).
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        if self.pool.passes() {
            return self.pool.contains(ptr);
        }
        Ok(self.slots.holds(ptr.addr().get()))
    }

    /// Checks the chunks' heads, counts their slots, and then as [`Pool`] does. O(slots / 64).
    fn check(&self) -> Result<(), Error> {
        if !self.pool.passes() {
            let bytes = self.slots.check().map_err(|at| self.pool.damage(at))?;
            if bytes != self.pool.in_chunks() {
                return Err(self.pool.damage(0));
            }
        }
        self.pool.check()
    }

    fn usage(&self) -> Result<Usage, Error> {
        if self.pool.passes() {
            return self.pool.usage();
        }
        Ok(self.slots.usage())
    }
}
