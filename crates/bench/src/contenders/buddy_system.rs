//! buddy_system_allocator: blocks of powers of two, split and joined.

use std::alloc::Layout;
use std::ptr::NonNull;

use buddy_system_allocator::{Heap, LockedHeap};

use super::arena;
use crate::contender::slots::{LocalSlots, Placed, SharedSlots, Slots, Value};

/// Up to blocks of 1 GiB.
const ORDERS: usize = 31;

const LAYOUT: Layout = Layout::new::<Value>();

/// A range that a block of a power of two fills, with room for so many slots.
fn range(slots: usize) -> (usize, usize) {
    let bytes = (slots * LAYOUT.size()).next_power_of_two();
    let start = arena::map().cast::<u8>().addr().get();
    (start.next_multiple_of(bytes), bytes)
}

/// The heap, which has no lock.
pub(crate) struct Arena(Heap<ORDERS>);

impl Slots for Arena {
    type Held = Placed;

    #[inline(always)]
    fn put(&mut self, value: Value) -> Option<Placed> {
        let at = self.0.alloc(LAYOUT).ok()?;
        // SAFETY: just handed out.
        Some(unsafe { Placed::new(at, value) })
    }

    #[inline(always)]
    unsafe fn take(&mut self, held: Placed) -> u64 {
        let (at, first) = held.into_parts();
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(at, LAYOUT) };
        first
    }
}

impl LocalSlots for Arena {
    const NAME: &'static str = "buddy_system_allocator";

    fn new(slots: usize) -> Self {
        let (start, bytes) = range(slots);
        let mut heap = Heap::new();
        // SAFETY: the range is nobody else's and stays.
        unsafe { heap.init(start, bytes) };
        Self(heap)
    }
}

/// The heap behind its own lock, which spins.
pub(crate) struct Locked(LockedHeap<ORDERS>);

impl SharedSlots for Locked {
    const NAME: &'static str = "buddy_system_allocator, locked";

    type Held = Placed;

    fn new(slots: usize) -> Self {
        let (start, bytes) = range(slots);
        let heap = LockedHeap::new();
        // SAFETY: the range is nobody else's and stays.
        unsafe { heap.lock().init(start, bytes) };
        Self(heap)
    }

    #[inline(always)]
    fn put(&self, value: Value) -> Option<Placed> {
        let at: NonNull<u8> = self.0.lock().alloc(LAYOUT).ok()?;
        // SAFETY: just handed out.
        Some(unsafe { Placed::new(at, value) })
    }

    #[inline(always)]
    unsafe fn take(&self, held: Placed) -> u64 {
        let (at, first) = held.into_parts();
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().dealloc(at, LAYOUT) };
        first
    }
}
