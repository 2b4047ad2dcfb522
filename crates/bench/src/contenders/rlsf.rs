//! rlsf: two-level segregated fit.

use std::alloc::Layout;
use std::ptr::NonNull;

use rlsf::Tlsf;

use super::arena;
use crate::contender::Contender;
use crate::job::Workload;

/// The core over one large pool: without the global allocator's lock, and without calls for memory.
pub(crate) struct Pool(Tlsf<'static, u32, u32, 28, 32>);

impl Contender for Pool {
    const NAME: &'static str = "rlsf";
    const JOINS: &'static [Workload] = Workload::OF_BLOCKS;

    fn new() -> Self {
        let mut pool = Tlsf::new();
        // SAFETY: the arena is nobody else's and stays.
        let inserted = unsafe { pool.insert_free_block_ptr(arena::map()) };
        assert!(inserted.is_some(), "the arena can be a pool");
        Self(pool)
    }

    #[inline]
    fn allocate(&mut self, _tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate(layout)
    }

    #[inline]
    unsafe fn deallocate(&mut self, at: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(at, layout.align()) };
    }

    unsafe fn grow(&mut self, at: NonNull<u8>, _old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.0.reallocate(at, new) }
    }
}
