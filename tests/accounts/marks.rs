//! Marks: what was allocated since.

use core::ptr::NonNull;

use tagheap::{Amount, Buffer, Error, Heap, Misuse, Shortage, Tag};

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

/// Far more of them than are looked at together, some of them in holes that older ones left.
#[test]
fn young_ones_go_from_among_many_old_ones() {
    for (old, young) in [(3000, 5), (3000, 700), (1, 700), (0, 700)] {
        let mut heap = heap();
        let mut olds: Vec<_> = (0..old).map(|n| take(&mut heap, A, n % 90)).collect();
        for n in (0..olds.len() / 3).rev().map(|n| n * 3) {
            // SAFETY: the block is the test's.
            unsafe { heap.deallocate(olds.remove(n), bytes(n % 90)) }.unwrap();
        }
        let before = heap.stats_of(A).unwrap();
        let mark = heap.mark();
        let take = |n: usize| {
            take(&mut heap, B, n % 70);
            take(&mut heap, A, n % 150)
        };
        let youngs: Vec<_> = (0..young).map(take).collect();
        let held = heap.stats_of(A).unwrap();
        heap.check().unwrap();
        // SAFETY: nobody uses what was allocated since.
        let gone = unsafe { heap.release_since(A, mark) }.unwrap();
        let after = heap.stats_of(A).unwrap();
        assert_eq!((gone.blocks, after.blocks), (young, before.blocks));
        assert_eq!(gone.bytes, held.bytes - after.bytes);
        assert_eq!(
            (after.bytes, after.requested),
            (before.bytes, before.requested)
        );
        assert_eq!(after.deallocations, held.deallocations + young as u64);
        heap.check().unwrap();
        assert!(olds.iter().all(|block| heap.contains(*block)));
        assert!(youngs.iter().all(|block| !heap.contains(*block)));
        // SAFETY: as above.
        let gone = unsafe { heap.release(A) }.unwrap();
        assert_eq!(gone.blocks, olds.len());
        heap.check().unwrap();
    }
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
    assert!(lacks_an_index(refused, A), "{refused:?}");
    assert!(heap.contains(block));
}

#[test]
fn a_mark_outlives_releases_and_its_tags_account() {
    let mut heap = heap();
    let old = take(&mut heap, B, 16);
    take(&mut heap, A, 16);
    let mark = heap.mark();
    // SAFETY: nobody uses the block.
    unsafe { heap.release(A) }.unwrap();
    heap.forget(A);
    // SAFETY: nobody uses blocks of the tag, of which there are none.
    let none = unsafe { heap.release_since(A, mark) };
    assert_eq!(none, Ok(Amount::default()));
    let young = take(&mut heap, A, 16);
    take(&mut heap, B, 16);
    for tag in [A, B] {
        // SAFETY: nobody uses what was allocated since.
        assert_eq!(unsafe { heap.release_since(tag, mark) }.unwrap().blocks, 1);
    }
    assert!(heap.contains(old) && !heap.contains(young));
    heap.check().unwrap();
}

#[test]
fn a_mark_that_this_heap_has_not_made_yet_is_another_heaps() {
    let (mut heap, mut other) = (heap(), heap());
    heap.mark();
    for _ in 0..2 {
        other.mark();
    }
    let block = take(&mut heap, A, 16);
    // SAFETY: nobody uses what was allocated since, whenever that was.
    let refused = unsafe { heap.release_since(A, other.mark()) };
    assert_eq!(refused, Err(Misuse::StaleMark.into()));
    assert_eq!(
        Error::from(Misuse::StaleMark).to_string(),
        "stale mark: too old, or not from here"
    );
    assert!(heap.contains(block));
}

/// Has a block moved, and answers where it is then, and whose.
type Move = fn(&mut Heap<Buffer<'static>>, NonNull<u8>) -> (NonNull<u8>, Tag);

fn lacks_an_index(refused: Result<Amount, Error>, tag: Tag) -> bool {
    matches!(refused, Err(Error::OutOfMemory(lacking))
        if lacking.tag == tag && lacking.cause == Shortage::Index)
}

/// A bounded heap in which the last block of `a` is in no list, for want of memory, and all others are; and
/// the blocks of `a`. Those of `b`, of which there is one, may be listed once more.
fn with_one_unlisted() -> (Heap<Buffer<'static>>, Vec<NonNull<u8>>) {
    let mut heap = heap_in(64 << 10);
    take(&mut heap, B, 16);
    let mut blocks = Vec::new();
    loop {
        blocks.push(take(&mut heap, A, 16));
        let mark = heap.mark();
        // SAFETY: nothing was allocated since.
        let released = unsafe { heap.release_since(A, mark) };
        if released.is_err() {
            break;
        }
        assert_eq!(released, Ok(Amount::default()));
    }
    take(&mut heap, B, 16);
    (heap, blocks)
}

/// Nobody knows when a block was allocated that no list could hold: it is not taken for a young one by whatever
/// enters it into a list later.
#[test]
fn a_block_of_unknown_age_is_never_taken_for_a_young_one() {
    let moves: [Move; 3] = [
        |heap, block| {
            heap.retag(block, B).unwrap();
            (block, B)
        },
        |heap, block| {
            assert_eq!(heap.merge(A, B).unwrap().blocks, 1);
            (block, B)
        },
        |heap, block| {
            // SAFETY: the block is the test's.
            let moved = unsafe { heap.grow(block, bytes(16), bytes(500)) };
            let moved = moved.unwrap().cast();
            assert_ne!(moved, block);
            (moved, A)
        },
    ];
    for step in moves {
        let (mut heap, mut blocks) = with_one_unlisted();
        let unlisted = blocks.pop().unwrap();
        // Holes in the list.
        for block in blocks {
            // SAFETY: the block is the test's.
            unsafe { heap.deallocate(block, bytes(16)) }.unwrap();
        }
        let mark = heap.mark();
        let (block, tag) = step(&mut heap, unlisted);
        let young = take(&mut heap, tag, 16);
        heap.check().unwrap();
        // SAFETY: nobody uses what was allocated since.
        let refused = unsafe { heap.release_since(tag, mark) };
        assert!(lacks_an_index(refused, tag), "{refused:?}");
        assert!(heap.contains(block) && heap.contains(young));
        // Without it, ages are known again.
        let size = heap.requested_size(block).unwrap();
        // SAFETY: the block is the test's.
        unsafe { heap.deallocate(block, bytes(size)) }.unwrap();
        // SAFETY: as above.
        let gone = unsafe { heap.release_since(tag, mark) };
        assert_eq!(gone.unwrap().blocks, 1);
        assert!(!heap.contains(young));
        heap.check().unwrap();
    }
}
