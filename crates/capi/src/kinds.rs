//! Pools of every kind, made on a heap.
//!
//! # Safety
//!
//! What C gives to make a pool with is read: null, or the caller vouches for it.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use heap::{Buddy, Bump, Fixed, FreeList, Level, LockFree, Priority, SizeClasses, Stack};

use crate::alarm::th_alarm;
use crate::answer::{Answer, given};
use crate::create::TH_LOCKED;
use crate::handle::th_heap;
use crate::making::{Request, create};
use crate::pooled::{layout, th_pool};
use crate::status::th_status;

/// Settings of a pool. All zero is a pool without a bound, for one thread, which calls nobody.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct th_pool_options {
    /// Some of TH_LOCKED, TH_PASS_THROUGH, TH_BORROW and TH_TIMED, or 0.
    pub flags: u32,
    /// Bytes of payload that the pool may take from its heap; 0 for as many as it likes.
    pub bound: usize,
    /// Whom the pool calls at its watermark, or null.
    pub alarm: th_alarm,
    /// What it is called with besides. The caller's own, or null.
    pub context: *mut c_void,
    /// The watermark: so many percent of what the pool can have in use at most. 0 stands for 90.
    pub percent: u32,
}

impl Default for th_pool_options {
    fn default() -> Self {
        Self {
            flags: 0,
            bound: 0,
            alarm: None,
            context: ptr::null_mut(),
            percent: 0,
        }
    }
}

/// Slots of one size.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct th_class {
    /// Bytes of a slot. 0 counts as 1.
    pub size: usize,
    /// How many slots.
    pub slots: usize,
}

impl From<th_class> for (usize, usize) {
    fn from(class: th_class) -> Self {
        (class.size, class.slots)
    }
}

/// A pool of th_pool_classes or th_pool_priority: when all slots meant for a request are in use, it takes one that
/// is larger, or meant for less important requests.
pub const TH_BORROW: u32 = 4;

/// A pool that notes how long its operations take, the last and the longest of each, and how often one takes longer
/// than it may; see th_pool_timing. Each takes some ten nanoseconds more, which do not count. What is in between
/// does, interruptions by the kernel and the wait for the pool's lock included.
pub const TH_TIMED: u32 = 16;

/// How many classes a pool can have.
pub const TH_CLASSES: usize = 8;

/// What must not fail.
pub const TH_CRITICAL: u32 = 0;
/// What usually comes.
pub const TH_NORMAL: u32 = 1;
/// Large objects.
pub const TH_LARGE: u32 = 2;
/// What goes soon.
pub const TH_TEMPORARY: u32 = 3;

