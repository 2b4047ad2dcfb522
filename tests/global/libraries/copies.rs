//! A program with two copies of the crate: what each allocates is in a heap of its own, under tags of its own.

use std::alloc::Layout;
use std::ptr::NonNull;

#[global_allocator]
static HEAP: tagheap::Global = tagheap::Global::new();

static ANOTHER: another::Global = another::Global::new();

fn main() {
    const HERE: tagheap::Tag = tagheap::Tag::named("here");
    const THERE: another::Tag = another::Tag::named("there");
    let layout = Layout::new::<[u8; 100]>();
    another::scope(THERE, || {
        let words = tagheap::scope(HERE, || vec![String::from("harbour"); 10]);
        let piece = ANOTHER.allocate(layout).unwrap().cast::<u8>();
        let word = NonNull::from(words[0].as_bytes()).cast();
        assert_eq!(HEAP.tag_of(word), Ok(HERE));
        assert_eq!(ANOTHER.tag_of(piece), Ok(THERE));
        assert!(HEAP.tag_of(piece).is_err() && ANOTHER.tag_of(word).is_err());
        assert_eq!(HEAP.holding(HERE).unwrap().objects, 11);
        assert_eq!(ANOTHER.holding(THERE).unwrap().objects, 1);
        // SAFETY: allocated above, for this layout.
        unsafe { ANOTHER.deallocate(piece, layout).unwrap() };
    });
    assert_eq!(HEAP.holding(HERE).unwrap().objects, 0);
    assert_eq!(ANOTHER.holding(THERE).unwrap().objects, 0);
}
