//! A pool of slots by the importance of what goes into them.
//!
//! # Safety
//!
//! A piece is a slot of one of the sets, each of which hands a slot out once. A view of one level is the pool
//! itself, under a type that names the level.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::fmt;
use core::ptr::{self, NonNull};

use crate::pools::kind::{self, Kind};
use crate::pools::pool::Pool;
use crate::pools::sets::{Class, Sets, WhenFull};
use crate::sharing::share::Share;
use crate::words::error::Error;
use crate::words::usage::Usage;

/// How important a request to a [`Priority`] is, most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What must not fail: 64 slots of 32 bytes unless told otherwise.
    Critical,
    /// What usually comes: 32 slots of 128 bytes unless told otherwise.
    Normal,
    /// Large objects: 8 slots of 1024 bytes unless told otherwise.
    Large,
    /// What goes soon: 16 slots of 256 bytes unless told otherwise.
    Temporary,
}

impl Level {
    /// All levels, most important first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::Normal, Self::Large, Self::Temporary];

    /// Bytes of a slot and count of slots of each level, unless told otherwise.
    pub const SIZES: [(usize, usize); 4] = [(32, 64), (128, 32), (1024, 8), (256, 16)];
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Large => "large",
            Self::Temporary => "temporary",
        })
    }
}

/// Slots of four levels, so that requests of one level leave those of others alone.
///
/// A request names its [`Level`]: by [`allocate_at`](Priority::allocate_at), or through the view of a level that
/// [`at`](Priority::at) answers, into which values go as into any pool. One that names none, through the pool
/// itself, is [`Level::Temporary`].
///
/// ```
/// use tagheap::{Heap, Kind, Level, LocalHeap, Pool, Priority, Reserve, Tag, Typed, WhenFull};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let pool = Priority::new(Pool::new(&heap, Tag::named("control")), WhenFull::Refuse)?;
/// let stop = pool.at(Level::Critical).own(17_u64)?;
/// let line = pool.alloc_str("temporary")?;
/// assert_eq!((*stop, &*line), (17, "temporary"));
/// assert_eq!(pool.usage_of(Level::Critical).used, 1);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// The slots of each level are kept as those of a [`Fixed`](crate::Fixed) are, and aligned to the largest power
/// of two, up to 4096, that divides their size. All memory is taken when the pool is made: by default some 20 KiB.
#[derive(Debug)]
pub struct Priority<H: Share> {
    sets: Sets<H, 4>,
    when_full: WhenFull,
}

impl<H: Share> Priority<H> {
    /// A pool with the slots of [`Level::SIZES`].
    ///
    /// When a level has no free slot, a request to it is refused, or under [`WhenFull::Borrow`] takes a slot of
    /// the next less important level whose slots are large and aligned enough and not all in use. More
    /// important levels lend nothing.
    ///
    /// # Errors
    ///
    /// As for [`with_sizes`](Priority::with_sizes).
    pub fn new(pool: Pool<H>, when_full: WhenFull) -> Result<Self, Error> {
        Self::with_sizes(pool, Level::SIZES, when_full)
    }

