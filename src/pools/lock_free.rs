//! Equal slots that several threads and signal handlers share, without a lock.
//!
//! # Safety
//!
//! A chunk holds [links] and, behind them, slots. A slot is handed out by whoever popped its number, and its
//! number is pushed once only when it is given back, so nobody else holds it.
#![allow(unsafe_code)]

mod links;
mod refused;

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::pools::chunk::Chunk;
use crate::pools::kind::{self, Kind};
use crate::pools::meter::Watermark;
use crate::pools::pool::Pool;
use crate::pools::stride::Stride;
use crate::pools::treiber::{Line, Miss, Popped, Stack};
use crate::sharing::lock::Guarded;
use crate::sharing::share::Share;
use crate::sharing::shared_heap::Futex;
use crate::words::error::{Error, Misuse, Shortage};
use crate::words::tag::Tag;
use crate::words::usage::{Measure, Usage};

use links::Links;

/// Equal slots that several threads and signal handlers take and give back at once, without a lock.
///
/// A stack after Treiber (IBM RJ 5118, 1986): the slot given back last is handed out first. Its head counts
/// pops, so that a thread that was held up for long is not misled by a slot that came back meanwhile (the ABA
/// fault), unless 2^40 pops passed it by. After construction no request goes to the heap or the kernel, or
/// waits for anybody: a thread that is stopped, or killed, in the middle of a request holds nobody up, and a
/// signal handler may use a pool which the thread it interrupted was using.
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{Heap, LockFree, Pool, Reserve, SharedHeap, Tag, Typed};
///
/// let heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?);
/// let pool = Pool::new(&heap, Tag::named("messages"));
/// let messages = LockFree::new(pool, Layout::new::<[u64; 8]>(), 100)?;
/// let (send, receive) = std::sync::mpsc::channel();
/// std::thread::scope(|scope| {
///     let messages = &messages;
///     scope.spawn(move || {
///         for number in 0..10 {
///             send.send(messages.own([number; 8])?).ok();
///         }
///         Ok::<(), tagheap::Error>(())
///     });
///     assert_eq!(receive.iter().map(|message| message[7]).sum::<u64>(), 45);
/// });
/// assert_eq!(tagheap::Kind::usage(&messages)?.live(), 0);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// A request takes O(1) when nobody else is at it, and each time somebody is in its way, that one got on.
/// A slot costs 8 bytes beside it, where no user's pointer leads: what is written to a slot that was given
/// back harms nobody but the slot's next holder. Foreign and interior pointers are found, and of two that give
/// the same slot back, even at once, one is told so.
///
/// What it counts is exact at every moment; allocations are counted modulo 2^40. With pooling switched off
/// ([`Pool::pass_through`]) it is a locked [`Pool`], and not for signal handlers.
// In this order, so that what every request reads lies in a line of its own behind the stack's two.
#[repr(C)]
pub struct LockFree<H: Share> {
    stack: Stack<Links>,
    /// Slots' first byte.
    start: NonNull<u8>,
    stride: Stride,
    /// What a slot is for.
    layout: Layout,
    /// How many slots must be in use for a call.
    mark: usize,
    /// The most that were in use. Read by every request, so apart from what requests write.
    peak: AtomicUsize,
    slots: usize,
    tag: Tag,
    watermark: Watermark,
    passes: bool,
    failures: Line<AtomicU64>,
    /// Owns the memory. Used when pooling is switched off, to check, and to reset; hence not in the way.
    pool: Guarded<Pool<H>, Futex>,
}

// SAFETY: the one field that is neither by itself is the slots' address, which nobody reads or writes through
// without holding a slot; the pool goes along, so it must be one that can.
unsafe impl<H: Share> Send for LockFree<H> where Guarded<Pool<H>, Futex>: Send {}
// SAFETY: as above; requests go through atomics, or through the lock.
unsafe impl<H: Share> Sync for LockFree<H> where Guarded<Pool<H>, Futex>: Sync {}

