//! The dlmalloc crate: the port of Doug Lea's allocator that the standard library uses for WebAssembly.

use std::alloc::Layout;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

use dlmalloc::{Allocator, Dlmalloc};

use super::arena;
use crate::contender::Contender;
use crate::job::Workload;

/// Over one large arena, like the other peers that can: without calls for memory.
pub(crate) struct Arena(Dlmalloc<Once>);

/// Grants the arena whole, to whoever asks first.
#[derive(Default)]
struct Once(AtomicBool);

// SAFETY: the arena is granted once, stays, and is never taken back.
unsafe impl Allocator for Once {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        if size > arena::BYTES || self.0.swap(true, Ordering::Relaxed) {
            return (ptr::null_mut(), 0, 0);
        }
        (arena::map().cast().as_ptr(), arena::BYTES, 0)
    }

    fn remap(&self, _at: *mut u8, _old: usize, _new: usize, _can_move: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _at: *mut u8, _old: usize, _new: usize) -> bool {
        false
    }

    fn free(&self, _at: *mut u8, _size: usize) -> bool {
        false
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        4096
    }
}

impl Contender for Arena {
    const NAME: &'static str = "dlmalloc";
    const JOINS: &'static [Workload] = Workload::OF_BLOCKS;

    fn new() -> Self {
        Self(Dlmalloc::new_with_allocator(Once::default()))
    }

    #[inline]
    fn allocate(&mut self, _tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: any size and alignment of a layout may be asked for.
        NonNull::new(unsafe { self.0.malloc(layout.size(), layout.align()) })
    }

    #[inline]
    unsafe fn deallocate(&mut self, at: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.free(at.as_ptr(), layout.size(), layout.align()) };
    }

    unsafe fn grow(&mut self, at: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        let at = at.as_ptr();
        // SAFETY: the caller's promise.
        NonNull::new(unsafe { self.0.realloc(at, old.size(), old.align(), new.size()) })
    }
}
