//! The heap's calls as tests use them: whatever the pointer, it is for the heap to find out.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use tagheap::{Error, Tag, scope};

use crate::HEAP;

/// Allocates under a tag.
pub(crate) fn try_take(tag: Tag, layout: Layout) -> Result<NonNull<u8>, Error> {
    let slice = scope(tag, || HEAP.allocate(layout))?;
    assert_eq!(slice.len(), layout.size());
    Ok(slice.cast())
}

/// Allocates under a tag, for which there is memory.
#[track_caller]
pub(crate) fn take(tag: Tag, layout: Layout) -> NonNull<u8> {
    try_take(tag, layout).unwrap()
}

pub(crate) fn free(ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
    // SAFETY: nobody uses it afterwards; whether it may be given back is under test.
    unsafe { HEAP.deallocate(ptr, layout) }
}

/// Makes memory larger or smaller.
pub(crate) fn resize(ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<u8>, Error> {
    let answer = if new.size() >= old.size() {
        // SAFETY: nobody uses the old address afterwards; whether it may be resized is under test.
        unsafe { HEAP.grow(ptr, old, new) }
    } else {
        // SAFETY: as above.
        unsafe { HEAP.shrink(ptr, old, new) }
    }?;
    assert_eq!(answer.len(), new.size());
    Ok(answer.cast())
}

/// Gives memory back of which only the address is known.
pub(crate) fn free_at(ptr: NonNull<u8>) -> Result<(), Error> {
    // SAFETY: as for `free`.
    unsafe { HEAP.free(ptr) }
}

/// As [`free_at`], of which nothing but an error is told.
pub(crate) fn free_or(ptr: NonNull<u8>) -> Result<(), Error> {
    let mut answer = Ok(());
    // SAFETY: as for `free`.
    unsafe { HEAP.free_or(ptr.as_ptr(), |error| answer = Err(error)) };
    answer
}

/// Makes memory larger or smaller of which only the address is known.
pub(crate) fn resize_at(ptr: NonNull<u8>, new: Layout) -> Result<NonNull<u8>, Error> {
    // SAFETY: as for `resize`.
    let answer = unsafe { HEAP.resize(ptr, new) }?;
    assert_eq!(answer.len(), new.size());
    Ok(answer.cast())
}

/// As [`resize_at`], of which nothing but an error that is no refusal is told.
pub(crate) fn resize_or(ptr: NonNull<u8>, new: Layout) -> Result<Option<NonNull<u8>>, Error> {
    let mut failed = None;
    // SAFETY: as for `resize`.
    let at = unsafe {
        HEAP.resize_or(ptr, new, |error| {
            failed = Some(error);
            core::ptr::null_mut()
        })
    };
    failed.map_or(Ok(NonNull::new(at)), Err)
}

/// The global allocator's face.
pub(crate) mod face {
    use super::*;

    /// In one of the ways that there are, by the layout.
    pub(crate) fn alloc(layout: Layout) -> Option<NonNull<u8>> {
        if layout.size() % 2 == 1 {
            let mut refused = false;
            let at = HEAP.alloc_or(layout, || {
                refused = true;
                core::ptr::null_mut()
            });
            assert_eq!(at.is_null(), refused);
            return NonNull::new(at);
        }
        // SAFETY: a layout of no byte is served too.
        NonNull::new(unsafe { HEAP.alloc(layout) })
    }

    pub(crate) fn alloc_zeroed(layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: a layout of no byte is served too.
        NonNull::new(unsafe { HEAP.alloc_zeroed(layout) })
    }

    pub(crate) fn dealloc(ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: nobody uses it afterwards; whether it may be given back is under test.
        unsafe { HEAP.dealloc(ptr.as_ptr(), layout) }
    }

    pub(crate) fn realloc(ptr: NonNull<u8>, old: Layout, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: nobody uses the old address afterwards; whether it may be resized is under test.
        NonNull::new(unsafe { HEAP.realloc(ptr.as_ptr(), old, size) })
    }
}

/// Null, which nobody was given, through that face.
pub(crate) fn give_null(layout: Layout) {
    // SAFETY: whether that is nothing is under test.
    unsafe { HEAP.dealloc(core::ptr::null_mut(), layout) }
    // SAFETY: as above.
    unsafe { HEAP.free_or(core::ptr::null_mut(), |error| panic!("{error}")) }
}

/// Null resized.
pub(crate) fn resize_null(old: Layout, size: usize) -> *mut u8 {
    // SAFETY: whether that is nothing is under test.
    unsafe { HEAP.realloc(core::ptr::null_mut(), old, size) }
}
