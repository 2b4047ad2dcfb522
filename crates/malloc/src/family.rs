//! The functions of C.

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};

use heap::fatal;

use crate::HEAP;

/// To which everything is aligned, as x86-64's `max_align_t`.
const ALIGN: usize = 16;

fn set_errno(number: c_int) {
    unsafe { *libc::__errno_location() = number };
}

#[inline(always)]
fn take(size: usize, align: usize) -> *mut c_void {
    let Ok(layout) = Layout::from_size_align(size, align) else {
        return lacking();
    };
    let at = unsafe { HEAP.alloc(layout) };
    if at.is_null() { lacking() } else { at.cast() }
}

#[cold]
fn lacking() -> *mut c_void {
    set_errno(libc::ENOMEM);
    ptr::null_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn malloc(size: usize) -> *mut c_void {
    take(size, ALIGN)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(ptr: *mut c_void) {
    let Some(ptr) = NonNull::new(ptr.cast::<u8>()) else {
        return;
    };
    if let Err(error) = unsafe { HEAP.free(ptr) } {
        fatal(&error);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(Ok(layout)) = count
        .checked_mul(size)
        .map(|size| Layout::from_size_align(size, ALIGN))
    else {
        return lacking();
    };
    let at = unsafe { HEAP.alloc_zeroed(layout) };
    if at.is_null() { lacking() } else { at.cast() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(ptr: *mut c_void, size: usize) -> *mut c_void {
    let Some(old) = NonNull::new(ptr.cast::<u8>()) else {
        return take(size, ALIGN);
    };
    let Ok(layout) = Layout::from_size_align(size, ALIGN) else {
        return lacking();
    };
    match unsafe { HEAP.resize(old, layout) } {
        Ok(new) => new.cast().as_ptr(),
        Err(heap::Error::OutOfMemory(_)) => lacking(),
        Err(error) => fatal(&error),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    take(size, align.max(ALIGN))
}

#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    take(size, align.max(ALIGN))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || align % 8 != 0 {
        return libc::EINVAL;
    }
    let at = take(size, align.max(ALIGN));
    if at.is_null() {
        return libc::ENOMEM;
    }
    unsafe { *out = at };
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn valloc(size: usize) -> *mut c_void {
    take(size, 4096)
}

#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(size: usize) -> *mut c_void {
    take(size.next_multiple_of(4096), 4096)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(ptr: *mut c_void) -> usize {
    let Some(ptr) = NonNull::new(ptr.cast::<u8>()) else {
        return 0;
    };
    HEAP.requested_size(ptr).unwrap_or_else(|e| fatal(&e))
}
