//! What a `th_pool` is, and what all kinds of pools do.
//!
//! # Safety
//!
//! A pool's handle, with the pool itself behind it, lies in a block of its heap under the library's own tag.
//! A word in it says that it is one, see `handle.rs`. The pool borrows its heap, which by the header's
//! contract is destroyed after it or with it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use heap::{Error, Kind, Measure, OutOfMemory, Shortage, Tag};

use crate::answer::{self, Answer, given, put};
use crate::handle::th_heap;
use crate::status::th_status;

/// A pool: hands out pieces of the memory that it takes from a heap under a tag which is its own.
///
/// Made by th_pool_fixed and the like, ended by th_pool_destroy, or by th_heap_destroy with its heap.
pub struct th_pool {
    /// [`MARK`] and this place, as long as the pool lives.
    mark: AtomicU64,
    pub(crate) heap: &'static th_heap,
    tag: Tag,
    /// Of the block in which the handle and the pool lie.
    pub(crate) layout: Layout,
    /// The next in the heap's registry.
    pub(crate) next: Cell<Option<NonNull<th_pool>>>,
    /// The pool itself, once it is made.
    pub(crate) pooled: Cell<Option<NonNull<dyn Pooled>>>,
}

/// Numbers about a pool, in bytes, or in slots where its memory is equal slots.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct th_usage {
    /// Whether the numbers are slots.
    pub slots: bool,
    /// What can be in use at most: the bound; without one, what the pool has taken from the heap so far.
    pub total: usize,
    /// What is in use.
    pub used: usize,
    /// The most that was ever in use.
    pub peak: usize,
    /// Requests served.
    pub allocations: u64,
    /// Pieces given back, one by one or by a reset.
    pub deallocations: u64,
    /// Requests refused.
    pub failures: u64,
}

/// A pool of any kind, with a lock or without.
pub(crate) trait Pooled {
    fn kind(&self) -> &dyn Kind;
    fn kind_mut(&mut self) -> &mut dyn Kind;

    /// Takes the lock ahead of a fork, if there is one.
    fn before_fork(&self) -> Result<(), Error>;

    /// Gives it back.
    ///
    /// # Safety
    ///
    /// This thread called `before_fork`, and forked since.
    unsafe fn after_fork(&self);
}

const MARK: u64 = 0x7468_5f70_6f6f_6c21;

impl fmt::Debug for th_pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("th_pool").finish_non_exhaustive()
    }
}

impl th_pool {
    pub(crate) fn new(heap: &'static th_heap, tag: Tag, layout: Layout) -> Self {
        Self {
            mark: AtomicU64::new(0),
            heap,
            tag,
            layout,
            next: Cell::new(None),
            pooled: Cell::new(None),
        }
    }

    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    fn expected(&self) -> u64 {
        MARK ^ (&raw const *self).addr() as u64
    }

    /// Says that this is a pool, which is made.
    pub(crate) fn begin(&self) {
        self.mark.store(self.expected(), Ordering::Release);
    }

    /// Says that it is none any more; whether it was one.
    fn finish(&self) -> bool {
        let expected = self.expected();
        let order = Ordering::AcqRel;
        let done = self
            .mark
            .compare_exchange(expected, 0, order, Ordering::Relaxed);
        done.is_ok()
    }

    fn pooled(&self) -> Answer<NonNull<dyn Pooled>> {
        self.pooled.get().ok_or(th_status::TH_NOT_A_HANDLE.into())
    }

    /// The pool, shared.
    fn kind(&self) -> Answer<&dyn Kind> {
        let pooled = self.pooled()?;
        // SAFETY: made and not destroyed; who borrows it exclusively has no other caller, by the header's
        // contract for a reset.
        let pooled = unsafe { pooled.as_ref() };
        Ok(pooled.kind())
    }
}

/// Does something with a pool whose handle C gave us, and notes in its heap if that fails.
///
/// # Safety
///
/// The pointer is null, or to a pool that is there until the call ends, or to readable memory.
unsafe fn on<T>(pool: *const th_pool, work: impl FnOnce(&th_pool) -> Answer<T>) -> Answer<T> {
    let pointer = given(pool)?;
    if !pointer.is_aligned() {
        return Err(th_status::TH_NOT_A_HANDLE.into());
    }
    let offset = core::mem::offset_of!(th_pool, mark);
    let mark = pointer.map_addr(|at| at.saturating_add(offset));
    // SAFETY: readable by the caller's promise, and aligned.
    let mark = unsafe { mark.cast::<AtomicU64>().as_ref() };
    if mark.load(Ordering::Acquire) != MARK ^ pointer.addr().get() as u64 {
        return Err(th_status::TH_NOT_A_HANDLE.into());
    }
    // SAFETY: the word says that this is a handle, which is only ever shared.
    let pool = unsafe { pointer.as_ref() };
    pool.heap.note(work(pool))
}

