//! Single blocks: taken, given back, resized, given to another tag, asked about.
//!
//! # Safety
//!
//! Blocks come back from C as pointers, which the heap checks before it follows them; that nobody uses a block
//! that is given back is the header's contract.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ffi::c_void;
use core::ptr::NonNull;

use heap::{Heap, Misuse, Tag};

use crate::answer::{self, Answer, given, put};
use crate::ground::Ground;
use crate::handle::{on, refuse_owned, th_heap};
use crate::pooled::layout;
use crate::registry::Registry;
use crate::status::th_status;

/// Allocates `size` bytes under `tag`, aligned to `align`, a power of two, and to 16 at least.
///
/// The lowest free block that fits is taken; it costs a header of 32 bytes, and sizes are rounded up to 16. A size
/// of 0 gets a block of its own. The bytes hold whatever was there. The block is the caller's until he gives it
/// back, its tag is released, or the heap is destroyed.
///
/// Null on failure; `why`, unless it is null, gets the status, and `errno`, in a program that has one, ENOMEM,
/// EINVAL, EDEADLK or EFAULT: TH_NO_MEMORY, TH_TOO_LARGE, TH_LIMIT, TH_NO_INDEX; TH_BAD_ALIGN, TH_RESERVED_TAG,
/// TH_TAG_IN_USE if a pool owns the tag, TH_REENTERED; TH_DAMAGED_HEADER and the like.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_allocate(
    heap: *mut th_heap,
    tag: u64,
    size: usize,
    align: usize,
    why: *mut th_status,
) -> *mut c_void {
    // SAFETY: the header's contract.
    unsafe { allocate(heap, [tag, size as u64, align as u64], why, Heap::allocate) }
}

/// As th_allocate, with all bytes zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_allocate_zeroed(
    heap: *mut th_heap,
    tag: u64,
    size: usize,
    align: usize,
    why: *mut th_status,
) -> *mut c_void {
    let zeroed = Heap::allocate_zeroed;
    // SAFETY: the header's contract.
    unsafe { allocate(heap, [tag, size as u64, align as u64], why, zeroed) }
}

type Allocate = fn(&mut Heap<Ground>, Tag, Layout) -> Result<NonNull<[u8]>, heap::Error>;

/// # Safety
///
/// The pointers are what the header says.
unsafe fn allocate(
    heap: *mut th_heap,
    [tag, size, align]: [u64; 3],
    why: *mut th_status,
    allocate: Allocate,
) -> *mut c_void {
    let tag = Tag::new(tag);
    let take = |heap: &th_heap| {
        let layout = layout(tag, size as usize, align as usize)?;
        heap.with(|heap, registry| {
            refuse_owned(registry, tag)?;
            Ok(allocate(heap, tag, layout)?)
        })
    };
    // SAFETY: the caller's promise.
    let answer = unsafe { on(heap, take) };
    // SAFETY: as above.
    unsafe { answer::block(answer, why) }
}

/// The size that was asked for in a block that the caller may have: no pool's, nor the library's own.
fn held(heap: &Heap<Ground>, registry: &Registry, block: NonNull<u8>) -> Answer<(Tag, usize)> {
    let tag = heap.tag_of(block)?;
    refuse_owned(registry, tag)?;
    Ok((tag, heap.requested_size(block)?))
}

/// Gives a block back. A null block is no error.
///
/// Misuse is found, and changes nothing, as long as the address was not given to somebody else meanwhile:
/// TH_NOT_FROM_HERE, TH_NOT_A_BLOCK, TH_DOUBLE_FREE, TH_RELEASED, TH_TAG_IN_USE for a pool's block. TH_DAMAGED_HEADER
/// if its header or a neighbour's is damaged; TH_REENTERED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_deallocate(heap: *mut th_heap, block: *mut c_void) -> th_status {
    // SAFETY: the header's contract.
    unsafe {
        deallocate(heap, block, |_, requested| {
            Ok(Layout::from_size_align(requested, 1))
        })
    }
}

/// As th_deallocate, for a caller who knows the size and alignment that he asked for: TH_SIZE_MISMATCH or
/// TH_ALIGN_MISMATCH if the block is not such a one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_deallocate_sized(
    heap: *mut th_heap,
    block: *mut c_void,
    size: usize,
    align: usize,
) -> th_status {
    let claimed = |tag, _| Ok(Ok(layout(tag, size, align)?));
    // SAFETY: the header's contract.
    unsafe { deallocate(heap, block, claimed) }
}

/// As th_deallocate, for a caller who knows whose the block is: TH_TAG_MISMATCH if it is another's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_deallocate_in(
    heap: *mut th_heap,
    tag: u64,
    block: *mut c_void,
) -> th_status {
    let claimed = Tag::new(tag);
    let in_tag = |tag, requested| {
        if tag != claimed {
            let address = block.addr();
            return Err(Misuse::TagMismatch {
                address,
                claimed,
                tag,
            }
            .into());
        }
        Ok(Layout::from_size_align(requested, 1))
    };
    // SAFETY: the header's contract.
    unsafe { deallocate(heap, block, in_tag) }
}

