//! Counters, peaks, names; a million tags.

use core::alloc::Layout;

use tagheap::{Error, Heap, Misuse, Reserve, Shortage, Tag, TagStats};

use crate::{A, B, bytes, heap, heap_in, take};

#[test]
fn every_number_counts_what_it_says() {
    let mut heap = heap();
    assert_eq!(heap.stats_of(A).unwrap().blocks, 0);
    let first = take(&mut heap, A, 100);
    let second = take(&mut heap, A, 20);
    take(&mut heap, B, 1);
    // SAFETY: the block is the test's.
    unsafe { heap.deallocate(first, bytes(100)) }.unwrap();
    heap.allocate(A, bytes(1 << 45)).unwrap_err();
    // SAFETY: as above.
    let second = unsafe { heap.grow(second, bytes(20), bytes(50)) }.unwrap();
    // SAFETY: as above.
    unsafe { heap.shrink(second.cast(), bytes(50), bytes(7)) }.unwrap();

    let stats = heap.stats_of(A).unwrap();
    let name = stats.name;
    let wanted = TagStats {
        tag: A,
        name,
        blocks: 1,
        bytes: 48,
        requested: 7,
        peak: 144 + 64,
        allocations: 2,
        deallocations: 1,
        failures: 1,
        largest: 100,
        limit: None,
    };
    assert_eq!(stats, wanted);
    heap.check().unwrap();
}

/// Whichever call makes the request, and whatever it lacks.
#[test]
fn a_request_without_memory_is_a_failure_once() {
    let mut heap = heap();
    let block = take(&mut heap, A, 16);
    take(&mut heap, B, 16);
    let too_large = Layout::from_size_align(isize::MAX as usize, 1).unwrap();
    let mut failures = 0;
    let mut refused = |heap: &mut Heap<Reserve>, new: Layout| {
        heap.allocate(A, new).unwrap_err();
        heap.allocate_zeroed(A, new).unwrap_err();
        // SAFETY: the block is the test's.
        unsafe { heap.grow(block, bytes(16), new) }.unwrap_err();
        // SAFETY: as above.
        unsafe { heap.grow_zeroed(block, bytes(16), new) }.unwrap_err();
        failures += 4;
        let stats = heap.stats_of(A).unwrap();
        assert_eq!(stats.failures, failures);
        let rest = (stats.allocations, stats.deallocations, stats.largest);
        assert_eq!((rest, stats.peak), ((1, 0, 16), 48));
    };
    refused(&mut heap, too_large);
    refused(&mut heap, bytes(1 << 45));
    heap.set_limit(A, Some(100)).unwrap();
    refused(&mut heap, bytes(100));
    // Where it would grow in place.
    // SAFETY: nobody uses the block.
    unsafe { heap.release(B) }.unwrap();
    refused(&mut heap, bytes(100));
    // Misuse is no request, nor is what changes tags.
    heap.allocate(Tag::HEAP, bytes(1)).unwrap_err();
    // SAFETY: refused.
    unsafe { heap.grow(block, bytes(16), bytes(15)) }.unwrap_err();
    let other = take(&mut heap, B, 100);
    heap.retag(other, A).unwrap_err();
    heap.merge(B, A).unwrap_err();
    assert_eq!(heap.stats_of(A).unwrap().failures, 16);
    assert_eq!(heap.stats_of(B).unwrap().failures, 0);
    heap.check().unwrap();
}

#[test]
fn counters_survive_a_release_until_forgotten() {
    let mut heap = heap();
    for size in 0..10 {
        take(&mut heap, A, size);
    }
    heap.forget(A);
    assert_eq!(
        heap.stats_of(A).unwrap().blocks,
        10,
        "a tag that holds blocks is not forgotten"
    );
    // SAFETY: nobody uses the blocks.
    unsafe { heap.release(A) }.unwrap();
    let stats = heap.stats_of(A).unwrap();
    assert_eq!((stats.blocks, stats.bytes, stats.requested), (0, 0, 0));
    assert_eq!((stats.allocations, stats.deallocations), (10, 10));
    assert_eq!(stats.peak, 480);
    heap.forget(A);
    assert_eq!(heap.stats_of(A).unwrap().allocations, 0);
    assert_eq!(heap.tags().count(), 0);
}

