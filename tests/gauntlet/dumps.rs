//! What a core file has of a reservation: what is committed, and not the gigabytes behind it.

use core::alloc::Layout;

use tagheap::{Heap, Reserve, Tag};

use crate::mappings;

/// Whether pages at an address are kept out of core files.
fn is_out(address: usize) -> bool {
    mappings::at(address).has_flag("dd")
}

#[test]
fn a_core_file_has_what_is_committed_and_nothing_else() {
    const CAPACITY: usize = 1 << 30;
    let source = Reserve::with_capacity(CAPACITY).unwrap();
    let mut heap = Heap::new(source).unwrap();
    let (base, beyond) = (heap.base(), heap.base() + CAPACITY / 2);
    let layout = Layout::from_size_align(10 << 20, 16).unwrap();
    for _ in 0..3 {
        let block = heap.allocate(Tag::new(1), layout).unwrap();
        assert!(!is_out(base) && !is_out(heap.end() - 1));
        assert!(is_out(beyond));
        // SAFETY: nobody uses it.
        unsafe { heap.deallocate(block.cast(), layout).unwrap() };
        heap.trim();
        assert!(!is_out(base));
        assert!(is_out(base + (8 << 20)) && is_out(beyond));
    }
}
