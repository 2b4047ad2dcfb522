//! linked_list_allocator: first fit through a sorted list of the free blocks.

use std::alloc::Layout;
use std::ptr::NonNull;

use linked_list_allocator::Heap;

use super::arena;
use crate::contender::Contender;
use crate::job::Workload;

/// The heap, which has no lock, over one large arena.
pub(crate) struct Arena(Heap);

impl Contender for Arena {
    const NAME: &'static str = "linked_list_allocator";
    const JOINS: &'static [Workload] = &[Workload::FirstFit];

    fn new() -> Self {
        let arena = arena::map();
        // SAFETY: the arena is nobody else's and stays.
        Self(unsafe { Heap::new(arena.cast().as_ptr(), arena.len()) })
    }

    #[inline]
    fn allocate(&mut self, _tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate_first_fit(layout).ok()
    }

    #[inline]
    unsafe fn deallocate(&mut self, at: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(at, layout) };
    }

    unsafe fn grow(&mut self, _at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        None
    }
}
