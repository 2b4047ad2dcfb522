//! Watermarks of pools without a bound: what is taken from the heap so far is all there is, until more is.

use core::alloc::Layout;
use std::cell::Cell;

use tagheap::{Alarm, Kind, Pool, Tag, Usage};

use crate::battery::Recipe;
use crate::kinds::{Bumps, GrowingSlots, Pools, SizeClassPools};
use crate::{in_large_buffer, in_reserve};

const LAYOUT: Layout = Layout::new::<[u64; 3]>();

thread_local! {
    static TOLD: Cell<Option<Usage>> = const { Cell::new(None) };
}

const NOTE: Alarm = |_tag, usage| {
    assert!(TOLD.replace(Some(*usage)).is_none(), "once a request");
};

/// Calls whenever a request makes nine tenths of what is there in use, and more than once: with each chunk anew.
fn calls_chunk_by_chunk<R: Recipe>() {
    in_reserve(|heap| {
        let pool = Pool::new(heap, Tag::new(1)).alarmed(NOTE);
        let mut kind = R::make(pool).unwrap();
        let mut calls = 0;
        for _round in 0..2 {
            let mut before = kind.usage().unwrap();
            for _ in 0..20_000 {
                kind.allocate(LAYOUT).unwrap();
                let after = kind.usage().unwrap();
                let reached = |usage: &Usage| usage.used > 0 && usage.used * 10 >= usage.total * 9;
                let due = reached(&after) && !reached(&before);
                assert_eq!(TOLD.take(), due.then_some(after), "{before} -> {after}");
                calls += usize::from(due);
                before = after;
            }
            kind.check().unwrap();
            kind.reset().unwrap();
        }
        assert!(calls > 2, "more than once a round: {calls}");
    });
}

#[test]
fn an_arena_calls_chunk_by_chunk() {
    calls_chunk_by_chunk::<Bumps>();
}

#[test]
fn growing_slots_call_chunk_by_chunk() {
    calls_chunk_by_chunk::<GrowingSlots>();
}

#[test]
fn size_classes_call_chunk_by_chunk() {
    calls_chunk_by_chunk::<SizeClassPools>();
}

/// All that a pool of blocks has taken is in use: without a bound it has nothing to fill up, and calls nobody.
#[test]
fn blocks_without_a_bound_call_nobody() {
    in_large_buffer(|heap| {
        for passes in [false, true] {
            let pool = Pool::new(heap, Tag::new(1)).alarmed(NOTE);
            let mut kind = Pools::make(pool.pass_through(passes)).unwrap();
            (0..100).for_each(|_| assert!(kind.allocate(LAYOUT).is_ok()));
            kind.reset().unwrap();
            let pool = Pool::new(heap, Tag::new(2)).alarmed(NOTE);
            let slots = GrowingSlots::make(pool.pass_through(true)).unwrap();
            (0..100).for_each(|_| assert!(slots.allocate(LAYOUT).is_ok()));
            assert_eq!(TOLD.take(), None);
        }
    });
}
