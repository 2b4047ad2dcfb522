//! What the heap knows by tag: numbers, limits, names, marks; against a model that counts by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod changes;
mod index_room;
mod limits;
mod marks;
mod model;
mod moves;
mod numbers;
mod outside;
mod refused;

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{Buffer, Heap, Reserve, Source, Tag};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");
const C: Tag = Tag::named("c");

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 1).unwrap()
}

fn heap() -> Heap<Reserve> {
    Heap::new(Reserve::new().unwrap()).unwrap()
}

fn take<S: Source>(heap: &mut Heap<S>, tag: Tag, size: usize) -> NonNull<u8> {
    heap.allocate(tag, bytes(size)).unwrap().cast()
}

/// A heap in a leaked buffer of so many bytes.
fn heap_in(length: usize) -> Heap<Buffer<'static>> {
    Heap::new(Buffer::new(vec![0xa5; length].leak())).unwrap()
}
