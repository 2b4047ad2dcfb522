//! bumpalo: an arena as it comes, over the system's allocator.

use std::alloc::Layout;
use std::ptr::NonNull;

use bumpalo::Bump;

use crate::contender::arena::Arena;

impl Arena for Bump {
    const NAME: &'static str = "bumpalo";
    const RESET: &'static str = "bumpalo, reset";

    fn new() -> Self {
        Self::new()
    }

    #[inline]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.try_alloc_layout(layout).ok()
    }

    fn reset(&mut self) {
        self.reset();
    }
}
