//! mimalloc: pages of equal blocks for each thread.

use std::ptr::NonNull;

use crate::contender::slots::{Placed, SharedSlots, Value};

/// As it comes, called without the face for `Layout`s, which looks at the alignment.
pub(crate) struct Mimalloc;

impl SharedSlots for Mimalloc {
    const NAME: &'static str = "mimalloc";

    type Held = Placed;

    fn new(_slots: usize) -> Self {
        Self
    }

    #[inline]
    fn put(&self, value: Value) -> Option<Placed> {
        // SAFETY: any size may be asked for; what it answers is aligned to 16 at least.
        let at = NonNull::new(unsafe { libmimalloc_sys::mi_malloc(size_of::<Value>()) }.cast())?;
        // SAFETY: just handed out.
        Some(unsafe { Placed::new(at, value) })
    }

    #[inline]
    unsafe fn take(&self, held: Placed) -> u64 {
        let (at, first) = held.into_parts();
        // SAFETY: the caller's promise.
        unsafe { libmimalloc_sys::mi_free(at.as_ptr().cast()) };
        first
    }
}
