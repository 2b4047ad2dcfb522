//! The kinds that the battery runs on, and the heaps.

use core::alloc::Layout;
use tagheap::{
    Buddy, Bump, Classes, Error, Fixed, FreeList, LockFree, Locked, Pool, Priority, Share,
    SizeClasses, Stack, Timed, WhenFull,
};

use crate::battery::{BOUND, Habits, Recipe};
use crate::homemade::Homemade;

/// A kind that the battery runs on: its name, how to make one, and its habits where they differ.
macro_rules! recipe {
    ($name:ident, $kind:ty, $make:expr, $habits:expr) => {
        pub(crate) struct $name;

        impl Recipe for $name {
            type Kind<H: Share> = $kind;
            const HABITS: Habits = $habits;

            fn make<H: Share>(pool: Pool<H>) -> Result<Self::Kind<H>, Error> {
                $make(pool)
            }
        }
    };
}

/// Any request, given back in any order, misuse found.
const ANY: Habits = Habits {
    most: BOUND / 4,
    align: 4096,
    last_first: false,
    reuses: true,
    finds_double_free: true,
    finds_interior: true,
    exact: true,
};

recipe!(Pools, Pool<H>, Ok, ANY);

recipe!(
    Bumps,
    Bump<H>,
    |pool| Ok(Bump::new(pool)),
    Habits {
        reuses: false,
        finds_double_free: false,
        finds_interior: false,
        ..ANY
    }
);

/// Slots of 64 bytes.
const SLOTS: Habits = Habits {
    most: 64,
    align: 16,
    ..ANY
};

fn slot() -> Layout {
    Layout::new::<[u128; 4]>()
}

recipe!(
    FixedSlots,
    Fixed<H>,
    |pool| Fixed::new(pool, slot(), 60),
    SLOTS
);

recipe!(
    StrictSlots,
    Fixed<H>,
    |pool| Fixed::new(pool, Layout::from_size_align(256, 256).unwrap(), 16),
    Habits {
        most: 256,
        align: 256,
        ..ANY
    }
);

recipe!(
    GrowingSlots,
    Fixed<H>,
    |pool| Fixed::growing(pool, slot(), 10),
    SLOTS
);

/// Three classes, of which one has nine slots in ten: the battery's fill of one size must reach the watermark.
fn classes<H: Share>(pool: Pool<H>, when_full: WhenFull) -> Result<Classes<H, 3>, Error> {
    Classes::new(pool, [(256, 1), (4, 6), (48, 80)], when_full)
}

recipe!(
    RefusingClasses,
    Classes<H, 3>,
    |pool| classes(pool, WhenFull::Refuse),
    Habits { most: 256, ..SLOTS }
);

recipe!(
    BorrowingClasses,
    Classes<H, 3>,
    |pool| classes(pool, WhenFull::Borrow),
    Habits { most: 256, ..SLOTS }
);

recipe!(
    CollectionClasses,
    Classes<H, 2>,
    |pool| Classes::new(pool, [(16, 4), (64, 60)], WhenFull::Borrow),
    SLOTS
);

recipe!(
    Priorities,
    Priority<H>,
    |pool| Priority::with_sizes(
        pool,
        [(16, 2), (32, 2), (128, 2), (64, 60)],
        WhenFull::Refuse
    ),
    SLOTS
);

recipe!(
    LockFrees,
    LockFree<H>,
    |pool| LockFree::new(pool, slot(), 60),
    SLOTS
);

recipe!(
    LockedFixeds,
    Locked<Fixed<H>>,
    |pool| Ok(Locked::new(Fixed::new(pool, slot(), 60)?)),
    SLOTS
);

recipe!(
    LockedPools,
    Locked<Pool<H>>,
    |pool| Ok(Locked::new(pool)),
    ANY
);

recipe!(TimedPools, Timed<Pool<H>>, |pool| Ok(Timed::new(pool)), ANY);

recipe!(
    Stacks,
    Stack<H>,
    |pool| Stack::new(pool, 4096),
    Habits {
        most: 1024,
        align: 256,
        last_first: true,
        ..ANY
    }
);

recipe!(
    FreeLists,
    FreeList<H>,
    |pool| FreeList::new(pool, 4096),
    Habits {
        most: 1024,
        align: 256,
        ..ANY
    }
);

recipe!(
    Buddies,
    Buddy<H>,
    |pool| Buddy::new(pool, 4096, 16),
    Habits { most: 1024, ..ANY }
);

recipe!(
    SizeClassPools,
    SizeClasses<H>,
    |pool| Ok(SizeClasses::new(pool)),
    ANY
);

recipe!(
    LockedSizeClasses,
    Locked<SizeClasses<H>>,
    |pool| Ok(Locked::new(SizeClasses::new(pool))),
    ANY
);

recipe!(HomemadePools, Homemade<H>, |pool| Ok(Homemade(pool)), ANY);
