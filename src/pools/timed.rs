//! How long a pool's operations take.
//!
//! # Safety
//!
//! Every request goes to the pool within as it came.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use crate::ground::{clock, sys};
use crate::pools::kind::Kind;
use crate::words::error::Error;
use crate::words::usage::Usage;

/// An operation of a pool whose time is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Kind::allocate`].
    Allocate,
    /// [`Kind::deallocate`].
    Deallocate,
    /// [`Kind::grow`].
    Grow,
    /// [`Kind::shrink`].
    Shrink,
    /// [`Kind::reset`].
    Reset,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Allocate,
        Self::Deallocate,
        Self::Grow,
        Self::Shrink,
        Self::Reset,
    ];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allocate => "allocate",
            Self::Deallocate => "deallocate",
            Self::Grow => "grow",
            Self::Shrink => "shrink",
            Self::Reset => "reset",
        })
    }
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elapsed {
    /// Cycles of the time-stamp counter, which runs at a constant rate.
    pub cycles: u64,
    /// Nanoseconds.
    pub nanoseconds: u64,
}

impl Elapsed {
    fn of(cycles: u64) -> Self {
        let nanoseconds = clock::nanoseconds(cycles);
        Self {
            cycles,
            nanoseconds,
        }
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns ({} cycles)", self.nanoseconds, self.cycles)
    }
}

/// How long an operation of a [`Timed`] pool took, whether it succeeded or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Which.
    pub operation: Operation,
    /// The last one; 0 if there was none.
    pub last: Elapsed,
    /// The longest one.
    pub longest: Elapsed,
    /// What it may take.
    pub limit: Option<Elapsed>,
    /// How often it took longer.
    pub exceeded: u64,
}

impl fmt::Display for Timing {
    /// One line, such as `allocate: last 25 ns (65 cycles), longest 90 ns (234 cycles), limit 50 ns (130 cycles)
    /// exceeded 2 times`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            last,
            longest,
            ..
        } = self;
        write!(f, "{operation}: last {last}, longest {longest}")?;
        match self.limit {
            Some(limit) => write!(f, ", limit {limit} exceeded {} times", self.exceeded),
            None => Ok(()),
        }
    }
}

/// A pool that notes how long its operations take, the last and the longest of each.
///
/// Each reads the time-stamp counter twice, some ten nanoseconds together; what is in between counts,
/// interruptions by the kernel included. Around a [`Locked`](crate::Locked) pool that is the wait for the
/// lock too, inside one it is not. It can be shared among threads if the pool can.
///
/// ```
/// use core::time::Duration;
/// use tagheap::{Bump, Heap, LocalHeap, Operation, Pool, Reserve, Tag, Timed, Typed};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let motor = Bump::new(Pool::new(&heap, Tag::named("motor")));
/// let motor = Timed::new(motor).limited(Operation::Allocate, Duration::from_secs(1));
/// motor.alloc([0; 16])?;
/// let timing = motor.timing(Operation::Allocate);
/// assert!(timing.longest.cycles > 0 && timing.exceeded == 0);
/// println!("{timing}");
/// # Ok::<(), tagheap::Error>(())
/// ```
#[derive(Debug)]
pub struct Timed<K> {
    kind: K,
    watches: [Watch; Operation::ALL.len()],
}

/// The times of one operation, in cycles.
#[derive(Debug)]
struct Watch {
    last: AtomicU64,
    longest: AtomicU64,
    exceeded: AtomicU64,
    /// What it may take; [`u64::MAX`] for anything.
    limit: AtomicU64,
}

impl Watch {
    const fn new() -> Self {
        Self {
            last: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            exceeded: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
        }
    }

