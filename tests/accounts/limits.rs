//! Limits in bytes by tag.

use core::alloc::Layout;

use tagheap::{Error, Shortage};

use crate::{A, B, bytes, heap, take};

fn is_limit(error: Error, tag: tagheap::Tag, limit: usize) -> bool {
    matches!(error, Error::OutOfMemory(error)
        if error.tag == tag && matches!(error.cause, Shortage::Limit { limit: found, .. } if found == limit))
}

#[test]
fn a_limit_is_met_to_the_byte_and_concerns_its_tag_alone() {
    let mut heap = heap();
    heap.set_limit(A, Some(96)).unwrap();
    take(&mut heap, A, 16);
    take(&mut heap, B, 16);
    take(&mut heap, A, 16);
    let before = heap.end();
    let error = heap.allocate(A, bytes(1)).unwrap_err();
    assert!(is_limit(error, A, 96), "{error}");
    assert_eq!(
        error.to_string(),
        "out of memory: 1 bytes aligned to 1 for tag a: the tag's limit is 96 bytes, and it holds 96"
    );
    assert_eq!(heap.end(), before);
    take(&mut heap, B, 1 << 20);
    assert_eq!(heap.stats_of(A).unwrap().failures, 1);
    assert_eq!(heap.stats_of(A).unwrap().limit, Some(96));
    heap.set_limit(A, None).unwrap();
    take(&mut heap, A, 1 << 20);
    heap.check().unwrap();
}

#[test]
fn limits_read_back_as_they_were_set() {
    let mut heap = heap();
    for limit in [0, 1, usize::MAX / 2, usize::MAX - 1].map(Some) {
        heap.set_limit(A, limit).unwrap();
        assert_eq!(heap.stats_of(A).unwrap().limit, limit);
    }
    // The most that there can be is no limit.
    heap.set_limit(A, Some(usize::MAX)).unwrap();
    assert_eq!(heap.stats_of(A).unwrap().limit, None);
}

#[test]
fn a_block_that_would_be_larger_than_asked_for_counts_as_large_as_it_would_be() {
    let mut heap = heap();
    // A free block of 80 bytes between two others: too small to be split after 48.
    let hole = take(&mut heap, B, 48);
    take(&mut heap, B, 1);
    // SAFETY: the block is the test's.
    unsafe { heap.deallocate(hole, bytes(48)) }.unwrap();
    heap.set_limit(A, Some(79)).unwrap();
    assert!(is_limit(heap.allocate(A, bytes(16)).unwrap_err(), A, 79));
    heap.set_limit(A, Some(80)).unwrap();
    assert_eq!(take(&mut heap, A, 16), hole);
    assert_eq!(heap.stats_of(A).unwrap().bytes, 80);
}

#[test]
fn a_block_cut_out_of_a_larger_one_counts_no_more_than_was_cut() {
    let mut heap = heap();
    let hole = take(&mut heap, B, 4096);
    take(&mut heap, B, 1);
    // SAFETY: the block is the test's.
    unsafe { heap.deallocate(hole, bytes(4096)) }.unwrap();
    heap.set_limit(A, Some(47)).unwrap();
    assert!(is_limit(heap.allocate(A, bytes(16)).unwrap_err(), A, 47));
    heap.set_limit(A, Some(48)).unwrap();
    assert_eq!(take(&mut heap, A, 16), hole);
    // From the middle of what is left, with more of it in front and behind.
    let aligned = Layout::from_size_align(16, 1024).unwrap();
    heap.set_limit(A, Some(95)).unwrap();
    assert!(is_limit(heap.allocate(A, aligned).unwrap_err(), A, 95));
    heap.set_limit(A, Some(96)).unwrap();
    let block = heap.allocate(A, aligned).unwrap().cast::<u8>();
    assert!(block > hole && block.addr().get() - hole.addr().get() < 4096);
    assert_eq!(heap.stats_of(A).unwrap().bytes, 96);
    heap.check().unwrap();
}

