//! How long a pool's operations take.
//!
//! # Safety
//!
//! A timed pool stands behind its handle as any other, and in the same block behind it what takes its times, which is
//! all that knows it then, and ends it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ffi::c_char;
use core::fmt::Write;
use core::ptr::NonNull;
use core::time::Duration;

use heap::{Elapsed, Error, Kind, Operation, Timed, Timing, Usage};

use crate::answer::{self, Answer, given, put};
use crate::moments::Words;
use crate::pooled::{Pooled, on, th_pool};
use crate::status::th_status;
use crate::text::Text;

/// th_pool_allocate and th_pool_allocate_at.
pub const TH_ALLOCATE: u32 = 0;
/// th_pool_deallocate.
pub const TH_DEALLOCATE: u32 = 1;
/// th_pool_resize to as many bytes or more.
pub const TH_GROW: u32 = 2;
/// th_pool_resize to fewer.
pub const TH_SHRINK: u32 = 3;
/// th_pool_reset.
pub const TH_RESET: u32 = 4;

/// How long something took.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct th_elapsed {
    /// Cycles of the time-stamp counter, which runs at a constant rate.
    pub cycles: u64,
    /// Nanoseconds.
    pub nanoseconds: u64,
}

/// How long an operation of a pool took, whether it succeeded or not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct th_timing {
    /// The last one; 0 if there was none.
    pub last: th_elapsed,
    /// The longest one.
    pub longest: th_elapsed,
    /// What it may take; 0 if nobody said.
    pub limit: th_elapsed,
    /// How often it took longer.
    pub exceeded: u64,
}

impl From<Elapsed> for th_elapsed {
    fn from(elapsed: Elapsed) -> Self {
        let Elapsed {
            cycles,
            nanoseconds,
        } = elapsed;
        Self {
            cycles,
            nanoseconds,
        }
    }
}

impl From<Timing> for th_timing {
    fn from(timing: Timing) -> Self {
        Self {
            last: timing.last.into(),
            longest: timing.longest.into(),
            limit: timing.limit.unwrap_or_default().into(),
            exceeded: timing.exceeded,
        }
    }
}

/// What takes a pool's times.
pub(crate) type Times = Timed<Behind>;

/// A pool that is ended when this is.
pub(crate) struct Behind(NonNull<dyn Pooled>);

/// A pool whose times are taken.
pub(crate) struct Clocked(Times);

impl Clocked {
    /// # Safety
    ///
    /// The pool is made, stays where it is, and is nobody else's from now on.
    pub(crate) unsafe fn new(pool: NonNull<dyn Pooled>) -> Self {
        Self(Timed::new(Behind(pool)))
    }
}

impl Behind {
    fn pool(&self) -> &dyn Pooled {
        // SAFETY: made and this one's, by the contract of `Clocked::new`.
        unsafe { self.0.as_ref() }
    }

    fn pool_mut(&mut self) -> &mut dyn Pooled {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { self.0.as_mut() }
    }

    fn kind(&self) -> &dyn Kind {
        self.pool().kind()
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // SAFETY: made and this one's, which is gone now.
        unsafe { self.0.drop_in_place() };
    }
}

// SAFETY: every request is the pool's own, which keeps the contract.
unsafe impl Kind for Behind {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        self.kind().allocate(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.kind().deallocate(ptr, layout) }
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise.
        unsafe { self.kind().grow(ptr, old, new) }
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        // SAFETY: the caller's promise.
        unsafe { self.kind().shrink(ptr, old, new) }
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.pool_mut().kind_mut().reset()
    }

    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        self.kind().contains(ptr)
    }

    fn check(&self) -> Result<(), Error> {
        self.kind().check()
    }

    fn usage(&self) -> Result<Usage, Error> {
        self.kind().usage()
    }
}

impl Clocked {
    fn pool(&self) -> &dyn Pooled {
        self.0.kind().pool()
    }
}

impl Pooled for Clocked {
    fn kind(&self) -> &dyn Kind {
        &self.0
    }

    fn kind_mut(&mut self) -> &mut dyn Kind {
        &mut self.0
    }

