//! A pool of slots in several sizes.
//!
//! # Safety
//!
//! A piece is a slot of one of the sets, each of which hands a slot out once.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::pools::kind::{self, Kind};
use crate::pools::pool::Pool;
use crate::pools::sets::{Class, Sets, WhenFull};
use crate::sharing::share::Share;
use crate::words::error::{Error, Shortage};
use crate::words::usage::Usage;

/// Slots in several sizes: a request takes one of the smallest size that fits.
///
/// The sizes, and how many slots each has, are chosen by the user; all memory is taken when the pool is made.
/// Slots are aligned to the largest power of two, up to 4096, that divides their size: 48 bytes to 16. Both
/// ways are O(classes), with a few instructions for each class that does not fit.
///
/// ```
/// use tagheap::{Classes, Heap, Kind, LocalHeap, Pool, Reserve, Tag, Typed, WhenFull};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let pool = Pool::new(&heap, Tag::named("messages"));
/// let messages = Classes::new(pool, [(32, 100), (128, 20), (1024, 4)], WhenFull::Borrow)?;
/// let short = messages.own_str("ciao")?;
/// let long = messages.own([0_u8; 1000])?;
/// assert_eq!(messages.usage_of(0).map(|usage| usage.used), Some(1));
/// assert_eq!((&*short, long.len(), messages.usage()?.total), ("ciao", 1000, 124));
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// The slots of each size are kept as those of a [`Fixed`](crate::Fixed) are: a slot given back twice, a pointer
/// into one and a foreign one are found, and nothing that users write to slots harms the pool.
#[derive(Debug)]
pub struct Classes<H: Share, const N: usize> {
    /// By ascending size.
    sets: Sets<H, N>,
    /// Which of the user's classes stands where.
    numbers: [usize; N],
    when_full: WhenFull,
}

impl<H: Share, const N: usize> Classes<H, N> {
    /// A pool with a class for each pair of a size in bytes and a count of slots. Takes all its memory now: a
    /// block for each class, as that of a [`Fixed`](crate::Fixed::new). O(slots / 64).
    ///
    /// When the smallest class that fits a request has no free slot, the request is refused, or under
    /// [`WhenFull::Borrow`] takes a slot of the next larger class that fits and has one. A size of 0 counts as 1.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::OutOfMemory) if the heap or the pool's bound has no room for them, and the errors
    /// of [`Pool`]'s first request. Nothing is left in the heap then.
    pub fn new(
        pool: Pool<H>,
        sizes: [(usize, usize); N],
        when_full: WhenFull,
    ) -> Result<Self, Error> {
        let of = |number: usize| sizes.get(number).copied().unwrap_or_default();
        let mut numbers = core::array::from_fn(|number| number);
        numbers.sort_unstable_by_key(|number| (of(*number).0, *number));
        let sets = Sets::new(pool, numbers.map(of))?;
        Ok(Self {
            sets,
            numbers,
            when_full,
        })
    }

    pub(crate) fn sets(&self) -> &Sets<H, N> {
        &self.sets
    }

    /// The pool from which it took its chunks.
    pub fn pool(&self) -> &Pool<H> {
        self.sets.pool()
    }

    /// Numbers about a class, counted from 0 in the order in which they were given; `None` if there is none of
    /// that number. O(1). Slots lent to requests of a smaller class count as used here; a refusal is counted by the
    /// smallest class that fits. With pooling switched off all but the total is 0.
    pub fn usage_of(&self, class: usize) -> Option<Usage> {
        let mut numbers = self.numbers.iter();
        let place = numbers.position(|number| *number == class)?;
        self.sets.usage_of(place)
    }

    #[cold]
    fn allocate_not(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        if self.pool().passes() {
            return self.pool().allocate(layout);
        }
        let classes = self.sets.classes();
        let large = |class: &&Class| class.size() >= layout.size();
        let aligned = classes.iter().filter(large).map(Class::align).max();
        let cause = match aligned {
            Some(most) => Shortage::Overaligned { most },
            None => Shortage::Oversized {
                most: classes.last().map_or(0, Class::size),
            },
        };
        Err(self.sets.refuse(None, layout, cause))
    }
}

// SAFETY: a piece is a slot that was free and is now in use until it is given back; slots do not overlap, and
// are as large and aligned as the layouts that fit.
unsafe impl<H: Share, const N: usize> Kind for Classes<H, N> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        let classes = self.sets.classes().iter();
        let mut fitting = classes.filter(|class| class.fits(layout)).peekable();
        if self.pool().passes() || fitting.peek().is_none() {
            return self.allocate_not(layout);
        }
        let many = match self.when_full {
            WhenFull::Refuse => 1,
            WhenFull::Borrow => N,
        };
        self.sets.allocate(fitting.take(many), layout)
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.sets.deallocate(ptr, layout) }
    }

    /// In place as far as the slot reaches.
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() < old.size() {
            return Err(kind::wrong_way(old, new));
        }
        if self.pool().passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool().grow(ptr, old, new) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.sets.resize(self, ptr, old, new) }
    }

    /// In place, unless the slot is not aligned enough.
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() > old.size() {
            return Err(kind::wrong_way(old, new));
        }
        if self.pool().passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool().shrink(ptr, old, new) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.sets.resize(self, ptr, old, new) }
    }

    /// Keeps all its memory. O(slots / 64).
    fn reset(&mut self) -> Result<(), Error> {
        self.sets.reset()
    }

    /// Whether the address lies in a slot, in use or not. O(classes).
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        self.sets.contains(ptr)
    }

    /// Checks what stands in front of the slots of each class, and then as [`Pool`] does. O(slots / 64).
    fn check(&self) -> Result<(), Error> {
        self.sets.check()
    }

    /// Numbers about the slots of all classes.
    fn usage(&self) -> Result<Usage, Error> {
        self.sets.usage()
    }
}