/// The layout of a request under a tag.
pub(crate) fn layout(tag: Tag, size: usize, align: usize) -> Answer<Layout> {
    if !align.is_power_of_two() {
        return Err(th_status::TH_BAD_ALIGN.into());
    }
    Layout::from_size_align(size, align).map_err(|_| {
        let cause = Shortage::TooLarge;
        let lacking = OutOfMemory {
            tag,
            size,
            align,
            cause,
        };
        lacking.into()
    })
}

/// Hands out a piece of `size` bytes, aligned to `align`, a power of two. A size of 0 gets a piece of its own.
///
/// The piece is the caller's until it is given back, the pool is reset or destroyed, or its heap is.
/// Null on failure; `why`, unless it is null, gets the status: TH_FULL, TH_NO_MEMORY and the like,
/// TH_OVERSIZED, TH_OVERALIGNED, TH_BAD_ALIGN, TH_REENTERED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_allocate(
    pool: *mut th_pool,
    size: usize,
    align: usize,
    why: *mut th_status,
) -> *mut c_void {
    let take = |pool: &th_pool| Ok(pool.kind()?.allocate(layout(pool.tag, size, align)?)?);
    // SAFETY: the header's contract.
    let answer = unsafe { on(pool, take) };
    // SAFETY: as above.
    unsafe { answer::block(answer, why) }
}

/// Gives a piece back, with the size and alignment it was asked for with. A null piece is no error.
///
/// What is found to be misuse, each kind says; TH_NOT_FROM_HERE, TH_NOT_A_BLOCK, TH_DOUBLE_FREE,
/// TH_SIZE_MISMATCH, TH_OUT_OF_ORDER and the like.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_deallocate(
    pool: *mut th_pool,
    piece: *mut c_void,
    size: usize,
    align: usize,
) -> th_status {
    let give = |pool: &th_pool| {
        let (kind, layout) = (pool.kind()?, layout(pool.tag, size, align)?);
        let Some(piece) = NonNull::new(piece.cast()) else {
            return Ok(());
        };
        // SAFETY: the caller holds the piece, by the header's contract.
        Ok(unsafe { kind.deallocate(piece, layout) }?)
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, give) })
}

/// Makes a piece larger or smaller: in place where the kind can, else in a new piece, to which the bytes that
/// both have are copied. `align` is the piece's alignment, which it keeps.
///
/// Null on failure, as for th_pool_allocate and th_pool_deallocate; the piece stays as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_resize(
    pool: *mut th_pool,
    piece: *mut c_void,
    old_size: usize,
    align: usize,
    new_size: usize,
    why: *mut th_status,
) -> *mut c_void {
    let resize = |pool: &th_pool| {
        let (kind, old) = (pool.kind()?, layout(pool.tag, old_size, align)?);
        let (piece, new) = (given(piece)?.cast(), layout(pool.tag, new_size, align)?);
        if new_size >= old_size {
            // SAFETY: the caller holds the piece, by the header's contract.
            Ok(unsafe { kind.grow(piece, old, new) }?)
        } else {
            // SAFETY: as above.
            Ok(unsafe { kind.shrink(piece, old, new) }?)
        }
    };
    // SAFETY: the header's contract.
    let answer = unsafe { on(pool, resize) };
    // SAFETY: as above.
    unsafe { answer::block(answer, why) }
}

/// Takes all pieces back. Nobody uses them any more, nor the pool during the call, locked or not.
///
/// TH_DAMAGED_POOL, TH_DAMAGED_HEADER or TH_REENTERED on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_reset(pool: *mut th_pool) -> th_status {
    let reset = |pool: &th_pool| {
        let mut pooled = pool.pooled()?;
        // SAFETY: nobody else uses the pool during this call, by the header's contract.
        let pooled = unsafe { pooled.as_mut() };
        Ok(pooled.kind_mut().reset()?)
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, reset) })
}

/// Whether the address lies in memory from which this pool hands out pieces. False on failure too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_contains(pool: *const th_pool, address: *const c_void) -> bool {
    let contains = |pool: &th_pool| Ok(pool.kind()?.contains(given(address)?.cast())?);
    // SAFETY: the header's contract.
    unsafe { on(pool, contains) }.unwrap_or(false)
}

