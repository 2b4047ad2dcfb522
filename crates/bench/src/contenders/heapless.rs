//! heapless: a pool of boxes of one type, a stack without locks. Its blocks lie as the slots of the others do, none
//! in two lines of the caches.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use heapless::box_pool;
use heapless::pool::boxed::{Box as Pooled, BoxBlock};

use super::arena;
use crate::contender::slots::{SharedSlots, Value};

box_pool!(Pool: Value);

/// The one pool that there is for the type. Built for any x86-64, it asks at run time whether the processor
/// exchanges 16 bytes at once, as every one of today does.
pub(crate) struct Boxes;

impl SharedSlots for Boxes {
    const NAME: &'static str = "heapless";

    type Held = Pooled<Pool>;

    fn new(slots: usize) -> Self {
        let blocks = arena::map().cast::<MaybeUninit<BoxBlock<Value>>>();
        assert!(slots * size_of::<BoxBlock<Value>>() <= arena::BYTES);
        // SAFETY: zeroed, aligned, nobody else's, long enough, and there until the process ends.
        let blocks = unsafe { NonNull::slice_from_raw_parts(blocks, slots).as_mut() };
        // The last one given is the first one taken: lowest first, as all others start.
        for block in blocks.iter_mut().rev() {
            Pool.manage(block.write(BoxBlock::new()));
        }
        Self
    }

    #[inline(always)]
    fn put(&self, value: Value) -> Option<Pooled<Pool>> {
        Pool.alloc(value).ok()
    }

    #[inline(always)]
    unsafe fn take(&self, held: Pooled<Pool>) -> u64 {
        held.first()
    }
}