    /// Notes that an operation which began then is over.
    #[inline]
    fn stop(&self, start: u64) {
        // The counters of two processors may differ by a few cycles where a thread moves, and some counters move on
        // only every so many cycles. What there was took one at least: 0 says that there was none.
        let cycles = sys::cycles().saturating_sub(start).max(1);
        self.last.store(cycles, Ordering::Relaxed);
        if cycles > self.longest.load(Ordering::Relaxed) {
            self.longest.fetch_max(cycles, Ordering::Relaxed);
        }
        if cycles > self.limit.load(Ordering::Relaxed) {
            self.exceeded.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<K> Timed<K> {
    /// Takes the times of a pool's operations.
    pub const fn new(kind: K) -> Self {
        Self {
            kind,
            watches: [const { Watch::new() }; Operation::ALL.len()],
        }
    }

    /// The pool, with a limit for an operation; how often it takes longer is counted. The first limit or
    /// [`timing`](Timed::timing) in a process takes a millisecond, in which the counter's rate is held against the
    /// kernel's clock, unless [`assume_cycles_per_second`](crate::assume_cycles_per_second) said it. Where neither is
    /// there, a cycle is taken for a nanosecond.
    #[must_use]
    pub fn limited(self, operation: Operation, limit: Duration) -> Self {
        self.set_limit(operation, Some(limit));
        self
    }

    /// As [`limited`](Timed::limited), in cycles of the time-stamp counter, and without the kernel.
    #[must_use]
    pub fn limited_to_cycles(self, operation: Operation, limit: u64) -> Self {
        self.watch(operation).limit.store(limit, Ordering::Relaxed);
        self
    }

    /// As [`limited`](Timed::limited), from now on; `None` for no limit. What was counted stays.
    pub fn set_limit(&self, operation: Operation, limit: Option<Duration>) {
        let cycles = limit.map_or(u64::MAX, |limit| {
            clock::cycles(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
        });
        self.watch(operation).limit.store(cycles, Ordering::Relaxed);
    }

    /// How long an operation took so far. O(1).
    pub fn timing(&self, operation: Operation) -> Timing {
        let watch = self.watch(operation);
        let limit = watch.limit.load(Ordering::Relaxed);
        let limit = (limit != u64::MAX).then(|| Elapsed::of(limit));
        Timing {
            operation,
            last: Elapsed::of(watch.last.load(Ordering::Relaxed)),
            longest: Elapsed::of(watch.longest.load(Ordering::Relaxed)),
            limit,
            exceeded: watch.exceeded.load(Ordering::Relaxed),
        }
    }

    /// Forgets the times taken so far, such as those from before everything was warm. Limits stay.
    pub fn clear(&self) {
        for watch in &self.watches {
            watch.last.store(0, Ordering::Relaxed);
            watch.longest.store(0, Ordering::Relaxed);
            watch.exceeded.store(0, Ordering::Relaxed);
        }
    }

    /// Does something with the pool, whose time is taken as an operation's: what a kind does besides the operations of
    /// [`Kind`], such as a request for a level of importance.
    ///
    /// ```
    /// # use core::alloc::Layout;
    /// # use tagheap::{Heap, Level, LocalHeap, Operation, Pool, Priority, Reserve, Tag, Timed, WhenFull};
    /// # let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    /// let motor = Priority::new(Pool::new(&heap, Tag::named("motor")), WhenFull::Refuse)?;
    /// let motor = Timed::new(motor);
    /// let layout = Layout::new::<[u8; 16]>();
    /// motor.time(Operation::Allocate, |motor| motor.allocate_at(Level::Critical, layout))?;
    /// assert!(motor.timing(Operation::Allocate).last.cycles > 0);
    /// # Ok::<(), tagheap::Error>(())
    /// ```
    #[inline]
    pub fn time<T>(&self, operation: Operation, work: impl FnOnce(&K) -> T) -> T {
        let start = sys::cycles();
        let answer = work(&self.kind);
        self.watch(operation).stop(start);
        answer
    }

    /// The pool whose times are taken; what is called on it directly is not timed.
    pub fn kind(&self) -> &K {
        &self.kind
    }

    /// The pool, no longer timed.
    pub fn into_inner(self) -> K {
        self.kind
    }

    #[inline]
    fn watch(&self, operation: Operation) -> &Watch {
        let [allocate, deallocate, grow, shrink, reset] = &self.watches;
        match operation {
            Operation::Allocate => allocate,
            Operation::Deallocate => deallocate,
            Operation::Grow => grow,
            Operation::Shrink => shrink,
            Operation::Reset => reset,
        }
    }
}

// SAFETY: every request is the pool's own, which keeps the contract.
unsafe impl<K: Kind> Kind for Timed<K> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        self.time(Operation::Allocate, |kind| kind.allocate(layout))
    }

    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        self.time(Operation::Deallocate, |kind| {
            // SAFETY: the caller's promise.
            unsafe { kind.deallocate(ptr, layout) }
        })
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        self.time(Operation::Grow, |kind| {
            // SAFETY: the caller's promise.
            unsafe { kind.grow(ptr, old, new) }
        })
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        self.time(Operation::Shrink, |kind| {
            // SAFETY: the caller's promise.
            unsafe { kind.shrink(ptr, old, new) }
        })
    }

    fn reset(&mut self) -> Result<(), Error> {
        let start = sys::cycles();
        let answer = self.kind.reset();
        self.watch(Operation::Reset).stop(start);
        answer
    }

    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        self.kind.contains(ptr)
    }

    fn check(&self) -> Result<(), Error> {
        self.kind.check()
    }

    fn usage(&self) -> Result<Usage, Error> {
        self.kind.usage()
    }
}

impl<K> fmt::Display for Timed<K> {
    /// A line for each operation that there was.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timings = Operation::ALL.map(|operation| self.timing(operation));
        let taken = timings.iter().filter(|timing| timing.longest.cycles > 0);
        for (line, timing) in taken.enumerate() {
            if line > 0 {
                writeln!(f)?;
            }
            timing.fmt(f)?;
        }
        Ok(())
    }
}
