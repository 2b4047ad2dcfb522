//! A shared library whose allocations lie in a heap of its own.

use tagheap::{Global, Tag, scope};

#[global_allocator]
static HEAP: Global = Global::new();

/// Allocates under a tag; answers how many objects that has in the library's heap, or the largest number.
#[unsafe(no_mangle)]
pub extern "C" fn objects_of_so_many(count: usize) -> usize {
    const TAG: Tag = Tag::named("library");
    let held = scope(TAG, || vec![Box::new([1_u8; 100]); count]);
    let objects = HEAP.holding(TAG).map(|held| held.objects);
    drop(held);
    objects.unwrap_or(usize::MAX)
}
