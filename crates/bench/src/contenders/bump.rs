//! Limits: a pointer that moves up.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

use super::arena as memory;
use crate::contender::{Contender, Role, arena};
use crate::job::Workload;

/// Moves a pointer up through memory that fits the second-level cache, and starts over at its end; never
/// frees.
pub(crate) struct Pointer {
    memory: NonNull<u8>,
    used: usize,
}

/// Bytes after which the pointer starts over.
const ROUND: usize = 1 << 20;

impl Contender for Pointer {
    const NAME: &'static str = "limit: bump pointer";
    const JOINS: &'static [Workload] = &[Workload::FirstFit, Workload::Churn];
    const ROLE: Role = Role::Limit;

    fn new() -> Self {
        let memory = memory::map().cast();
        Self { memory, used: 0 }
    }

    #[inline]
    fn allocate(&mut self, _tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        let start = self.used.next_multiple_of(layout.align());
        let start = if start > ROUND { 0 } else { start };
        self.used = start + layout.size();
        // SAFETY: the arena is longer than a round and any block.
        Some(unsafe { self.memory.add(start) })
    }

    #[inline]
    unsafe fn deallocate(&mut self, _at: NonNull<u8>, _layout: Layout) {}

    unsafe fn grow(&mut self, _at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        None
    }
}

/// Moves a pointer up, and looks neither for the end of the memory nor how much that is.
pub(crate) struct Endless {
    memory: NonNull<u8>,
    used: Cell<usize>,
}

impl arena::Arena for Endless {
    const NAME: &'static str = "limit: bump pointer";
    const ROLE: Role = Role::Limit;

    fn new() -> Self {
        Self {
            memory: memory::map().cast(),
            used: Cell::new(0),
        }
    }

    #[inline]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let start = self.used.get().next_multiple_of(layout.align());
        self.used.set(start + layout.size());
        // SAFETY: the arena is longer than all objects.
        Some(unsafe { self.memory.add(start) })
    }

    fn reset(&mut self) {
        self.used.set(0);
    }
}
