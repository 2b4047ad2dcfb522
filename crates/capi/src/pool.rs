//! What all kinds of pools do.
//!
//! # Safety
//!
//! Handles and pieces come from C; what of them is checked, and by whom, the header says.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::ptr::NonNull;

use heap::{Measure, Misuse, Usage};

use crate::answer::{self, Answer, given, put};
use crate::making;
use crate::pooled::{layout, on, th_pool};
use crate::status::th_status;

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

impl From<Usage> for th_usage {
    fn from(usage: Usage) -> Self {
        Self {
            slots: usage.measure == Measure::Slots,
            total: usage.total,
            used: usage.used,
            peak: usage.peak,
            allocations: usage.allocations,
            deallocations: usage.deallocations,
            failures: usage.failures,
        }
    }
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
    let take = |pool: &th_pool| Ok(pool.kind()?.allocate(layout(pool.tag(), size, align)?)?);
    // SAFETY: the header's contract.
    let answer = unsafe { on(pool, take) };
    // SAFETY: as above.
    unsafe { answer::block(answer, why) }
}

/// As th_pool_allocate, for a request of a level, from a pool of th_pool_priority: TH_CRITICAL, TH_NORMAL, TH_LARGE or
/// TH_TEMPORARY. TH_WRONG_KIND, TH_OUT_OF_RANGE besides.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_allocate_at(
    pool: *mut th_pool,
    level: u32,
    size: usize,
    align: usize,
    why: *mut th_status,
) -> *mut c_void {
    let take = |pool: &th_pool| {
        let layout = layout(pool.tag(), size, align)?;
        pool.shared()?.allocate_at(level as usize, layout)
    };
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
        let kind = pool.kind()?;
        let Some(piece) = NonNull::new(piece.cast()) else {
            return Ok(());
        };
        let layout = layout(pool.tag(), size, align)?;
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
        let (kind, old) = (pool.kind()?, layout(pool.tag(), old_size, align)?);
        let (piece, new) = (given(piece)?.cast(), layout(pool.tag(), new_size, align)?);
        refuse_unreadable(pool, piece, old_size)?;
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

/// Refuses a piece that a kind could not copy: one that does not lie in the pool's memory, all of it. Whether it is
/// one is for the kind to say.
fn refuse_unreadable(pool: &th_pool, piece: NonNull<u8>, size: usize) -> Answer<()> {
    let kind = pool.kind()?;
    if !kind.contains(piece)? {
        let address = piece.addr().get();
        return Err(Misuse::NotFromHere { address }.into());
    }
    let last = piece.addr().checked_add(size.saturating_sub(1));
    if let Some(last) = last
        && kind.contains(piece.with_addr(last))?
    {
        return Ok(());
    }
    // Where pieces are blocks, a pool contains their first bytes.
    let usable = pool.heap.look(|heap| Ok(heap.usable_size(piece)?));
    match usable {
        Ok(usable) if size <= usable => Ok(()),
        _ => Err(th_status::TH_SIZE_MISMATCH.into()),
    }
}

/// Takes all pieces back. Nobody uses them any more, nor the pool during the call, locked or not.
///
/// TH_DAMAGED_POOL, TH_DAMAGED_HEADER or TH_REENTERED on failure; TH_REENTERED from its alarm, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_reset(pool: *mut th_pool) -> th_status {
    let reset = |pool: &th_pool| {
        pool.watch.refuse_ringing()?;
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

/// Gives chunks in which nothing is in use back to the heap, for other tags: of a pool of th_pool_size_classes those that
/// a reset kept, and all where nothing is in use; of th_pool_fixed_growing any; of th_pool_fixed none. `bytes`, unless it
/// is null, gets how much. th_trim and th_purge give the heap's to the kernel. O(chunks), or O(slots) of equal size.
///
/// TH_WRONG_KIND: others have no such chunks, or give them back by a reset. TH_REENTERED from inside a lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_trim(pool: *mut th_pool, bytes: *mut usize) -> th_status {
    // SAFETY: the header's contract.
    let trimmed = unsafe { on(pool, |pool| pool.shared()?.trim()) };
    // SAFETY: as above.
    answer::status(trimmed.map(|trimmed| unsafe { put(bytes, trimmed) }))
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
    let tell = |pool: &th_pool| Ok(pool.kind()?.usage()?);
    // SAFETY: the header's contract.
    unsafe { numbers(pool, usage, tell) }
}

/// Numbers about a part of the pool, to `usage`: a class of th_pool_classes, in the order in which they were given, or
/// a level of th_pool_priority. TH_WRONG_KIND, TH_OUT_OF_RANGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_usage_of(
    pool: *const th_pool,
    part: usize,
    usage: *mut th_usage,
) -> th_status {
    // SAFETY: the header's contract.
    unsafe { numbers(pool, usage, |pool| pool.shared()?.usage_of(part)) }
}

/// # Safety
///
/// The pointers are what the header says.
unsafe fn numbers(
    pool: *const th_pool,
    place: *mut th_usage,
    question: impl FnOnce(&th_pool) -> Answer<Usage>,
) -> th_status {
    let tell = |pool: &th_pool| {
        let place = given(place)?;
        let usage = question(pool)?;
        // SAFETY: the caller's promise.
        unsafe { put(place.as_ptr(), usage.into()) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    answer::status(unsafe { on(pool, tell) })
}

/// The tag that the pool owns; 0 if there is no pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_tag(pool: *const th_pool) -> u64 {
    // SAFETY: the header's contract.
    unsafe { on(pool, |pool| Ok(pool.tag().number())) }.unwrap_or(0)
}

/// Takes the pool's lock ahead of a fork, if it has one; see th_heap_before_fork, which comes after it. A pool of
/// th_pool_lock_free has one for th_pool_check, and for all with TH_PASS_THROUGH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_before_fork(pool: *mut th_pool) -> th_status {
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, |pool| Ok(pool.shared()?.before_fork()?)) })
}

/// Gives the lock back that th_pool_before_fork took: once in the parent, and once in the child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_after_fork(pool: *mut th_pool) -> th_status {
    let unlock = |pool: &th_pool| {
        let pooled = pool.shared()?;
        // SAFETY: this thread took the lock and forked, by the header's contract.
        unsafe { pooled.after_fork() };
        Ok(())
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, unlock) })
}

/// Ends a pool: all its memory goes back to the heap, and its tag is free again. Null is no error.
///
/// Nobody uses its pieces any more, nor the pool during the call. TH_REENTERED from its alarm, and while the heap is
/// busy. If the heap is damaged, TH_DAMAGED_HEADER or the like; the pool is gone then all the same, and what it held
/// stays in the heap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_destroy(pool: *mut th_pool) -> th_status {
    if pool.is_null() {
        return th_status::TH_OK;
    }
    let destroy = |pool: &th_pool| {
        let heap = pool.heap;
        // Nothing is done while the pool or the heap is busy.
        pool.watch.refuse_ringing()?;
        heap.look(|_| Ok(()))?;
        let pooled = pool.pooled()?;
        if !pool.finish() {
            return Err(th_status::TH_NOT_A_HANDLE.into());
        }
        // SAFETY: made, and destroyed here only, for the word above says so once.
        unsafe { pooled.drop_in_place() };
        let (tag, handle) = (pool.tag(), NonNull::from(pool));
        // SAFETY: nobody uses it any more but this call, which does not after this.
        let unlinked = unsafe { making::remove(heap, handle) };
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
