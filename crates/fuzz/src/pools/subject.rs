//! What a model must know of a kind beside what all kinds do.

use std::alloc::Layout;
use std::ptr::NonNull;

use tagheap::{
    Buddy, Bump, BumpMark, Classes, Error, Fixed, FreeList, Kind, Level, LockFree, Locked, Measure,
    Misuse, Pool, Priority, Share, SizeClasses, Stack, StackMark, Timed,
};

/// How a kind serves, as far as that can be foretold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Bytes asked for, each in a block of the heap's own.
    Blocks,
    Bump,
    /// Sizes rounded up to classes.
    Rounded,
    /// One behind the other; whether a request's size is limited.
    Stack {
        is_limited: bool,
    },
    /// First fit, without headers.
    FreeList,
    /// So many slots, for what is no larger and no more strictly aligned.
    Slots {
        size: usize,
        align: usize,
        count: usize,
    },
    /// Slots of several sizes, or that get more.
    ManySlots,
    /// Powers of two, no smaller than that.
    Buddy {
        smallest: usize,
    },
}

/// A kind of pool under test.
pub(super) trait Subject: Kind {
    type Mark: Clone;

    /// Pieces are given back last in, first out.
    const LAST_FIRST: bool = false;

    /// It finds that a piece is given back twice.
    const FINDS_DOUBLE_FREE: bool = true;

    /// It finds an address within its memory at which no piece starts.
    const FINDS_INTERIOR: bool = true;

    fn mark(&self) -> Option<Self::Mark> {
        None
    }

    fn rewind(&mut self, _mark: Self::Mark) -> Result<(), Error> {
        Err(Misuse::StaleMark.into())
    }

    fn trim(&self) -> Result<usize, Error> {
        Ok(0)
    }

    /// A picture of it.
    fn text(&self) -> String {
        String::new()
    }

    /// Whether anybody may write over what was given back: nothing of the heap's is there.
    fn may_be_scribbled(&self) -> bool {
        true
    }

    /// Where its memory starts, if it says so.
    fn start(&self) -> Option<usize> {
        None
    }

    /// Its parts add up to what it says of the whole.
    fn assert_parts(&self) {}

    /// Allocates in one of its parts.
    fn allocate_in(&self, _part: u8, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        self.allocate(layout)
    }
}

impl<H: Share> Subject for Pool<H> {
    type Mark = ();

    fn may_be_scribbled(&self) -> bool {
        false
    }
}

impl<H: Share> Subject for Bump<H> {
    type Mark = BumpMark;
    const FINDS_DOUBLE_FREE: bool = false;
    const FINDS_INTERIOR: bool = false;

    fn mark(&self) -> Option<BumpMark> {
        Some(Bump::mark(self))
    }

    fn rewind(&mut self, mark: BumpMark) -> Result<(), Error> {
        Bump::rewind(self, mark)
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl<H: Share> Subject for Stack<H> {
    type Mark = StackMark;
    const LAST_FIRST: bool = true;

    fn mark(&self) -> Option<StackMark> {
        Some(Stack::mark(self))
    }

    fn rewind(&mut self, mark: StackMark) -> Result<(), Error> {
        Stack::rewind(self, mark)
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl<H: Share> Subject for SizeClasses<H> {
    type Mark = ();

    fn trim(&self) -> Result<usize, Error> {
        SizeClasses::trim(self)
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl<H: Share> Subject for FreeList<H> {
    type Mark = ();

    fn text(&self) -> String {
        self.to_string()
    }

    fn start(&self) -> Option<usize> {
        Some(self.base())
    }

    fn assert_parts(&self) {
        let usage = self.usage().unwrap();
        assert_eq!(usage.used, self.used(), "{usage}");
    }
}

impl<H: Share> Subject for Fixed<H> {
    type Mark = ();

    fn trim(&self) -> Result<usize, Error> {
        Fixed::trim(self)
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl<H: Share, const N: usize> Subject for Classes<H, N> {
    type Mark = ();

    fn text(&self) -> String {
        self.to_string()
    }

    fn assert_parts(&self) {
        let usage = self.usage().unwrap();
        assert_eq!(self.usage_of(N), None);
        if usage.measure == Measure::Slots {
            let parts = || (0..N).filter_map(|class| self.usage_of(class));
            assert_eq!(parts().map(|part| part.used).sum::<usize>(), usage.used);
            assert_eq!(parts().map(|part| part.total).sum::<usize>(), usage.total);
        }
    }
}

impl<H: Share> Subject for Priority<H> {
    type Mark = ();

    fn text(&self) -> String {
        self.to_string()
    }

    fn assert_parts(&self) {
        let usage = self.usage().unwrap();
        if usage.measure == Measure::Slots {
            let parts = Level::ALL.map(|level| self.usage_of(level));
            for (level, part) in Level::ALL.into_iter().zip(parts) {
                assert_eq!(self.at(level).usage(), Ok(part));
            }
            assert_eq!(
                parts.map(|part| part.used).iter().sum::<usize>(),
                usage.used
            );
        }
    }

    fn allocate_in(&self, part: u8, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        let level = Level::ALL[usize::from(part) % 4];
        match part & 4 {
            0 => self.allocate_at(level, layout),
            _ => self.at(level).allocate(layout),
        }
    }
}

impl<H: Share> Subject for Buddy<H> {
    type Mark = ();

    fn text(&self) -> String {
        self.to_string()
    }
}

impl<H: Share> Subject for LockFree<H> {
    type Mark = ();

    fn text(&self) -> String {
        self.to_string()
    }
}

impl<K: Subject> Subject for Locked<K> {
    type Mark = K::Mark;
    const LAST_FIRST: bool = K::LAST_FIRST;
    const FINDS_DOUBLE_FREE: bool = K::FINDS_DOUBLE_FREE;
    const FINDS_INTERIOR: bool = K::FINDS_INTERIOR;

    fn mark(&self) -> Option<K::Mark> {
        self.look(K::mark).unwrap()
    }

    fn rewind(&mut self, mark: K::Mark) -> Result<(), Error> {
        self.get_mut().rewind(mark)
    }

    fn trim(&self) -> Result<usize, Error> {
        self.look(K::trim).unwrap()
    }

    fn may_be_scribbled(&self) -> bool {
        self.look(K::may_be_scribbled).unwrap()
    }

    fn assert_parts(&self) {
        self.look(K::assert_parts).unwrap();
    }
}

impl<K: Subject> Subject for Timed<K> {
    type Mark = K::Mark;
    const LAST_FIRST: bool = K::LAST_FIRST;
    const FINDS_DOUBLE_FREE: bool = K::FINDS_DOUBLE_FREE;
    const FINDS_INTERIOR: bool = K::FINDS_INTERIOR;

    fn trim(&self) -> Result<usize, Error> {
        self.kind().trim()
    }

    fn may_be_scribbled(&self) -> bool {
        self.kind().may_be_scribbled()
    }

    fn start(&self) -> Option<usize> {
        self.kind().start()
    }

    fn assert_parts(&self) {
        self.kind().assert_parts();
    }
}
