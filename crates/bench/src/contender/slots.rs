//! Pools of slots: one trait for those of one thread, one for those that threads share.
//!
//! A value of 64 bytes is put into a slot, all of it written; later its first word is read and the slot freed.
//! Every contender does just that: slab and heapless, which move a value in, and those that hand out memory. What
//! stands between the workload and a contender is always inlined, so that no one pays for a call more.

use std::ptr::NonNull;

use super::{Entry, Outcome, Role};
use crate::job::{Job, Workload};
use crate::workloads;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unreachable_pub, reason = "heapless makes the type of its pool public")]
pub struct Value([u64; 8]);

impl Value {
    /// A value that can be told from others by its first word.
    #[inline]
    pub(crate) const fn new(first: u64) -> Self {
        Self([first; 8])
    }

    #[inline]
    pub(crate) const fn first(&self) -> u64 {
        self.0[0]
    }
}

/// Somewhere to put values, as one thread sees it.
pub(crate) trait Slots {
    /// What the owner of a value keeps: a pointer, a key, a box.
    type Held;

    /// Puts a value into a slot.
    fn put(&mut self, value: Value) -> Option<Self::Held>;

    /// Frees the slot, and answers the first word of the value in it.
    ///
    /// # Safety
    ///
    /// Put in here, and taken once.
    unsafe fn take(&mut self, held: Self::Held) -> u64;
}

/// A pool of slots for one thread, in the comparison.
pub(crate) trait LocalSlots: Slots + Sized {
    /// Its name in tables and plots.
    const NAME: &'static str;

    /// What it is in a comparison.
    const ROLE: Role = Role::Peer;

    /// With so many free slots; one that grows, with as many at hand as it likes.
    fn new(slots: usize) -> Self;
}

/// A pool of slots that threads share, in the comparison.
pub(crate) trait SharedSlots: Sync + Sized {
    /// Its name in tables and plots.
    const NAME: &'static str;

    /// What it is in a comparison.
    const ROLE: Role = Role::Peer;

    /// As of [`Slots`].
    type Held: Send;

    /// As of [`LocalSlots`].
    fn new(slots: usize) -> Self;

    /// As of [`Slots`].
    fn put(&self, value: Value) -> Option<Self::Held>;

    /// As of [`Slots`].
    ///
    /// # Safety
    ///
    /// As of [`Slots`].
    unsafe fn take(&self, held: Self::Held) -> u64;
}

impl<S: SharedSlots> Slots for &S {
    type Held = S::Held;

    #[inline(always)]
    fn put(&mut self, value: Value) -> Option<S::Held> {
        SharedSlots::put(*self, value)
    }

    #[inline(always)]
    unsafe fn take(&mut self, held: S::Held) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { SharedSlots::take(*self, held) }
    }
}

/// The entry of a pool for one thread.
pub(crate) const fn local<S: LocalSlots>() -> Entry {
    fn run<S: LocalSlots>(job: &Job) -> Option<Outcome> {
        workloads::fixed::run(job, &mut S::new(job.n))
    }
    Entry {
        name: S::NAME,
        joins: Workload::OF_SLOTS,
        role: S::ROLE,
        run: run::<S>,
    }
}

/// The entry of a pool for several threads.
pub(crate) const fn shared<S: SharedSlots>() -> Entry {
    Entry {
        name: S::NAME,
        joins: Workload::OF_SHARED_SLOTS,
        role: S::ROLE,
        run: run_shared::<S>,
    }
}

/// Runs a workload of slots on a pool that threads may share.
pub(super) fn run_shared<S: SharedSlots>(job: &Job) -> Option<Outcome> {
    let pool = S::new(job.n);
    match job.workload {
        workload if workload.is_passed() => workloads::passed::run(job, &pool),
        workload if workload.is_shared() => workloads::shared::run(job, &pool),
        _ => workloads::fixed::run(job, &mut &pool),
    }
}

/// A value in memory that an allocator handed out.
#[derive(Debug)]
pub(crate) struct Placed(NonNull<Value>);

// SAFETY: the memory is its owner's alone, wherever that is.
unsafe impl Send for Placed {}

impl Placed {
    /// Writes a value to a place.
    ///
    /// # Safety
    ///
    /// There is room for a value, and nobody else uses it.
    #[inline(always)]
    pub(crate) unsafe fn new(at: NonNull<u8>, value: Value) -> Self {
        let at = at.cast();
        // SAFETY: the caller's promise.
        unsafe { at.write(value) };
        Self(at)
    }

    /// The place again, and the first word of the value that was in it.
    #[inline(always)]
    pub(crate) fn into_parts(self) -> (NonNull<u8>, u64) {
        // SAFETY: written when this was made, whose memory nobody else uses.
        let value = unsafe { self.0.as_ref() };
        (self.0.cast(), value.first())
    }
}
