//! rpmalloc: spans of equal blocks for each thread, and heaps that go at once.
//!
//! Version 1.4.3, of 2021, is the last that a crate carries.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::Once;

use crate::contender::regions::{Objects, Regions};

mod ffi {
    use super::{c_int, c_void};

    #[repr(C)]
    pub(super) struct Heap {
        _opaque: [u8; 0],
    }

    unsafe extern "C" {
        pub(super) fn rpmalloc_initialize() -> c_int;
        pub(super) fn rpmalloc_thread_initialize();
        pub(super) fn rpmalloc(size: usize) -> *mut c_void;
        pub(super) fn rpaligned_alloc(align: usize, size: usize) -> *mut c_void;
        pub(super) fn rpfree(at: *mut c_void);
        pub(super) fn rprealloc(at: *mut c_void, size: usize) -> *mut c_void;
        pub(super) fn rpmalloc_heap_acquire() -> *mut Heap;
        pub(super) fn rpmalloc_heap_release(heap: *mut Heap);
        pub(super) fn rpmalloc_heap_alloc(heap: *mut Heap, size: usize) -> *mut c_void;
        pub(super) fn rpmalloc_heap_free_all(heap: *mut Heap);
    }
}

/// Bytes to which all blocks are aligned.
const UNIT: usize = 16;

thread_local! {
    static KNOWN: Cell<bool> = const { Cell::new(false) };
}

/// Makes the calling thread known to it.
#[cold]
fn introduce() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the first call of all.
        let error = unsafe { ffi::rpmalloc_initialize() };
        assert_eq!(error, 0, "rpmalloc has memory");
    });
    // SAFETY: initialized above.
    unsafe { ffi::rpmalloc_thread_initialize() };
    KNOWN.set(true);
}

#[inline(always)]
fn be_known() {
    if !KNOWN.get() {
        introduce();
    }
}

/// As a program's own.
#[derive(Debug)]
pub(crate) struct Rpmalloc;

// SAFETY: the library's blocks are nobody else's until they are freed.
unsafe impl GlobalAlloc for Rpmalloc {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        be_known();
        let at = if layout.align() <= UNIT {
            // SAFETY: the thread is known.
            unsafe { ffi::rpmalloc(layout.size()) }
        } else {
            // SAFETY: the thread is known.
            unsafe { ffi::rpaligned_alloc(layout.align(), layout.size()) }
        };
        at.cast()
    }

    #[inline(always)]
    unsafe fn dealloc(&self, at: *mut u8, _layout: Layout) {
        be_known();
        // SAFETY: the caller's promise.
        unsafe { ffi::rpfree(at.cast()) };
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        debug_assert!(layout.align() <= UNIT);
        be_known();
        // SAFETY: the caller's promise.
        unsafe { ffi::rprealloc(at.cast(), size) }.cast()
    }
}

/// A heap of this thread's.
#[derive(Debug)]
pub(crate) struct Heap(NonNull<ffi::Heap>);

impl Heap {
    fn new() -> Self {
        be_known();
        // SAFETY: the library is initialized.
        let heap = unsafe { ffi::rpmalloc_heap_acquire() };
        Self(NonNull::new(heap).expect("memory for a heap"))
    }

    #[inline]
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: a heap that was not released.
        NonNull::new(unsafe { ffi::rpmalloc_heap_alloc(self.0.as_ptr(), layout.size()) }.cast())
    }

    /// # Safety
    ///
    /// Nobody uses what came from it, nor it itself.
    unsafe fn release(&mut self) {
        // SAFETY: the caller's promise.
        unsafe { ffi::rpmalloc_heap_free_all(self.0.as_ptr()) };
        // SAFETY: the caller's promise.
        unsafe { ffi::rpmalloc_heap_release(self.0.as_ptr()) };
    }
}

/// A heap of its own for each pool.
pub(crate) struct Heaps;

impl Regions for Heaps {
    const NAME: &'static str = "rpmalloc heaps";

    type Region<'a> = Heap;

    fn new() -> Self {
        Self
    }

    #[inline]
    fn open(&self, _number: u64) -> Heap {
        Heap::new()
    }

    #[inline]
    fn allocate(heap: &mut Heap, layout: Layout) -> Option<NonNull<u8>> {
        heap.allocate(layout)
    }

    unsafe fn release(heap: &mut Heap, _objects: &Objects) {
        // SAFETY: the caller's promise.
        unsafe { heap.release() };
    }
}