#[test]
fn growing_retagging_and_merging_stay_within_the_limit() {
    let mut heap = heap();
    let block = take(&mut heap, A, 16);
    let other = take(&mut heap, B, 1000);
    heap.set_limit(A, Some(100)).unwrap();
    // SAFETY: the block is the test's.
    let error = unsafe { heap.grow(block, bytes(16), bytes(100)) }.unwrap_err();
    assert!(is_limit(error, A, 100));
    assert!(is_limit(heap.retag(other, A).unwrap_err(), A, 100));
    assert!(is_limit(heap.merge(B, A).unwrap_err(), A, 100));
    assert_eq!(heap.tag_of(other).unwrap(), B);
    heap.set_limit(A, Some(2000)).unwrap();
    heap.merge(B, A).unwrap();
    assert_eq!(heap.tag_of(other).unwrap(), A);
    heap.check().unwrap();
}

#[test]
fn growing_into_a_neighbour_too_small_to_split_counts_all_of_it() {
    let mut heap = heap();
    let block = take(&mut heap, A, 16);
    // 80 bytes free, of which the growth needs 48: what would be left is too small for a block.
    let hole = take(&mut heap, B, 48);
    take(&mut heap, B, 1);
    // SAFETY: the block is the test's.
    unsafe { heap.deallocate(hole, bytes(48)) }.unwrap();
    for (failed, limit) in [(1, 96), (2, 127)] {
        heap.set_limit(A, Some(limit)).unwrap();
        // SAFETY: the block is the test's.
        let error = unsafe { heap.grow(block, bytes(16), bytes(64)) }.unwrap_err();
        assert!(is_limit(error, A, limit), "{error}");
        let stats = heap.stats_of(A).unwrap();
        assert_eq!((stats.bytes, stats.failures), (48, failed));
    }
    heap.set_limit(A, Some(128)).unwrap();
    // SAFETY: the block is the test's.
    let grown = unsafe { heap.grow(block, bytes(16), bytes(64)) }.unwrap();
    assert_eq!(grown.cast(), block);
    assert_eq!(heap.stats_of(A).unwrap().bytes, 128);
    heap.check().unwrap();
}

#[test]
fn a_limit_below_what_is_held_takes_nothing_away() {
    let mut heap = heap();
    let block = take(&mut heap, A, 1000);
    heap.set_limit(A, Some(0)).unwrap();
    assert!(is_limit(heap.allocate(A, bytes(0)).unwrap_err(), A, 0));
    assert!(heap.contains(block));
}

/// For a moment it is there twice.
#[test]
fn a_block_that_moves_counts_with_both_its_places() {
    let mut heap = heap();
    let block = take(&mut heap, A, 16);
    take(&mut heap, B, 16);
    heap.set_limit(A, Some(48 + 64 - 1)).unwrap();
    // SAFETY: the block is the test's.
    let error = unsafe { heap.grow(block, bytes(16), bytes(32)) }.unwrap_err();
    assert!(is_limit(error, A, 111), "{error}");
    heap.set_limit(A, Some(48 + 64)).unwrap();
    // SAFETY: as above.
    let moved = unsafe { heap.grow(block, bytes(16), bytes(32)) }.unwrap();
    assert_ne!(moved.cast(), block);
    let stats = heap.stats_of(A).unwrap();
    assert_eq!((stats.bytes, stats.peak), (64, 112));
    heap.check().unwrap();
}

#[test]
fn what_makes_no_block_larger_is_served_beyond_the_limit() {
    let mut heap = heap();
    let block = take(&mut heap, A, 100);
    heap.set_limit(A, Some(0)).unwrap();
    // SAFETY: the block is the test's.
    let grown = unsafe { heap.grow(block, bytes(100), bytes(112)) };
    assert_eq!(grown.unwrap().cast(), block);
    // SAFETY: as above.
    let shrunk = unsafe { heap.shrink(block, bytes(112), bytes(1)) };
    assert_eq!(shrunk.unwrap().cast(), block);
    heap.retag(block, A).unwrap();
    assert_eq!(heap.merge(A, A).unwrap().blocks, 1);
    // SAFETY: nobody uses the block.
    assert_eq!(unsafe { heap.release(A) }.unwrap().bytes, 48);
    heap.forget(A);
    take(&mut heap, A, 100);
    assert_eq!(heap.stats_of(A).unwrap().limit, None, "forgotten");
}