    fn allocate_at(&self, level: usize, layout: Layout) -> Answer<NonNull<[u8]>> {
        let work = |behind: &Behind| behind.pool().allocate_at(level, layout);
        self.0.time(Operation::Allocate, work)
    }

    fn usage_of(&self, part: usize) -> Answer<Usage> {
        self.pool().usage_of(part)
    }

    fn mark(&self) -> Answer<Words> {
        self.pool().mark()
    }

    unsafe fn rewind(&self, words: Words) -> Answer<()> {
        // SAFETY: the caller's promise.
        unsafe { self.pool().rewind(words) }
    }

    fn trim(&self) -> Answer<usize> {
        self.pool().trim()
    }

    fn times(&self) -> Answer<&Times> {
        Ok(&self.0)
    }

    fn has_lock(&self) -> bool {
        self.pool().has_lock()
    }

    fn before_fork(&self) -> Result<(), Error> {
        self.pool().before_fork()
    }

    unsafe fn after_fork(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.pool().after_fork() };
    }
}

fn operation(number: u32) -> Answer<Operation> {
    let operation = Operation::ALL.get(number as usize);
    Ok(*operation.ok_or(th_status::TH_OUT_OF_RANGE)?)
}

/// How long an operation of a pool with TH_TIMED took so far, to `timing`: TH_ALLOCATE, TH_DEALLOCATE, TH_GROW,
/// TH_SHRINK or TH_RESET. O(1), without the pool's lock.
///
/// The first timing or limit in a process takes a millisecond, in which the counter's rate is held against the kernel's
/// clock, unless th_assume_cycles_per_second said it. TH_WRONG_KIND without TH_TIMED, TH_OUT_OF_RANGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_timing(
    pool: *const th_pool,
    operation: u32,
    timing: *mut th_timing,
) -> th_status {
    let tell = |pool: &th_pool| {
        let place = given(timing)?;
        let times = pool.shared()?.times()?;
        let taken = times.timing(self::operation(operation)?);
        // SAFETY: the header's contract.
        unsafe { put(place.as_ptr(), taken.into()) };
        Ok(())
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, tell) })
}

/// Says what an operation of a pool with TH_TIMED may take from now on, in nanoseconds; 0 for any time. How often it
/// takes longer is counted. TH_WRONG_KIND, TH_OUT_OF_RANGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_limit_time(
    pool: *mut th_pool,
    operation: u32,
    nanoseconds: u64,
) -> th_status {
    let limit = |pool: &th_pool| {
        let times = pool.shared()?.times()?;
        let limit = (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds));
        times.set_limit(self::operation(operation)?, limit);
        Ok(())
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, limit) })
}

/// Forgets the times taken so far, such as those from before everything was warm. Limits stay. TH_WRONG_KIND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_clear_times(pool: *mut th_pool) -> th_status {
    let clear = |pool: &th_pool| {
        pool.shared()?.times()?.clear();
        Ok(())
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(pool, clear) })
}

/// The times of a pool with TH_TIMED in text, a line for each operation that there was. As th_table. TH_WRONG_KIND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_times(
    pool: *const th_pool,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> th_status {
    let tell = |pool: &th_pool| {
        let times = pool.shared()?.times()?;
        // SAFETY: the header's contract.
        let mut text = unsafe { Text::new(text, capacity) };
        // Text takes whatever comes.
        let _ = write!(text, "{times}");
        Ok(text.length())
    };
    // SAFETY: the header's contract.
    let answer = unsafe { on(pool, tell) };
    // SAFETY: as above.
    answer::status(answer.map(|whole| unsafe { put(length, whole) }))
}

/// Says how many cycles of the time-stamp counter a second has, as a device's maker does: then pools with TH_TIMED
/// ask no kernel for the time, and none of their users waits a millisecond.
///
/// Answers whether that is so from now on: false for 0, and once a limit or a timing was asked for, for the rate is
/// known then, and stays.
#[unsafe(no_mangle)]
pub extern "C" fn th_assume_cycles_per_second(cycles: u64) -> bool {
    heap::assume_cycles_per_second(cycles)
}
