//! This project's kinds of pools, over its usual heap for hosted programs.

use std::alloc::Layout;
use std::ptr::NonNull;

use tagheap::{self as own, Heap, Kind, LocalHeap, Pool, Reserve, Tag};

use crate::contender::Role;
use crate::contender::arena::Arena;

/// A pool that has a heap to itself.
fn pool() -> Pool<LocalHeap<Reserve>> {
    let source = Reserve::new().expect("address space");
    let heap = Heap::new(source).expect("a first block");
    Pool::new(LocalHeap::new(heap), Tag::new(1))
}

/// The arena.
pub(crate) struct Bump(own::Bump<LocalHeap<Reserve>>);

impl Arena for Bump {
    const NAME: &'static str = "Bump";
    const ROLE: Role = Role::Own;

    fn new() -> Self {
        Self(own::Bump::new(pool()))
    }

    #[inline]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        Some(self.0.allocate(layout).ok()?.cast())
    }

    fn reset(&mut self) {
        self.0.reset().expect("notes undamaged");
    }
}
