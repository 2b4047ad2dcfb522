//! snmalloc: slabs of equal blocks for each thread, given back by messages.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;

use snmalloc_rs::SnMalloc;

use crate::contender::slots::{Placed, SharedSlots, Value};

const LAYOUT: Layout = Layout::new::<Value>();

/// As it comes.
pub(crate) struct Snmalloc;

impl SharedSlots for Snmalloc {
    const NAME: &'static str = "snmalloc";

    type Held = Placed;

    fn new(_slots: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn put(&self, value: Value) -> Option<Placed> {
        // SAFETY: the layout has a size.
        let at = NonNull::new(unsafe { SnMalloc.alloc(LAYOUT) })?;
        // SAFETY: just handed out.
        Some(unsafe { Placed::new(at, value) })
    }

    #[inline(always)]
    unsafe fn take(&self, held: Placed) -> u64 {
        let (at, first) = held.into_parts();
        // SAFETY: the caller's promise.
        unsafe { SnMalloc.dealloc(at.as_ptr(), LAYOUT) };
        first
    }
}
