//! Marks: what was allocated since.

use crate::{A, B, bytes, heap, heap_in, take};

#[test]
fn what_was_allocated_since_goes_and_the_rest_stays() {
    let mut heap = heap();
    let old: Vec<_> = (0..20).map(|size| take(&mut heap, A, size)).collect();
    // SAFETY: the block is the test's. It leaves a hole in the list, which a younger block fills.
    unsafe { heap.deallocate(old[3], bytes(3)) }.unwrap();
    let first = heap.mark();
    let middle: Vec<_> = (0..20).map(|size| take(&mut heap, A, 50 + size)).collect();
    let others = take(&mut heap, B, 800);
    let second = heap.mark();
    let young: Vec<_> = (0..20).map(|size| take(&mut heap, A, 100 + size)).collect();
    heap.check().unwrap();

    // SAFETY: nobody uses the blocks.
    let gone = unsafe { heap.release_since(A, second) }.unwrap();
    assert_eq!(gone.blocks, 20);
    assert!(young.iter().all(|block| !heap.contains(*block)));
    assert!(middle.iter().all(|block| heap.contains(*block)));
    heap.check().unwrap();

    // SAFETY: nobody uses the blocks.
    let gone = unsafe { heap.release_since(A, first) }.unwrap();
    assert_eq!(gone.blocks, 20);
    assert!(
        old.iter()
            .enumerate()
            .all(|(index, block)| heap.contains(*block) == (index != 3))
    );
    assert!(heap.contains(others));
    assert_eq!(heap.stats_of(A).unwrap().deallocations, 41);
    heap.check().unwrap();
}

#[test]
fn a_block_that_moves_or_changes_its_tag_keeps_its_age() {
    let mut heap = heap();
    let moved = take(&mut heap, A, 16);
    take(&mut heap, B, 16);
    let retagged = take(&mut heap, B, 16);
    let mark = heap.mark();
    // SAFETY: the block is the test's.
    let moved = unsafe { heap.grow(moved, bytes(16), bytes(500)) }
        .unwrap()
        .cast();
    heap.retag(retagged, A).unwrap();
    let young = take(&mut heap, B, 16);
    heap.merge(B, A).unwrap();
    // SAFETY: nobody uses the blocks.
    let gone = unsafe { heap.release_since(A, mark) }.unwrap();
    assert_eq!(gone.blocks, 1);
    assert!(heap.contains(moved) && heap.contains(retagged) && !heap.contains(young));
    heap.check().unwrap();
}

#[test]
fn without_lists_a_mark_is_refused() {
    let mut heap = heap_in(4096);
    let mark = heap.mark();
    let block = take(&mut heap, A, 16);
    // SAFETY: nobody uses the block.
    let refused = unsafe { heap.release_since(A, mark) };
    assert!(
        matches!(refused, Err(tagheap::Error::OutOfMemory(_))),
        "{refused:?}"
    );
    assert!(heap.contains(block));
}