/// Gives a block back by the layout that follows from its tag and the size that was asked for.
///
/// # Safety
///
/// The pointers are what the header says.
unsafe fn deallocate(
    heap: *mut th_heap,
    block: *mut c_void,
    layout: impl FnOnce(Tag, usize) -> Answer<Result<Layout, core::alloc::LayoutError>>,
) -> th_status {
    let give = |heap: &th_heap| {
        let Some(block) = NonNull::new(block.cast()) else {
            return Ok(());
        };
        heap.with(|heap, registry| {
            let (tag, requested) = held(heap, registry, block)?;
            let layout = layout(tag, requested)?.map_err(|_| th_status::TH_DAMAGED_HEADER)?;
            // SAFETY: the caller holds the block, by the header's contract.
            Ok(unsafe { heap.deallocate(block, layout) }?)
        })
    };
    // SAFETY: the caller's promise.
    answer::status(unsafe { on(heap, give) })
}

/// Makes a block larger or smaller, for `size` bytes aligned to `align`: in place where the blocks around allow it,
/// else in a new block, to which the bytes that both were asked for are copied.
///
/// The answer is the block from now on. Null on failure, as for th_allocate and th_deallocate, and TH_NULL for a
/// null block; the block stays as it was then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_resize(
    heap: *mut th_heap,
    block: *mut c_void,
    size: usize,
    align: usize,
    why: *mut th_status,
) -> *mut c_void {
    // SAFETY: the header's contract.
    unsafe { resize(heap, block, [size, align], false, why) }
}

/// As th_resize, with all bytes behind those that the old block was asked for zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_resize_zeroed(
    heap: *mut th_heap,
    block: *mut c_void,
    size: usize,
    align: usize,
    why: *mut th_status,
) -> *mut c_void {
    // SAFETY: the header's contract.
    unsafe { resize(heap, block, [size, align], true, why) }
}

/// # Safety
///
/// The pointers are what the header says.
unsafe fn resize(
    heap: *mut th_heap,
    block: *mut c_void,
    [size, align]: [usize; 2],
    zeroed: bool,
    why: *mut th_status,
) -> *mut c_void {
    let resize = |heap: &th_heap| {
        let block: NonNull<u8> = given(block)?.cast();
        heap.with(|heap, registry| {
            let (tag, requested) = held(heap, registry, block)?;
            let new = layout(tag, size, align)?;
            let old = layout(tag, requested, 1)?;
            let resized = if size < requested {
                // SAFETY: the caller holds the block, by the header's contract.
                unsafe { heap.shrink(block, old, new) }
            } else if zeroed {
                // SAFETY: as above.
                unsafe { heap.grow_zeroed(block, old, new) }
            } else {
                // SAFETY: as above.
                unsafe { heap.grow(block, old, new) }
            };
            Ok(resized?)
        })
    };
    // SAFETY: the caller's promise.
    let answer = unsafe { on(heap, resize) };
    // SAFETY: as above.
    unsafe { answer::block(answer, why) }
}

/// Gives a block to another tag. Fails as th_deallocate does, with TH_NULL for a null block, and with TH_RESERVED_TAG,
/// TH_TAG_IN_USE, TH_LIMIT or TH_NO_INDEX for the new tag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_retag(heap: *mut th_heap, block: *mut c_void, tag: u64) -> th_status {
    let tag = Tag::new(tag);
    let retag = |heap: &th_heap| {
        let block = given(block)?.cast();
        heap.with(|heap, registry| {
            refuse_owned(registry, tag)?;
            held(heap, registry, block)?;
            Ok(heap.retag(block, tag)?)
        })
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(heap, retag) })
}

/// Whether a block that somebody holds starts at this address. False on failure too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_contains(heap: *const th_heap, block: *const c_void) -> bool {
    let contains = |heap: &th_heap| {
        let block = given(block)?.cast();
        heap.look(|heap| Ok(heap.contains(block)))
    };
    // SAFETY: the header's contract.
    unsafe { on(heap, contains) }.unwrap_or(false)
}

/// Whose a block is, to `tag`, be it a pool's. Fails as th_deallocate does otherwise, and with TH_NULL for a
/// null block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_tag_of(
    heap: *const th_heap,
    block: *const c_void,
    tag: *mut u64,
) -> th_status {
    // SAFETY: the header's contract.
    unsafe {
        ask(heap, block, tag, |heap, block| {
            Ok(heap.tag_of(block)?.number())
        })
    }
}

/// Bytes that a block has, at least as many as were asked for, to `size`. Fails as th_tag_of does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_usable_size(
    heap: *const th_heap,
    block: *const c_void,
    size: *mut usize,
) -> th_status {
    // SAFETY: the header's contract.
    unsafe { ask(heap, block, size, Heap::usable_size) }
}

/// Bytes that were asked for in a block, to `size`. Fails as th_tag_of does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_requested_size(
    heap: *const th_heap,
    block: *const c_void,
    size: *mut usize,
) -> th_status {
    // SAFETY: the header's contract.
    unsafe { ask(heap, block, size, Heap::requested_size) }
}

/// # Safety
///
/// The pointers are what the header says.
unsafe fn ask<T>(
    heap: *const th_heap,
    block: *const c_void,
    place: *mut T,
    question: impl FnOnce(&Heap<Ground>, NonNull<u8>) -> Result<T, heap::Error>,
) -> th_status {
    let ask = |heap: &th_heap| {
        let (block, place) = (given(block)?.cast(), given(place)?);
        let answer = heap.look(|heap| Ok(question(heap, block)?))?;
        // SAFETY: the caller's promise.
        unsafe { put(place.as_ptr(), answer) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    answer::status(unsafe { on(heap, ask) })
}
