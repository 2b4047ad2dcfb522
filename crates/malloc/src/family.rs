//! The functions of C: those of the standard up to C23, of POSIX, and those that glibc's manual asks of whoever replaces
//! its own ("Replacing malloc").

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};

use heap::{Error, Misuse, Tag, fatal, scope};

use crate::entry::entries;
use crate::libraries::Caller;
use crate::{ALIGN, HEAP};

/// Bytes of a page.
const PAGE: usize = 4096;

/// Bytes up to which requests take the shortest way.
const SMALL: usize = 8 << 10;

entries! {
    /// So many bytes, aligned to 16.
    malloc(size: usize) -> *mut c_void, "rsi" => malloc_from;
    /// Zeroed memory for so many objects of a size.
    calloc(count: usize, size: usize) -> *mut c_void, "rdx" => calloc_from;
    /// Makes memory larger or smaller. To no bytes it is not freed: there is memory of that size.
    realloc(ptr: *mut c_void, size: usize) -> *mut c_void, "rdx" => realloc_from;
    /// As `realloc`, for so many objects of a size.
    reallocarray(ptr: *mut c_void, count: usize, size: usize) -> *mut c_void, "rcx" => reallocarray_from;
    /// Gives memory back.
    free(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// As `free`. The size is not looked at.
    free_sized(ptr: *mut c_void, size: usize) -> (), "rsi" => free_from;
    /// As `free`. The alignment and the size are not looked at.
    free_aligned_sized(ptr: *mut c_void, align: usize, size: usize) -> (), "rsi" => free_from;
    /// So many bytes, aligned to a power of two.
    aligned_alloc(align: usize, size: usize) -> *mut c_void, "rdx" => aligned_alloc_from;
    /// So many bytes, aligned to a power of two, or to the next above what is none.
    memalign(align: usize, size: usize) -> *mut c_void, "rdx" => memalign_from;
    /// So many bytes, aligned to a power of two of 8 or more.
    posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int, "rcx" => posix_memalign_from;
    /// So many bytes, aligned to a page.
    valloc(size: usize) -> *mut c_void, "rsi" => valloc_from;
    /// So many bytes, in whole pages.
    pvalloc(size: usize) -> *mut c_void, "rsi" => pvalloc_from;
    /// Bytes that memory has; they may be used, all of them.
    malloc_usable_size(ptr: *mut c_void) -> usize, "rsi" => malloc_usable_size_from;
}

// Names that the C library has besides. Who calls by one gives back by another.
entries! {
    /// `free`, in programs that were built before glibc 2.26.
    cfree(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `malloc`, in such as have one of their own in front of it; so all that follow.
    __libc_malloc(size: usize) -> *mut c_void, "rsi" => malloc_from;
    /// `calloc`.
    __libc_calloc(count: usize, size: usize) -> *mut c_void, "rdx" => calloc_from;
    /// `realloc`.
    __libc_realloc(ptr: *mut c_void, size: usize) -> *mut c_void, "rdx" => realloc_from;
    /// `free`.
    __libc_free(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `memalign`.
    __libc_memalign(align: usize, size: usize) -> *mut c_void, "rdx" => memalign_from;
    /// `valloc`.
    __libc_valloc(size: usize) -> *mut c_void, "rsi" => valloc_from;
    /// `pvalloc`.
    __libc_pvalloc(size: usize) -> *mut c_void, "rsi" => pvalloc_from;
}

fn set_errno(number: c_int) {
    // SAFETY: as the C library has it.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: this thread's own.
    unsafe { place.write(number) };
}

#[cold]
fn fails(number: c_int) -> *mut c_void {
    set_errno(number);
    ptr::null_mut()
}

/// What there is for a request, under the tag for whoever calls.
#[inline(always)]
fn request(caller: Caller, ask: impl FnOnce() -> *mut u8) -> *mut c_void {
    let at = match caller.tag() {
        None => ask(),
        Some(tag) => request_under(tag, ask),
    };
    if at.is_null() {
        return fails(libc::ENOMEM);
    }
    at.cast()
}

/// Not inlined: most programs do not ask for it, and the others' way is short.
#[inline(never)]
fn request_under(tag: Tag, ask: impl FnOnce() -> *mut u8) -> *mut u8 {
    scope(tag, ask)
}

/// So many bytes with an alignment.
#[inline(always)]
fn take(size: usize, align: usize, caller: Caller) -> *mut c_void {
    let is_small = size.wrapping_sub(1) < SMALL && align == ALIGN;
    if !is_small || caller.may_have_tag() {
        return take_slowly(size, align, caller);
    }
    // SAFETY: a power of two, and few bytes.
    let layout = unsafe { Layout::from_size_align_unchecked(size, ALIGN) };
    HEAP.alloc_or(layout, || fails(libc::ENOMEM).cast()).cast()
}

/// As [`take`]; not inlined, for the most frequent requests to need no stack.
#[inline(never)]
fn take_slowly(size: usize, align: usize, caller: Caller) -> *mut c_void {
    let Ok(layout) = Layout::from_size_align(size, align) else {
        return fails(libc::ENOMEM);
    };
    // SAFETY: a layout of no bytes is served too.
    request(caller, || unsafe { HEAP.alloc(layout) })
}

/// As [`take`], for C++'s operators: where there is no memory, who goes on for them asks again, and is told.
#[inline(always)]
pub(crate) fn take_for_operator(size: usize, align: usize, caller: Caller) -> *mut c_void {
    let is_small = size.wrapping_sub(1) < SMALL && align == ALIGN;
    if !is_small || caller.may_have_tag() {
        return take_slowly_for_operator(size, align, caller);
    }
    // SAFETY: a power of two, and few bytes.
    let layout = unsafe { Layout::from_size_align_unchecked(size, ALIGN) };
    ask_for_operator(layout, caller).cast()
}

/// Not inlined, as [`take_slowly`].
#[inline(never)]
fn take_slowly_for_operator(size: usize, align: usize, caller: Caller) -> *mut c_void {
    let Ok(layout) = Layout::from_size_align(size, align) else {
        return ptr::null_mut();
    };
    let ask = || ask_for_operator(layout, caller);
    let at = match caller.tag() {
        None => ask(),
        Some(tag) => request_under(tag, ask),
    };
    at.cast()
}

#[inline(always)]
fn ask_for_operator(layout: Layout, caller: Caller) -> *mut u8 {
    HEAP.allocate_or(layout, move |error| match error {
        Error::OutOfMemory(_) | Error::Misuse(Misuse::Reentered) => ptr::null_mut(),
        _ => end(&error, "new", ptr::null_mut(), caller),
    })
}

/// As [`take`], with an alignment that programs name.
fn take_aligned(align: usize, size: usize, caller: Caller) -> *mut c_void {
    take(size, align.max(ALIGN), caller)
}

extern "C" fn malloc_from(size: usize, caller: Caller) -> *mut c_void {
    take(size, ALIGN, caller)
}

extern "C" fn calloc_from(count: usize, size: usize, caller: Caller) -> *mut c_void {
    let size = count.checked_mul(size);
    let Some(Ok(layout)) = size.map(|size| Layout::from_size_align(size, ALIGN)) else {
        return fails(libc::ENOMEM);
    };
    // SAFETY: a layout of no bytes is served too.
    request(caller, || unsafe { HEAP.alloc_zeroed(layout) })
}

unsafe extern "C" fn realloc_from(at: *mut c_void, size: usize, caller: Caller) -> *mut c_void {
    let Some(old) = NonNull::new(at.cast::<u8>()) else {
        return take(size, ALIGN, caller);
    };
    let Ok(layout) = Layout::from_size_align(size, ALIGN) else {
        return fails(libc::ENOMEM);
    };
    let fail = |error| end(&error, "realloc", at, caller);
    // SAFETY: the caller holds it, as C has it.
    let new = unsafe { HEAP.resize_or(old, layout, fail) };
    if new.is_null() {
        return fails(libc::ENOMEM);
    }
    new.cast()
}

unsafe extern "C" fn reallocarray_from(
    at: *mut c_void,
    count: usize,
    size: usize,
    caller: Caller,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise.
        Some(size) => unsafe { realloc_from(at, size, caller) },
        None => fails(libc::ENOMEM),
    }
}

pub(crate) unsafe extern "C" fn free_from(at: *mut c_void, caller: Caller) {
    // SAFETY: the caller holds it, as C has it.
    unsafe { HEAP.free_or(at.cast(), move |error| end(&error, "free", at, caller)) }
}

extern "C" fn aligned_alloc_from(align: usize, size: usize, caller: Caller) -> *mut c_void {
    if !align.is_power_of_two() {
        return fails(libc::EINVAL);
    }
    take_aligned(align, size, caller)
}

extern "C" fn memalign_from(align: usize, size: usize, caller: Caller) -> *mut c_void {
    match align.checked_next_power_of_two() {
        Some(align) => take_aligned(align, size, caller),
        None => fails(libc::EINVAL),
    }
}

/// Leaves `errno` as it is, and what is at `place` too where there is no memory.
unsafe extern "C" fn posix_memalign_from(
    place: *mut *mut c_void,
    align: usize,
    size: usize,
    caller: Caller,
) -> c_int {
    if !align.is_power_of_two() || align < size_of::<usize>() {
        return libc::EINVAL;
    }
    // SAFETY: as the C library has it.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: this thread's own.
    let before = unsafe { errno.read() };
    let at = take_aligned(align, size, caller);
    // SAFETY: as above.
    unsafe { errno.write(before) };
    if at.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's to be written to.
    unsafe { place.write(at) };
    0
}

extern "C" fn valloc_from(size: usize, caller: Caller) -> *mut c_void {
    take(size, PAGE, caller)
}

extern "C" fn pvalloc_from(size: usize, caller: Caller) -> *mut c_void {
    match size.checked_next_multiple_of(PAGE) {
        Some(size) => take(size, PAGE, caller),
        None => fails(libc::ENOMEM),
    }
}

extern "C" fn malloc_usable_size_from(at: *mut c_void, caller: Caller) -> usize {
    let Some(ptr) = NonNull::new(at.cast::<u8>()) else {
        return 0;
    };
    // Those behind what was asked for are not kept where it moves.
    match HEAP.requested_size(ptr) {
        Ok(size) => size,
        Err(error) => end(&error, "malloc_usable_size", at, caller),
    }
}

/// Gives pages that nobody uses back to the kernel, those between others too; 1 if there were some.
#[unsafe(no_mangle)]
extern "C" fn malloc_trim(_pad: usize) -> c_int {
    c_int::from(HEAP.purge().is_ok_and(|bytes| bytes > 0))
}

/// Prints the table of what is held to standard error. From a debugger, too.
#[unsafe(no_mangle)]
extern "C" fn malloc_stats() {
    HEAP.print_report();
}

/// Ends the program for a pointer that is none of its memory's.
#[cold]
fn end(error: &Error, call: &str, at: *mut c_void, caller: Caller) -> ! {
    fatal(&format_args!("{error} op={call} ptr={at:p} from={caller}"))
}
