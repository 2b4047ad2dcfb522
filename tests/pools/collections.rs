//! Collections of other crates whose memory is a pool's, by the `Allocator` traits of two versions.

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::battery::Habits;

/// A box, vectors that grow and shrink, and a map live in a pool: contents are what they must be.
pub(crate) fn live_in<A>(pool: A, habits: &Habits)
where
    A: Copy + api2_02::alloc::Allocator + api2_04::alloc::Allocator,
{
    let room = habits.most.min(400);
    let boxed = api2_02::boxed::Box::new_in([7_u8; 16], pool);
    let newer = api2_04::boxed::Box::try_new_in(8_u64, pool).unwrap();
    let mut bytes = api2_02::vec::Vec::new_in(pool);
    let mut words = api2_04::vec::Vec::new_in(pool);
    // Vectors double, so the last push fits into half of what a piece may have.
    for n in 0..room / 2 {
        bytes.try_reserve_exact(1).unwrap();
        bytes.push(n as u8);
    }
    for n in 0..room / 4 {
        words.try_reserve_exact(1).unwrap();
        words.push(n as u16);
    }
    let mut map: HashMap<u8, u8, DefaultHashBuilder, A> = HashMap::new_in(pool);
    for n in 0..3 {
        map.insert(n, n * 2);
    }
    bytes.truncate(5);
    bytes.shrink_to_fit();
    words.truncate(5);
    words.shrink_to_fit();
    assert_eq!((*boxed, *newer), ([7; 16], 8));
    assert_eq!(bytes, [0, 1, 2, 3, 4]);
    assert_eq!(words, [0, 1, 2, 3, 4]);
    assert!((0..3).all(|n| map.get(&n) == Some(&(n * 2))));
    map.clear();
}

/// As [`live_in`], by std's own trait, on a compiler that has it:
/// `cargo +nightly test --features nightly --test pools collections`.
#[cfg(std_allocator)]
fn live_in_std<A: Copy + std::alloc::Allocator>(pool: A, habits: &Habits) {
    let room = habits.most.min(400);
    let boxed = Box::new_in([7_u8; 16], pool);
    let mut bytes = Vec::new_in(pool);
    for n in 0..room / 2 {
        bytes.try_reserve_exact(1).unwrap();
        bytes.push(n as u8);
    }
    let zeroed = Box::<[u64; 4], _>::new_zeroed_in(pool);
    // SAFETY: zeros are numbers.
    let zeroed = unsafe { zeroed.assume_init() };
    bytes.truncate(5);
    bytes.shrink_to_fit();
    assert_eq!((*boxed, *zeroed), ([7; 16], [0; 4]));
    assert_eq!(bytes, [0, 1, 2, 3, 4]);
    assert_eq!(bytes.capacity(), 5);
}

macro_rules! collections {
    ($($name:ident: $recipe:ident;)*) => { $(
        mod $name {
            use crate::kinds::$recipe as Recipe;
            collections!(on in_buffer, in_reserve);
        }
    )* };
    (on $($rig:ident),*) => { $(
        #[test]
        fn $rig() {
            crate::$rig(|heap| {
                use crate::battery::{self, Recipe as _};
                let habits = &Recipe::HABITS;
                let pool = tagheap::Pool::new(heap, battery::TAG).bounded(battery::BOUND);
                let kind = Recipe::make(pool).unwrap();
                super::live_in(&kind, habits);
                tagheap::Kind::check(&kind).unwrap();
                let usage = tagheap::Kind::usage(&kind).unwrap();
                assert!(usage.allocations > 4, "{usage}");
                assert!(usage.live() == 0 || habits.last_first, "{usage}");
                #[cfg(std_allocator)]
                super::live_in_std(&kind, habits);
                drop(kind);
                battery::assert_clean(heap);
            });
        }
    )* };
}

collections! {
    pool: Pools;
    bump: Bumps;
    buddy: Buddies;
    free_list: FreeLists;
    stack: Stacks;
    fixed_slots: FixedSlots;
    growing_slots: GrowingSlots;
    classes: CollectionClasses;
    priorities: Priorities;
    lock_free: LockFrees;
    locked_fixed: LockedFixeds;
    locked_pool: LockedPools;
    timed_pool: TimedPools;
    size_classes: SizeClassPools;
    locked_size_classes: LockedSizeClasses;
}
