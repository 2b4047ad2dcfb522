//! bump-scope: an arena with scopes.

use std::alloc::Layout;
use std::ptr::NonNull;

use bump_scope::Bump;
use bump_scope::traits::BumpAllocatorTyped;

use crate::contender::arena;

/// As it comes, over the system's allocator.
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