/// Checks what the pool notes about its memory. TH_OK, or the damage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_check(pool: *const th_pool) -> th_status {
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, |pool| Ok(pool.kind()?.check()?)) })
}

/// Numbers about the pool, to `usage`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_usage(pool: *const th_pool, usage: *mut th_usage) -> th_status {
    let tell = |pool: &th_pool| {
        let numbers = pool.kind()?.usage()?;
        let numbers = th_usage {
            slots: numbers.measure == Measure::Slots,
            total: numbers.total,
            used: numbers.used,
            peak: numbers.peak,
            allocations: numbers.allocations,
            deallocations: numbers.deallocations,
            failures: numbers.failures,
        };
        // SAFETY: the header's contract.
        unsafe { put(given(usage)?.as_ptr(), numbers) };
        Ok(())
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, tell) })
}

/// The tag that the pool owns; 0 if there is no pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_tag(pool: *const th_pool) -> u64 {
    // SAFETY: the header's contract.
    unsafe { on(pool, |pool| Ok(pool.tag.number())) }.unwrap_or(0)
}

/// Takes the pool's lock ahead of a fork, if it has one; see th_heap_before_fork, which comes after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_before_fork(pool: *mut th_pool) -> th_status {
    let lock = |pool: &th_pool| {
        let pooled = pool.pooled()?;
        // SAFETY: made and not destroyed.
        Ok(unsafe { pooled.as_ref() }.before_fork()?)
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, lock) })
}

/// Gives the lock back that th_pool_before_fork took: once in the parent, and once in the child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_after_fork(pool: *mut th_pool) -> th_status {
    let unlock = |pool: &th_pool| {
        let pooled = pool.pooled()?;
        // SAFETY: made and not destroyed.
        let pooled = unsafe { pooled.as_ref() };
        // SAFETY: this thread took the lock and forked, by the header's contract.
        unsafe { pooled.after_fork() };
        Ok(())
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, unlock) })
}

/// Ends a pool: all its memory goes back to the heap, and its tag is free again. Null is no error.
///
/// Nobody uses its pieces any more, nor the pool during the call. If the heap is damaged, TH_DAMAGED_HEADER or
/// the like; the pool is gone then all the same, and what it held stays in the heap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_destroy(pool: *mut th_pool) -> th_status {
    if pool.is_null() {
        return th_status::TH_OK;
    }
    let destroy = |pool: &th_pool| {
        let heap = pool.heap;
        // Nothing is done while the heap is busy.
        heap.look(|_| Ok(()))?;
        let pooled = pool.pooled()?;
        if !pool.finish() {
            return Err(th_status::TH_NOT_A_HANDLE.into());
        }
        // SAFETY: made, and destroyed here only, for the word above says so once.
        unsafe { pooled.drop_in_place() };
        let (tag, handle) = (pool.tag, NonNull::from(pool));
        // SAFETY: nobody uses it any more but this call, which does not after this.
        let unlinked = unsafe { remove(heap, handle) };
        unlinked?;
        heap.look(|heap| {
            if heap.stats_of(tag)?.blocks > 0 {
                heap.check()?;
                return Err(th_status::TH_DAMAGED_ACCOUNT.into());
            }
            Ok(())
        })
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on_last(pool, destroy) })
}

/// As [`on`], for a work after which the handle is gone.
///
/// # Safety
///
/// As for [`on`].
unsafe fn on_last(pool: *mut th_pool, work: impl FnOnce(&th_pool) -> Answer<()>) -> Answer<()> {
    // SAFETY: the caller's promise.
    let heap = unsafe { on(pool, |pool| Ok(pool.heap)) }?;
    let pool = given(pool)?;
    // SAFETY: it is a handle, as was just seen.
    let answer = work(unsafe { pool.as_ref() });
    heap.note(answer)
}

/// Takes a handle from its heap's registry, and gives its block back.
///
/// # Safety
///
/// Nobody uses the handle afterwards.
pub(crate) unsafe fn remove(heap: &th_heap, pool: NonNull<th_pool>) -> Answer<()> {
    heap.with(|heap, registry| {
        registry.remove(pool);
        // SAFETY: the handle is there until its block is given back.
        let layout = unsafe { pool.as_ref() }.layout;
        // SAFETY: the library's own block, which nobody uses any more.
        Ok(unsafe { heap.deallocate(pool.cast(), layout) }?)
    })
}