impl<H: Share> LockFree<H> {
    /// So many slots in a pool, each for any request up to `layout`, in size and alignment. Takes all its
    /// memory now: a slot's size rounded up to its alignment for each, and 8 bytes for each, these together rounded up
    /// to that, too; from 4 KiB of slots on up to 63 bytes more, so that each lies in as few cache lines as can be.
    /// O(slots), but leaves the slots' pages untouched.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`]; [`Shortage::TooLarge`] for more than 2^24 − 1 slots. Nothing is held then.
    pub fn new(pool: Pool<H>, layout: Layout, slots: usize) -> Result<Self, Error> {
        let layout = kind::at_least_one(layout);
        let padded = layout.pad_to_align();
        let passes = pool.passes();
        let planned = links::plan(padded, slots).ok_or(Shortage::TooLarge);
        let (chunk, start) = planned.map_err(|cause| pool.refusal(layout, cause))?;
        let (links, start) = if passes {
            (Links::none(), NonNull::dangling())
        } else {
            let chunk = pool.take_chunk(chunk)?;
            // SAFETY: the plan put so many links at the chunk's start, aligned, and slots behind them; the
            // chunk is the pool's, which this value keeps.
            let links = unsafe { Links::new(chunk.start().cast(), slots) };
            (links, slots_in(chunk, start))
        };
        Ok(Self {
            stack: Stack::new(links),
            start,
            stride: Stride::new(padded.size()),
            slots: if passes { 0 } else { slots },
            layout,
            tag: pool.tag(),
            watermark: pool.watermark(),
            mark: pool.watermark().of(slots),
            peak: AtomicUsize::new(0),
            failures: Line(AtomicU64::new(0)),
            pool: Guarded::new(pool),
            passes,
        })
    }

    /// The tag under which its memory is.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// What a slot is for: the largest size and alignment of a request.
    pub fn slot(&self) -> Layout {
        self.layout
    }

    /// Where its slots start, their bytes, and whether each is in use.
    pub(crate) fn states(&self) -> (usize, usize, impl Iterator<Item = bool>) {
        let in_use = (0..self.slots).map(|index| self.stack.is_used(index));
        (self.start.addr().get(), self.stride.bytes(), in_use)
    }

    /// Takes the lock behind which it is checked, and serves with pooling switched off, ahead of a fork; before the heap's,
    /// see [`SharedHeap`](crate::SharedHeap#fork). Slots come and go without it.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] if this thread has it already, or waits for it.
    pub fn before_fork(&self) -> Result<(), Misuse> {
        self.pool.before_fork()
    }

    /// Gives the lock back after a fork, in the parent and in the child.
    ///
    /// # Safety
    ///
    /// This thread called [`before_fork`](LockFree::before_fork), which succeeded, and forked since; it is called
    /// once in the parent and once in the child.
    pub unsafe fn after_fork(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.pool.after_fork() };
    }

    #[inline]
    fn admits(&self, layout: Layout) -> bool {
        layout.size() <= self.layout.size() && layout.align() <= self.layout.align()
    }

    /// Hands out what was popped, and notes how many slots are in use now.
    #[inline]
    fn hand_out(&self, popped: Popped, layout: Layout) -> NonNull<[u8]> {
        let Popped { index, used } = popped;
        if used > self.peak.load(Ordering::Relaxed) || used == self.mark {
            return self.hand_out_at_peak(popped, layout);
        }
        self.piece(index, layout)
    }

    #[cold]
    fn hand_out_at_peak(&self, popped: Popped, layout: Layout) -> NonNull<[u8]> {
        let Popped { index, used } = popped;
        self.peak.fetch_max(used, Ordering::Relaxed);
        // Each slot more is one request's, so just one meets the mark on the way up.
        if used == self.mark {
            self.watermark.call(self.tag, &self.numbers());
        }
        self.piece(index, layout)
    }

    /// The slot of a number.
    #[inline]
    fn piece(&self, index: usize, layout: Layout) -> NonNull<[u8]> {
        // SAFETY: numbers in the stack are below the slots', all of which lie in the chunk behind its start.
        let slot = unsafe { self.start.add(index * self.stride.bytes()) };
        NonNull::slice_from_raw_parts(slot, layout.size())
    }

    /// A slot, for a request that was not the first at the top; or why there is none.
    #[cold]
    fn allocate_after(&self, miss: Miss, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        match self.stack.pop_after(miss) {
            Ok(Some(popped)) => Ok(self.hand_out(popped, layout)),
            Ok(None) => self.without_slot(layout),
            Err(index) => Err(self.damage(index)),
        }
    }

    /// Why a request got no slot; with pooling switched off, what the heap answers.
    #[cold]
    fn without_slot(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.passes {
            return self.pool.with(|pool| pool.allocate(layout))?;
        }
        Err(self.refused(layout, self.shortage(layout)))
    }

    /// Why a piece is no slot in use; with pooling switched off, what the heap answers.
    ///
    /// # Safety
    ///
    /// As for [`Kind::deallocate`].
    #[cold]
    unsafe fn without_push(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if !self.passes {
            return Err(self.misuse(ptr, layout));
        }
        self.pool.with(|pool| {
            // SAFETY: the caller's promise.
            unsafe { pool.deallocate(ptr, layout) }
        })?
    }

    /// The number of a slot that starts there; too large a number if none does.
    #[inline]
    fn index_of(&self, ptr: NonNull<u8>) -> usize {
        let offset = ptr.addr().get().wrapping_sub(self.start.addr().get());
        self.stride.index(offset)
    }

    fn holds(&self, address: usize) -> bool {
        let offset = address.wrapping_sub(self.start.addr().get());
        offset < self.slots * self.stride.bytes()
    }

    /// Resizes a piece, which stays in its slot.
    fn resize(&self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Error> {
        let index = self.index_of(ptr);
        if !self.admits(old) || !self.stack.is_used(index) {
            return Err(self.misuse(ptr, old));
        }
        if !self.admits(new) {
            return Err(self.refused(new, self.shortage(new)));
        }
        // Reaches the whole slot, where the caller's pointer may reach no further than his value.
        Ok(self.piece(index, new))
    }

    fn numbers(&self) -> Usage {
        let counts = self.stack.counts();
        Usage {
            measure: Measure::Slots,
            total: self.slots,
            used: counts.used,
            // Whoever took a slot just now notes it in a moment.
            peak: self.peak.load(Ordering::Relaxed).max(counts.used),
            allocations: counts.pops,
            deallocations: counts.pops.saturating_sub(counts.used as u64),
            failures: self.failures.0.load(Ordering::Relaxed),
        }
    }
}

