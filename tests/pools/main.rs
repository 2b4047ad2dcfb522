//! Every kind of pool: one battery over all of them on every sort of heap, and beside it what is special
//! to each.
//!
//! `TAGHEAP_SOAK` in the environment says for how many seconds each of the rows F01 to F03 and F06 runs: 600 for
//! the ten minutes that F01 asks for, and for the ten thousand forks of F06, which end when they are done.

#![cfg_attr(std_allocator, feature(allocator_api))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod battery;
mod buddy;
mod classes;
mod collections;
mod cursor;
mod fixed;
mod forks;
mod free_list;
mod held;
mod homemade;
mod kernel;
mod kinds;
mod locks;
mod marks;
mod own_blocks;
mod ownership;
mod pieces;
mod priority;
mod resized;
mod signals;
mod size_classes;
mod stack;
mod storm;
mod threads;
mod timed;
mod treiber;
mod values;
mod watermarks;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tagheap::{Buffer, Directory, Heap, Key, LocalHeap, Reserve, SharedHeap, Whole};
use tagheap_trace::{Granting, Ground};

/// How long threads and forks are let loose: so long, or as many seconds as `TAGHEAP_SOAK` says.
fn soak(usually: Duration) -> Duration {
    let seconds = tagheap_trace::soak();
    seconds.map_or(usually, |seconds| Duration::from_secs(seconds.into()))
}

/// A heap in a buffer too small for indexes.
fn in_buffer(test: impl FnOnce(&LocalHeap<Buffer<'_>>)) {
    let mut bytes = vec![0x5a; 60 * 1024];
    test(&LocalHeap::new(Heap::new(Buffer::new(&mut bytes)).unwrap()));
}

/// A heap in a buffer that also holds its indexes.
fn in_large_buffer(test: impl FnOnce(&LocalHeap<Buffer<'_>>)) {
    let mut bytes = vec![0x5a; 512 * 1024];
    test(&LocalHeap::new(Heap::new(Buffer::new(&mut bytes)).unwrap()));
}

fn in_reserve(test: impl FnOnce(&LocalHeap<Reserve>)) {
    test(&LocalHeap::new(Heap::new(Reserve::new().unwrap()).unwrap()));
}

/// A heap behind a lock, with the rule under which nothing is split.
fn behind_lock(test: impl FnOnce(&SharedHeap<Reserve, Whole>)) {
    let (source, key) = (Reserve::new().unwrap(), Key::from_seed(4));
    let heap = Heap::with(source, Whole, Directory::new(), key).unwrap();
    test(&SharedHeap::new(heap));
}

/// A heap whose memory grows or not as the test says.
fn with_refusals(test: impl FnOnce(&LocalHeap<Granting>, &dyn Fn(bool))) {
    let refused = Rc::new(Cell::new(false));
    let source = Granting::new(Rc::new(Ground::new(1 << 20)), refused.clone());
    let heap = LocalHeap::new(Heap::new(source).unwrap());
    test(&heap, &|no| refused.set(no));
}

macro_rules! battery {
    ($($name:ident: $recipe:ident;)*) => { $(mod $name {
        use crate::kinds::$recipe as Recipe;
        battery!(on in_buffer);
        battery!(on in_large_buffer);
        battery!(on in_reserve);
        battery!(on behind_lock);

        #[test]
        fn b15_a_refusal_half_way_leaves_nothing() {
            crate::with_refusals(|heap, weather| {
                crate::battery::agrees_while::<Recipe>(heap, weather);
            });
        }

        #[test]
        fn b15_is_made_or_not() {
            crate::battery::is_made_or_not::<Recipe, _>(|bytes| {
                let bytes = vec![0; bytes].leak();
                let heap = tagheap::Heap::new(tagheap::Buffer::new(bytes)).ok()?;
                Some(tagheap::LocalHeap::new(heap))
            });
        }
    })* };
    (on $rig:ident) => {
        mod $rig {
            use super::Recipe;
            use crate::{battery, $rig as rig};
            battery!(
                test agrees_with_the_model, aligns, refuses_what_is_too_large, fills_up, serves_nothing,
                refuses_strangers, refuses_to_free_twice, calls_at_the_watermark, outlives_its_alarm,
                serves_its_alarm, passes_through, resizes, leaves_what_is_held, owns_its_tag, goes_with_its_tag, holds_values, holds_strict_values
            );

            #[test]
            fn keeps_apart() {
                rig(|one| rig(|two| battery::keeps_apart::<Recipe>(one, two)));
            }
        }
    };
    (test $($test:ident),*) => { $(
        #[test]
        fn $test() {
            rig(|heap| battery::$test::<Recipe>(heap));
        }
    )* };
}

battery! {
    pool: Pools;
    bump: Bumps;
    fixed_slots: FixedSlots;
    strict_slots: StrictSlots;
    growing_slots: GrowingSlots;
    refusing_classes: RefusingClasses;
    borrowing_classes: BorrowingClasses;
    priorities: Priorities;
    lock_free: LockFrees;
    locked_fixed: LockedFixeds;
    locked_pool: LockedPools;
    timed_pool: TimedPools;
    stacks: Stacks;
    free_lists: FreeLists;
    buddies: Buddies;
    size_class_pools: SizeClassPools;
    locked_size_classes: LockedSizeClasses;
    homemade_pool: HomemadePools;
}