#[test]
fn a_peak_begins_anew_at_what_is_held() {
    let mut heap = heap();
    let block = take(&mut heap, A, 1000);
    take(&mut heap, A, 16);
    // SAFETY: the block is the test's.
    unsafe { heap.deallocate(block, bytes(1000)) }.unwrap();
    assert_eq!(heap.stats_of(A).unwrap().peak, 1040 + 48);
    heap.reset_peak(A);
    assert_eq!(heap.stats_of(A).unwrap().peak, 48);
}

#[test]
fn a_name_has_up_to_31_bytes_and_whole_characters() {
    let mut heap = heap();
    let long = "textures of the second level, north";
    heap.set_name(A, long).unwrap();
    assert_eq!(heap.stats_of(A).unwrap().name.as_str(), &long[..31]);
    for length in [0, 1, 30, 31, 32] {
        heap.set_name(A, &long[..length]).unwrap();
        let name = heap.stats_of(A).unwrap().name;
        assert_eq!(name.as_str(), &long[..length.min(31)]);
    }
    // Cut before the character that would go beyond.
    heap.set_name(A, &(long[..29].to_owned() + "\u{20ac}"))
        .unwrap();
    assert_eq!(heap.stats_of(A).unwrap().name.as_str(), &long[..29]);
    heap.set_name(A, &(long[..28].to_owned() + "\u{20ac}"))
        .unwrap();
    assert_eq!(heap.stats_of(A).unwrap().name.as_str().len(), 31);
    heap.set_name(A, &"\u{fc}".repeat(16)).unwrap();
    assert_eq!(
        heap.stats_of(A).unwrap().name.to_string(),
        "\u{fc}".repeat(15)
    );
    let error = heap.set_name(Tag::HEAP, "mine").unwrap_err();
    assert_eq!(error, Error::Misuse(Misuse::ReservedTag { tag: Tag::HEAP }));
}

#[test]
fn a_million_tags_each_with_a_block() {
    let mut heap = heap();
    let tags =
        (1..=1_000_000).map(|number: u64| Tag::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    for tag in tags.clone() {
        heap.allocate(tag, Layout::new::<u64>()).unwrap();
    }
    assert_eq!(heap.tags().count(), 1_000_000);
    heap.check().unwrap();
    for (index, tag) in tags.enumerate() {
        assert_eq!(heap.stats_of(tag).unwrap().blocks, 1);
        if index % 2 == 0 {
            // SAFETY: nobody uses the blocks.
            let amount = unsafe { heap.release(tag) }.unwrap();
            assert_eq!((amount.blocks, amount.bytes), (1, 48));
        }
        if index % 4 == 0 {
            heap.forget(tag);
        }
    }
    assert_eq!(heap.tags().count(), 750_000);
    heap.check().unwrap();
}

#[test]
fn a_bounded_heap_without_room_for_another_tag_says_so_and_goes_on() {
    let mut heap = heap_in(64 * 1024);
    let mut number = 1;
    let refused = loop {
        match heap.allocate(Tag::new(number), bytes(16)) {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    let Error::OutOfMemory(refused) = refused else {
        panic!("{refused}")
    };
    assert_eq!(
        (refused.cause, refused.tag),
        (Shortage::Index, Tag::new(number))
    );
    assert!(number > 16, "{number} tags");
    let (row, end) = (heap.drawing().to_string(), heap.end());
    heap.allocate(Tag::new(number), bytes(16)).unwrap_err();
    assert_eq!((heap.drawing().to_string(), heap.end()), (row, end));
    take(&mut heap, Tag::new(1), 16);
    heap.forget(Tag::new(1));
    heap.check().unwrap();
}

#[test]
fn a_small_buffer_counts_by_a_walk() {
    let mut heap = heap_in(4096);
    take(&mut heap, A, 100);
    take(&mut heap, A, 0);
    take(&mut heap, B, 1);
    let stats = heap.stats_of(A).unwrap();
    assert_eq!(
        (stats.blocks, stats.bytes, stats.requested),
        (2, 144 + 48, 100)
    );
    assert_eq!(heap.tags().count(), 0);
    assert!(matches!(
        heap.set_limit(A, Some(1)),
        Err(Error::OutOfMemory(_))
    ));
    // SAFETY: nobody uses the blocks.
    assert_eq!(unsafe { heap.release(A) }.unwrap().blocks, 2);
    heap.check().unwrap();
}