    /// As [`new`](Priority::new), with the bytes of a slot and the count of slots for each level of
    /// [`Level::ALL`]. A size of 0 counts as 1. O(slots / 64).
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::OutOfMemory) if the heap or the pool's bound has no room for them, and the errors
    /// of [`Pool`]'s first request. Nothing is left in the heap then.
    pub fn with_sizes(
        pool: Pool<H>,
        sizes: [(usize, usize); 4],
        when_full: WhenFull,
    ) -> Result<Self, Error> {
        let sets = Sets::new(pool, sizes)?;
        Ok(Self { sets, when_full })
    }

    pub(crate) fn sets(&self) -> &Sets<H, 4> {
        &self.sets
    }

    /// The pool from which it took its chunks.
    pub fn pool(&self) -> &Pool<H> {
        self.sets.pool()
    }

    /// Hands out a piece of a level's slots, or as [`new`](Priority::new) says when there is none. O(1).
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`]; [`Oversized`](crate::Shortage::Oversized) and
    /// [`Overaligned`](crate::Shortage::Overaligned) if the level's own slots are too small, even where another
    /// level's are not.
    #[inline]
    pub fn allocate_at(&self, level: Level, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        let sets = &self.sets;
        if self.pool().passes() {
            return self.pool().allocate(layout);
        }
        let classes = sets.classes().iter().skip(level as usize);
        if let Some(own) = classes.clone().next()
            && !own.fits(layout)
        {
            return Err(sets.refuse(Some(own), layout, own.lack(layout)));
        }
        let fitting = classes.filter(|class: &&Class| class.fits(layout));
        let many = match self.when_full {
            WhenFull::Refuse => 1,
            WhenFull::Borrow => Level::ALL.len(),
        };
        sets.allocate(fitting.take(many), layout)
    }

    /// The pool as one whose requests are all of this level. Its numbers are the level's. O(1).
    pub fn at(&self, level: Level) -> &(dyn Kind + '_) {
        match level {
            Level::Critical => self.view::<0>(),
            Level::Normal => self.view::<1>(),
            Level::Large => self.view::<2>(),
            Level::Temporary => self.view::<3>(),
        }
    }

    fn view<const LEVEL: usize>(&self) -> &At<H, LEVEL> {
        // SAFETY: the view has the pool's form, and adds nothing to it but a name.
        unsafe { &*ptr::from_ref(self).cast() }
    }

    /// Numbers about a level's slots, in use for its own requests or borrowed, O(1); a refusal is counted by the level
    /// that was asked. With pooling switched off all but the total is 0.
    pub fn usage_of(&self, level: Level) -> Usage {
        let usage = self.sets.usage_of(level as usize);
        usage.unwrap_or_default()
    }
}

// SAFETY: a piece is a slot that was free and is now in use until it is given back; slots do not overlap, and
// are as large and aligned as the layouts that fit.
unsafe impl<H: Share> Kind for Priority<H> {
    /// As [`allocate_at`](Priority::allocate_at) with [`Level::Temporary`].
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        self.allocate_at(Level::Temporary, layout)
    }

    /// Takes a piece back, whatever its level.
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.sets.deallocate(ptr, layout) }
    }

    /// In place as far as the slot reaches; beyond in a temporary slot.
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise.
        unsafe { grow_as(self, self, ptr, old, new) }
    }

    /// In place, unless the slot is not aligned enough.
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise.
        unsafe { shrink_as(self, self, ptr, old, new) }
    }

    /// Keeps all its memory. O(slots / 64).
    fn reset(&mut self) -> Result<(), Error> {
        self.sets.reset()
    }

    /// Whether the address lies in a slot of any level, in use or not. O(1).
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        self.sets.contains(ptr)
    }

    /// Checks what stands in front of the slots of each level, and then as [`Pool`] does. O(slots / 64).
    fn check(&self) -> Result<(), Error> {
        self.sets.check()
    }

    /// Numbers about the slots of all levels.
    fn usage(&self) -> Result<Usage, Error> {
        self.sets.usage()
    }
}

/// # Safety
///
/// As for [`Kind::grow`]; `kind` is the pool, or a view of it.
unsafe fn grow_as<H: Share, K: Kind>(
    pool: &Priority<H>,
    kind: &K,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, Error> {
    if new.size() < old.size() {
        return Err(kind::wrong_way(old, new));
    }
    if pool.pool().passes() {
        // SAFETY: the caller's promise.
        return unsafe { pool.pool().grow(ptr, old, new) };
    }
    // SAFETY: the caller's promise.
    unsafe { pool.sets.resize(kind, ptr, old, new) }
}

/// # Safety
///
/// As for [`Kind::shrink`]; `kind` is the pool, or a view of it.
unsafe fn shrink_as<H: Share, K: Kind>(
    pool: &Priority<H>,
    kind: &K,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, Error> {
    if new.size() > old.size() {
        return Err(kind::wrong_way(old, new));
    }
    if pool.pool().passes() {
        // SAFETY: the caller's promise.
        return unsafe { pool.pool().shrink(ptr, old, new) };
    }
    // SAFETY: the caller's promise.
    unsafe { pool.sets.resize(kind, ptr, old, new) }
}

/// A pool whose requests are all of one level.
#[repr(transparent)]
struct At<H: Share, const LEVEL: usize>(Priority<H>);

impl<H: Share, const LEVEL: usize> At<H, LEVEL> {
    fn level(&self) -> Level {
        let level = Level::ALL.get(LEVEL);
        level.copied().unwrap_or(Level::Temporary)
    }
}

// SAFETY: as for the pool, whose pieces these are.
unsafe impl<H: Share, const LEVEL: usize> Kind for At<H, LEVEL> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        self.0.allocate_at(self.level(), layout)
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(ptr, layout) }
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise.
        unsafe { grow_as(&self.0, self, ptr, old, new) }
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise.
        unsafe { shrink_as(&self.0, self, ptr, old, new) }
    }

    /// Takes all pieces of all levels back. Nobody reaches it: the pool gives no exclusive view.
    fn reset(&mut self) -> Result<(), Error> {
        self.0.reset()
    }

    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        self.0.contains(ptr)
    }

    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }

    fn usage(&self) -> Result<Usage, Error> {
        match self.0.pool().passes() {
            true => self.0.usage(),
            false => Ok(self.0.usage_of(self.level())),
        }
    }
}
