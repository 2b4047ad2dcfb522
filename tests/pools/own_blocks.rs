//! Blocks that a pool hands out itself: before it has a bound, and before and beside a kind that is made from it.

use core::alloc::Layout;

use tagheap::{
    Bump, Classes, Error, Fixed, Kind, OutOfMemory, Pool, Priority, Share, Shortage, SizeClasses,
    Tag, WhenFull,
};

use crate::battery::Recipe;
use crate::in_reserve;
use crate::kinds::{
    Buddies, Bumps, FixedSlots, FreeLists, GrowingSlots, Priorities, RefusingClasses,
    SizeClassPools, Stacks,
};

const TAG: Tag = Tag::new(1);
const LAYOUT: Layout = Layout::new::<[u8; 5000]>();
const SMALL: Layout = Layout::new::<[u8; 8]>();

/// The error for a request of a pool that holds so much of a bound.
fn full<T>(layout: Layout, total: usize, used: usize) -> Result<T, Error> {
    let (size, align) = (layout.size(), layout.align());
    let cause = Shortage::Full { total, used };
    Err(OutOfMemory {
        tag: TAG,
        size,
        align,
        cause,
    }
    .into())
}

#[test]
fn a_bound_below_what_a_pool_holds_allows_nothing_more() {
    in_reserve(|heap| {
        let pool = Pool::new(heap, TAG);
        let block = pool.allocate(LAYOUT).unwrap().cast();
        let pool = pool.bounded(10);
        assert_eq!(pool.allocate(SMALL), full(SMALL, 10, 5000));
        // SAFETY: the test's own block, which stays.
        let grown = unsafe { pool.grow(block, LAYOUT, Layout::new::<[u8; 5001]>()) };
        assert_eq!(grown, full(Layout::new::<[u8; 5001]>(), 10, 5000));
        // SAFETY: the test's own block.
        let block = unsafe { pool.shrink(block, LAYOUT, SMALL) };
        assert_eq!(pool.usage().unwrap().free(), 2);
        // SAFETY: the test's own block.
        unsafe { pool.deallocate(block.unwrap().cast(), SMALL) }.unwrap();
        pool.allocate(SMALL).unwrap();
    });
}

#[test]
fn kinds_made_from_a_pool_beyond_its_bound_are_refused() {
    fn beyond<H: Share>(heap: H) -> Pool<H> {
        let pool = Pool::new(heap, TAG);
        pool.allocate(LAYOUT).unwrap();
        pool.bounded(10)
    }
    in_reserve(|heap| {
        let refused = full(SMALL, 10, 5000);
        assert_eq!(Bump::new(beyond(heap)).allocate(SMALL), refused);
        assert_eq!(SizeClasses::new(beyond(heap)).allocate(SMALL), refused);
        let growing = Fixed::growing(beyond(heap), SMALL, 10).unwrap();
        assert_eq!(growing.allocate(SMALL), full(SMALL, 0, 0));
        drop(growing);
        let fixed = Fixed::new(beyond(heap), SMALL, 10);
        assert!(matches!(fixed, Err(Error::OutOfMemory(_))), "{fixed:?}");
    });
}

/// Checks a kind, its numbers, and what a reset leaves, with blocks of its pool's own before it and beside it.
fn leaves_blocks_alone<R: Recipe>() {
    in_reserve(|heap| {
        let without = numbers::<R, _>(Pool::new(heap, TAG));
        let pool = Pool::new(heap, TAG);
        pool.allocate(LAYOUT).unwrap();
        assert_eq!(numbers::<R, _>(pool), without);
    });
}

/// What a kind says of itself before, while and after a piece of it is in use.
fn numbers<R: Recipe, H: Share>(pool: Pool<H>) -> [String; 3] {
    let mut kind = R::make(pool).unwrap();
    let told = |kind: &R::Kind<H>| {
        kind.check().unwrap();
        kind.usage().unwrap().to_string()
    };
    let before = told(&kind);
    kind.allocate(SMALL).unwrap();
    let meanwhile = told(&kind);
    kind.reset().unwrap();
    [before, meanwhile, told(&kind)]
}

#[test]
fn a_kind_counts_no_blocks_that_its_pool_handed_out_before() {
    leaves_blocks_alone::<Bumps>();
    leaves_blocks_alone::<SizeClassPools>();
    leaves_blocks_alone::<Stacks>();
    leaves_blocks_alone::<FreeLists>();
    leaves_blocks_alone::<FixedSlots>();
    leaves_blocks_alone::<GrowingSlots>();
    leaves_blocks_alone::<RefusingClasses>();
    leaves_blocks_alone::<Priorities>();
    leaves_blocks_alone::<Buddies>();
}

macro_rules! beside {
    ($($test:ident: $kind:expr;)*) => { $(
        #[test]
        fn $test() {
            in_reserve(|heap| {
                let mut kind = ($kind)(Pool::new(heap, TAG));
                kind.allocate(SMALL).unwrap();
                let before = kind.usage().unwrap();
                let block = kind.pool().allocate(LAYOUT).unwrap().cast();
                kind.check().unwrap();
                assert_eq!(kind.usage().unwrap(), before, "the block is the pool's");
                let larger = Layout::new::<[u8; 9000]>();
                // SAFETY: the test's own block.
                let block = unsafe { kind.pool().grow(block, LAYOUT, larger) }.unwrap().cast();
                kind.check().unwrap();
                kind.reset().unwrap();
                kind.check().unwrap();
                // SAFETY: the test's own block.
                let block = unsafe { kind.pool().shrink(block, larger, SMALL) }.unwrap().cast();
                kind.check().unwrap();
                // SAFETY: the test's own block.
                unsafe { kind.pool().deallocate(block, SMALL) }.unwrap();
                kind.allocate(SMALL).unwrap();
                kind.check().unwrap();
                assert_eq!(kind.usage().unwrap().total, before.total);
            });
        }
    )* };
}

beside! {
    an_arena_leaves_blocks_beside_it_alone: Bump::new;
    size_classes_leave_blocks_beside_them_alone: SizeClasses::new;
    slots_leave_blocks_beside_them_alone: |pool| Fixed::new(pool, SMALL, 10).unwrap();
    growing_slots_leave_blocks_beside_them_alone: |pool| Fixed::growing(pool, SMALL, 10).unwrap();
    classes_leave_blocks_beside_them_alone: |pool| Classes::new(pool, [(8, 4)], WhenFull::Refuse).unwrap();
    levels_leave_blocks_beside_them_alone: |pool| Priority::new(pool, WhenFull::Refuse).unwrap();
}
