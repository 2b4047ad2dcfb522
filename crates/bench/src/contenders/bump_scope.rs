//! bump-scope: an arena with scopes, as it comes, over the system's allocator.

use std::alloc::Layout;
use std::ptr::NonNull;

use bump_scope::Bump;
use bump_scope::traits::BumpAllocatorTyped;

use crate::contender::arena::Arena;

impl Arena for Bump {
    const NAME: &'static str = "bump-scope";
    const RESET: &'static str = "bump-scope, reset";

    fn new() -> Self {
        Self::new()
    }

    #[inline]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.try_allocate_layout(layout).ok()
    }

    fn reset(&mut self) {
        self.reset();
    }
}