/// A pool that is no more than a tag of its own: each piece is a block of the heap's, with a header of 32 bytes.
///
/// For all kinds of pools:
///
/// The pool takes its memory from `heap` under `tag`, which is its own as long as it lives: blocks under the tag
/// are neither handed out, given back, released nor retagged by the heap's own functions then, which answer
/// TH_TAG_IN_USE. `options` may be null. The heap is destroyed after its pools or with them. Without TH_LOCKED,
/// a pool is for one thread at a time.
///
/// Null on failure; `why`, unless it is null, gets the status: TH_NO_MEMORY and the like, TH_RESERVED_TAG,
/// TH_TAG_IN_USE if somebody holds blocks under the tag, TH_NOT_LOCKED, TH_BAD_FLAGS, TH_OUT_OF_RANGE for more than
/// 100 percent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_blocks(
    heap: *mut th_heap,
    tag: u64,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| request.make(heap, Ok);
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// A pool of `slots` equal slots, each for up to `size` bytes aligned to `align`. Takes all its memory now.
///
/// A request takes one slot, whatever its size. Double frees, interior and foreign pointers are found.
/// TH_BAD_ALIGN besides.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_fixed(
    heap: *mut th_heap,
    tag: u64,
    size: usize,
    align: usize,
    slots: usize,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| {
        let layout = layout(request.tag, size, align)?;
        request.make(heap, |pool| Ok(Fixed::new(pool, layout, slots)?))
    };
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// As th_pool_fixed, but takes a chunk of at least `slots` slots whenever none is free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_fixed_growing(
    heap: *mut th_heap,
    tag: u64,
    size: usize,
    align: usize,
    slots: usize,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| {
        let layout = layout(request.tag, size, align)?;
        request.make(heap, |pool| Ok(Fixed::growing(pool, layout, slots)?))
    };
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// As th_pool_fixed, for threads and signal handlers that take and give back slots at once, without a lock.
///
/// Its heap has a lock if several threads use the pool; that is for reset, check and destroy. It needs no TH_LOCKED.
/// With TH_PASS_THROUGH it has a lock, and is not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_lock_free(
    heap: *mut th_heap,
    tag: u64,
    size: usize,
    align: usize,
    slots: usize,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, mut request: Request| {
        let layout = layout(request.tag, size, align)?;
        request.flags &= !TH_LOCKED;
        request.make(heap, |pool| Ok(LockFree::new(pool, layout, slots)?))
    };
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// A pool that only moves a cursor through chunks that double: an arena.
///
/// Pieces of any size and alignment, without headers. The last one can be given back and resized in place; what
/// others give back stays in use until a reset or a rewind. A reset keeps the newest chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_bump(
    heap: *mut th_heap,
    tag: u64,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| request.make(heap, |pool| Ok(Bump::new(pool)));
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// A pool for objects of any size that come and go and all go at once in the end: as fast as an arena, and single
/// pieces are given back.
///
/// Pieces of up to 32 KiB, rounded up to one of a row of sizes, come from chunks that grow with the pool; what is
/// given back serves the next request of its size. Larger ones are blocks of the heap's own. A reset keeps the
/// chunks, unless larger ones are out: then all goes back.
/// Double frees, interior and foreign pointers are found.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_size_classes(
    heap: *mut th_heap,
    tag: u64,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| request.make(heap, |pool| Ok(SizeClasses::new(pool)));
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// As th_pool_size_classes, but the first chunk has `bytes` bytes, header and notes and all, if the pool and the heap have
/// that: what the pool will usually hold, and a twelfth. The next three have room for four times as many bytes of pieces as
/// the one before, those behind twice.
///
/// From 1 KiB to 1 TiB, rounded down to 16; what is less or more counts as these. With th_pool_size_classes a chunk has
/// 16 KiB at first, or as many bytes as the tag held at most before, up to 1 MiB; 16 KiB in a buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_size_classes_with_chunk(
    heap: *mut th_heap,
    tag: u64,
    bytes: usize,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| {
        request.make(heap, |pool| Ok(SizeClasses::with_chunk(pool, bytes)))
    };
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// A stack of `bytes` bytes, in one block of the heap's: the piece put on last is given back first.
///
/// Sizes are rounded up to 8. A piece given back out of order is TH_OUT_OF_ORDER. Only the piece on top grows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_stack(
    heap: *mut th_heap,
    tag: u64,
    bytes: usize,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| request.make(heap, |pool| Ok(Stack::new(pool, bytes)?));
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// As th_pool_stack, with a limit: a request of more than `limit` bytes is TH_OVERSIZED, whatever room there is.
///
/// Without one, the limit is all that the stack has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_stack_with_limit(
    heap: *mut th_heap,
    tag: u64,
    bytes: usize,
    limit: usize,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| {
        request.make(heap, |pool| Ok(Stack::new(pool, bytes)?.with_limit(limit)))
    };
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// `bytes` bytes, in one block of the heap's, divided into pieces of any size that come back in any order.
///
/// A request takes the lowest free place that fits; sizes are rounded up to 16, and nothing stands in front of a
/// piece. Double frees, interior and foreign pointers are found.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_free_list(
    heap: *mut th_heap,
    tag: u64,
    bytes: usize,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| request.make(heap, |pool| Ok(FreeList::new(pool, bytes)?));
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// A buddy system over `bytes` bytes, in one block of the heap's: pieces are powers of two, down to `smallest`.
///
/// Both numbers are rounded up to a power of two, the second to 16 at least. A call takes O(log blocks) at most.
/// Double frees, interior and foreign pointers are found.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_buddy(
    heap: *mut th_heap,
    tag: u64,
    bytes: usize,
    smallest: usize,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make =
        |heap, request: Request| request.make(heap, |pool| Ok(Buddy::new(pool, bytes, smallest)?));
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// A pool of slots in several sizes: `count` classes, from 1 to TH_CLASSES. Takes all its memory now.
///
/// A request takes a slot of the smallest class that fits; when that is full it is refused, or with TH_BORROW takes
/// a slot of the next larger class that has one. Slots are aligned to the largest power of two, up to 4096, that
/// divides their size. TH_OUT_OF_RANGE besides.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_classes(
    heap: *mut th_heap,
    tag: u64,
    classes: *const th_class,
    count: usize,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| {
        // SAFETY: the header's contract.
        match *unsafe { read_classes(classes, count) }? {
            [a] => request.classes(heap, [a]),
            [a, b] => request.classes(heap, [a, b]),
            [a, b, c] => request.classes(heap, [a, b, c]),
            [a, b, c, d] => request.classes(heap, [a, b, c, d]),
            [a, b, c, d, e] => request.classes(heap, [a, b, c, d, e]),
            [a, b, c, d, e, f] => request.classes(heap, [a, b, c, d, e, f]),
            [a, b, c, d, e, f, g] => request.classes(heap, [a, b, c, d, e, f, g]),
            [a, b, c, d, e, f, g, h] => request.classes(heap, [a, b, c, d, e, f, g, h]),
            _ => Err(th_status::TH_OUT_OF_RANGE.into()),
        }
    };
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}

/// # Safety
///
/// So many classes are there, or the pointer is null.
unsafe fn read_classes<'a>(classes: *const th_class, count: usize) -> Answer<&'a [th_class]> {
    let classes = given(classes)?;
    if !(1..=TH_CLASSES).contains(&count) {
        return Err(th_status::TH_OUT_OF_RANGE.into());
    }
    // SAFETY: the caller's promise; nobody changes them during the call.
    Ok(unsafe { NonNull::slice_from_raw_parts(classes, count).as_ref() })
}

/// A pool of slots for four levels of importance, so that requests of one leave those of others alone.
///
/// `levels` says the size and count of slots for each, TH_CRITICAL first; null for 64 slots of 32 bytes, 32 of 128, 8
/// of 1024 and 16 of 256. Requests name their level by th_pool_allocate_at; those that name none are TH_TEMPORARY.
/// When a level is full, a request to it is refused, or with TH_BORROW takes a slot of a less important one. Takes
/// all its memory now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_priority(
    heap: *mut th_heap,
    tag: u64,
    levels: *const th_class,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    let make = |heap, request: Request| {
        let mut sizes = Level::SIZES;
        if !levels.is_null() {
            // SAFETY: the header's contract.
            let levels = unsafe { read_classes(levels, sizes.len()) }?;
            sizes =
                core::array::from_fn(|level| levels.get(level).copied().unwrap_or_default().into());
        }
        let when_full = request.when_full();
        let made = |pool| Ok(Priority::with_sizes(pool, sizes, when_full)?);
        request.make(heap, made)
    };
    // SAFETY: the header's contract.
    unsafe { create(heap, (tag, options), why, make) }
}
