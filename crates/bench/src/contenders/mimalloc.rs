//! mimalloc: pages of equal blocks for each thread.

use std::alloc::Layout;
use std::ptr::NonNull;

use libmimalloc_sys::{mi_heap_destroy, mi_heap_malloc, mi_heap_new, mi_heap_t};

use crate::contender::regions::{Objects, Regions};
use crate::contender::slots::{Placed, SharedSlots, Value};

/// As it comes, called without the face for `Layout`s, which looks at the alignment.
pub(crate) struct Mimalloc;

impl SharedSlots for Mimalloc {
    const NAME: &'static str = "mimalloc";

    type Held = Placed;

    fn new(_slots: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn put(&self, value: Value) -> Option<Placed> {
        // SAFETY: any size may be asked for; what it answers is aligned to 16 at least.
        let at = NonNull::new(unsafe { libmimalloc_sys::mi_malloc(size_of::<Value>()) }.cast())?;
        // SAFETY: just handed out.
        Some(unsafe { Placed::new(at, value) })
    }

    #[inline(always)]
    unsafe fn take(&self, held: Placed) -> u64 {
        let (at, first) = held.into_parts();
        // SAFETY: the caller's promise.
        unsafe { libmimalloc_sys::mi_free(at.as_ptr().cast()) };
        first
    }
}

/// A heap of its own for each pool.
pub(crate) struct Heaps;

/// The version that the feature `mimalloc-v2` picks.
const fn versioned(v2: &'static str, v3: &'static str) -> &'static str {
    if cfg!(feature = "mimalloc-v2") {
        v2
    } else {
        v3
    }
}

/// Its name as an allocator for whole programs.
pub(super) const NAME: &str = versioned("mimalloc v2", "mimalloc v3");

const HEAPS: &str = versioned("mimalloc v2 heaps", "mimalloc v3 heaps");

#[inline]
fn allocate(heap: *mut mi_heap_t, layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: a live heap of this thread.
    NonNull::new(unsafe { mi_heap_malloc(heap, layout.size()) }.cast())
}

impl Regions for Heaps {
    const NAME: &'static str = HEAPS;

    type Region<'a> = *mut mi_heap_t;

    fn new() -> Self {
        Self
    }

    #[inline]
    fn open(&self, _number: u64) -> *mut mi_heap_t {
        // SAFETY: may be called at any time.
        unsafe { mi_heap_new() }
    }

    #[inline]
    fn allocate(region: &mut *mut mi_heap_t, layout: Layout) -> Option<NonNull<u8>> {
        allocate(*region, layout)
    }

    unsafe fn release(region: &mut *mut mi_heap_t, _objects: &Objects) {
        // SAFETY: a live heap, whose objects nobody uses.
        unsafe { mi_heap_destroy(*region) };
    }
}
