//! The kinds that the battery runs on, and the heaps.

use tagheap::{Bump, Error, Pool, Share, SizeClasses};

use crate::battery::{BOUND, Habits, Recipe};

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

recipe!(
    Classes,
    SizeClasses<H>,
    |pool| Ok(SizeClasses::new(pool)),
    ANY
);