/// The first slot, so many bytes into a chunk.
fn slots_in(chunk: Chunk, start: usize) -> NonNull<u8> {
    chunk.pointer(chunk.base() + start)
}

// SAFETY: a slot is handed out by whoever popped its number, which is not pushed before it is given back; it
// is as large and aligned as the pool's layout, which no request exceeds.
unsafe impl<H: Share> Kind for LockFree<H> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        if !self.admits(layout) {
            return self.without_slot(layout);
        }
        match self.stack.try_pop() {
            Ok(popped) => Ok(self.hand_out(popped, layout)),
            Err(miss) => self.allocate_after(miss, layout),
        }
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if self.admits(layout) && self.stack.push(self.index_of(ptr)) {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.without_push(ptr, layout) }
    }

    /// In its slot, or not at all.
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() < old.size() {
            return Err(kind::wrong_way(old, new));
        }
        if self.passes {
            // SAFETY: the caller's promise.
            return self.pool.with(|pool| unsafe { pool.grow(ptr, old, new) })?;
        }
        self.resize(ptr, old, new)
    }

    /// In its slot.
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() > old.size() {
            return Err(kind::wrong_way(old, new));
        }
        if self.passes {
            // SAFETY: the caller's promise.
            return self
                .pool
                .with(|pool| unsafe { pool.shrink(ptr, old, new) })?;
        }
        self.resize(ptr, old, new)
    }

    /// Keeps its slots.
    fn reset(&mut self) -> Result<(), Error> {
        if self.passes {
            return self.pool.get_mut().reset();
        }
        self.stack.refill();
        Ok(())
    }

    /// Whether the address lies in a slot. O(1).
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        if self.passes {
            return self.pool.with(|pool| pool.contains(ptr))?;
        }
        Ok(self.holds(ptr.addr().get()))
    }

    /// Checks the links of the free slots, and then as [`Pool`] does. Links can be checked only while nobody
    /// takes slots or gives them back: after a few attempts they are left at that.
    fn check(&self) -> Result<(), Error> {
        self.stack.check().map_err(|index| self.damage(index))?;
        self.pool.with(|pool| pool.check())?
    }

    fn usage(&self) -> Result<Usage, Error> {
        if self.passes {
            return self.pool.with(|pool| pool.usage())?;
        }
        Ok(self.numbers())
    }
}

impl<H: Share> fmt::Debug for LockFree<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockFree")
            .field("tag", &self.tag)
            .field("slot", &self.layout)
            .field("slots", &self.slots)
            .field("counts", &self.stack.counts())
            .finish_non_exhaustive()
    }
}
