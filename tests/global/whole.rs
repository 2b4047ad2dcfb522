//! The battery of the kinds, over the whole program's heap as if it were a pool under one tag.
//!
//! Left out is what only pools have: the tag of their own, bounds, watermarks, pooling switched off.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use tagheap::{Error, Heap, Kind, LocalHeap, Measure, Pool, Reserve, Share, Usage};

use crate::HEAP;
use crate::battery::{self, BOUND, Habits, Recipe, TAG};
use crate::careless::{free, try_take};
use crate::support::holding;

/// The heap under the battery's tag, which it releases in the end. What the heap does not count by tag is counted
/// here.
struct Whole<H> {
    allocations: Cell<u64>,
    deallocations: Cell<u64>,
    failures: Cell<u64>,
    of: PhantomData<H>,
}

impl<H> Whole<H> {
    fn new() -> Self {
        Self {
            allocations: Cell::new(0),
            deallocations: Cell::new(0),
            failures: Cell::new(0),
            of: PhantomData,
        }
    }

    /// An answer with what it says of the numbers.
    fn counted(&self, answer: Result<NonNull<u8>, Error>, size: usize) -> Piece {
        let counter = match answer {
            Ok(_) => &self.allocations,
            Err(_) => &self.failures,
        };
        counter.set(counter.get() + 1);
        Ok(NonNull::slice_from_raw_parts(answer?, size))
    }

    fn clear(&self) {
        // SAFETY: the battery forgets all pieces first, and nobody else has any under its tag.
        unsafe { HEAP.release(TAG) }.unwrap();
        assert_eq!((holding(TAG).objects, holding(TAG).held.blocks), (0, 0));
    }
}

type Piece = Result<NonNull<[u8]>, Error>;

// SAFETY: the heap's pieces are nobody else's until given back, and each is as large and aligned as asked for.
unsafe impl<H: Share> Kind for Whole<H> {
    fn allocate(&self, layout: Layout) -> Piece {
        self.counted(try_take(TAG, layout), layout.size())
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        free(ptr, layout)?;
        self.deallocations.set(self.deallocations.get() + 1);
        Ok(())
    }

    unsafe fn grow(&self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Piece {
        // SAFETY: the caller's promise; whether the new size is the larger one is under test.
        unsafe { HEAP.grow(ptr, old, new) }
    }

    unsafe fn shrink(&self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Piece {
        // SAFETY: the caller's promise; whether the new size is the smaller one is under test.
        unsafe { HEAP.shrink(ptr, old, new) }
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.clear();
        self.deallocations.set(self.allocations.get());
        Ok(())
    }

    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        Ok(HEAP.tag_of(ptr) == Ok(TAG))
    }

    /// That the heap is in order, and its objects are as many as were counted.
    fn check(&self) -> Result<(), Error> {
        let live = self.allocations.get() - self.deallocations.get();
        assert_eq!(holding(TAG).objects as u64, live);
        HEAP.check()
    }

    fn usage(&self) -> Result<Usage, Error> {
        let holding = HEAP.holding(TAG)?;
        Ok(Usage {
            measure: Measure::Bytes,
            total: holding.held.bytes,
            used: holding.bytes,
            peak: holding.held.peak,
            allocations: self.allocations.get(),
            deallocations: self.deallocations.get(),
            failures: self.failures.get(),
        })
    }
}

impl<H> Drop for Whole<H> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.clear();
        }
    }
}

const HABITS: Habits = Habits {
    most: 2 * BOUND,
    align: 16 * 1024,
    last_first: false,
    reuses: true,
    finds_double_free: true,
    finds_interior: true,
    exact: false,
};

/// As much as there is: small pieces are slots of spans.
struct Unlimited;

impl Recipe for Unlimited {
    type Kind<H: Share> = Whole<H>;
    const HABITS: Habits = HABITS;

    fn make<H: Share>(_pool: Pool<H>) -> Result<Whole<H>, Error> {
        HEAP.set_limit(TAG, None)?;
        Ok(Whole::new())
    }
}

/// Under a limit too low for a span: small pieces are blocks of the heap's own.
struct Limited;

impl Recipe for Limited {
    type Kind<H: Share> = Whole<H>;
    const HABITS: Habits = Habits {
        most: BOUND / 4,
        align: 4096,
        ..HABITS
    };

    fn make<H: Share>(_pool: Pool<H>) -> Result<Whole<H>, Error> {
        HEAP.set_limit(TAG, Some(BOUND))?;
        Ok(Whole::new())
    }
}

/// Runs a test of the battery while no other has its tag.
fn run(test: impl FnOnce(&LocalHeap<Reserve>)) {
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Of this heap is only what must be a stranger's.
    let other = LocalHeap::new(Heap::new(Reserve::new().unwrap()).unwrap());
    test(&other);
}

macro_rules! battery {
    ($($module:ident: $recipe:ident { $($test:ident),* })*) => { $(mod $module { $(
        #[test]
        fn $test() {
            super::run(super::battery::$test::<super::$recipe>);
        }
    )* })* };
}

battery! {
    unlimited: Unlimited {
        agrees_with_the_model, aligns, serves_nothing, refuses_strangers, refuses_to_free_twice, resizes, holds_values
    }
    limited: Limited {
        agrees_with_the_model, aligns, refuses_what_is_too_large, fills_up, serves_nothing, refuses_strangers,
        refuses_to_free_twice, resizes, holds_values
    }
}
