//! What the root block tells somebody outside of the accounts: the same as the heap does.

use core::ptr;
use core::slice;

use fastrand::Rng;
use tagheap::{Heap, Root, Source, Tag, TagStats};

use crate::{bytes, heap, heap_in};

/// Bytes of this process.
fn read<'a>(at: usize, length: usize) -> &'a [u8] {
    let start = ptr::with_exposed_provenance(at);
    // SAFETY: the heap that says so lives, and nobody changes it meanwhile.
    unsafe { slice::from_raw_parts(start, length) }
}

fn root<S: Source>(heap: &Heap<S>) -> Root {
    Root::decode(heap.base(), read(heap.base(), Root::BLOCK)).unwrap()
}

/// All accounts, by tag.
fn outside<S: Source>(heap: &Heap<S>) -> Vec<TagStats> {
    let root = root(heap);
    let entries = read(
        root.accounts as usize,
        root.entries as usize * TagStats::ENTRY,
    );
    let entries = entries.chunks(TagStats::ENTRY);
    let mut all: Vec<_> = entries.filter_map(TagStats::decode).collect();
    all.sort_by_key(|stats| stats.tag);
    all
}

fn inside<S: Source>(heap: &Heap<S>) -> Vec<TagStats> {
    let mut all: Vec<_> = heap.tags().collect();
    all.sort_by_key(|stats| stats.tag);
    all
}

#[test]
fn accounts_are_told_wherever_they_lie_and_whoever_goes() {
    let mut random = Rng::with_seed(1);
    let mut heap = heap();
    let mut places = Vec::new();
    for step in 0..6000 {
        let tag = Tag::new(random.u64(1..1 + step / 3 + 2));
        match random.u8(..8) {
            // SAFETY: nobody uses these blocks.
            0 => drop(unsafe { heap.release(tag) }),
            1 => heap.forget(tag),
            2 => heap.set_name(tag, "of some length, 25 bytes").unwrap(),
            3 => heap.set_limit(tag, Some(1 << random.u32(8..30))).unwrap(),
            _ => drop(heap.allocate(tag, bytes(random.usize(..300)))),
        }
        if step % 50 == 0 {
            assert_eq!(outside(&heap), inside(&heap));
            heap.check().unwrap();
            places.push(root(&heap).accounts);
        }
    }
    places.dedup();
    assert!(places.len() > 2, "they moved: {}", places.len());
}

#[test]
fn where_there_are_none_none_are_told() {
    let mut small = heap_in(2000);
    small.allocate(Tag::new(7), bytes(100)).unwrap();
    let root = root(&small);
    assert_eq!((root.accounts, root.entries), (0, 0));
    small.check().unwrap();

    let mut large = heap_in(1 << 20);
    assert_eq!(outside(&large), []);
    large.allocate(Tag::new(7), bytes(100)).unwrap();
    assert_eq!(outside(&large), inside(&large));
}
