//! bump-scope: an arena with scopes; a pool is one, and dropping it frees the pool.

use std::alloc::Layout;
use std::ptr::NonNull;

use bump_scope::Bump;
use bump_scope::traits::BumpAllocatorTyped;

use crate::contender::{Contender, arena};
use crate::job::Workload;

/// One arena, as it comes, over the system's allocator.
pub(crate) struct Arena(Bump);

impl arena::Arena for Arena {
    const NAME: &'static str = "bump-scope";

    fn new() -> Self {
        Self(Bump::new())
    }

    #[inline]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.try_allocate_layout(layout).ok()
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// An arena per tag, over the system's allocator.
#[derive(Default)]
pub(crate) struct Pools(Vec<Option<Bump>>);

impl Contender for Pools {
    const NAME: &'static str = "bump-scope";
    const JOINS: &'static [Workload] = &[Workload::Release];

    fn new() -> Self {
        Self::default()
    }

    fn allocate(&mut self, tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        let tag = tag as usize;
        if tag >= self.0.len() {
            self.0.resize_with(tag + 1, || None);
        }
        let pool = self.0[tag].get_or_insert_with(Bump::new);
        pool.try_allocate_layout(layout).ok()
    }

    unsafe fn deallocate(&mut self, _at: NonNull<u8>, _layout: Layout) {}

    unsafe fn grow(&mut self, _at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        None
    }

    unsafe fn release(&mut self, tag: u32) -> bool {
        self.0[tag as usize] = None;
        true
    }
}
