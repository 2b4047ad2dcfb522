//! Allocators for whole programs and all their threads, called as programs call them: through `GlobalAlloc`, with
//! layouts.

use std::alloc::{GlobalAlloc, Layout};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::regions::{Objects, Regions};
use super::slots::{Placed, SharedSlots, Value, run_shared};
use super::{Contender, Entry, Outcome, Role, layout};
use crate::job::{Job, Workload};
use crate::workloads;

/// A program's allocator, in the comparison.
pub(crate) trait Global: GlobalAlloc + Sync + Sized + 'static {
    /// Its name in tables and plots.
    const NAME: &'static str;

    /// What it is in a comparison.
    const ROLE: Role = Role::Peer;

    /// The only one of the process, as of a program that names it.
    fn get() -> &'static Self;

    /// What is to be done before the first request.
    fn begin() {}
}

/// The entry of a program's allocator.
pub(crate) const fn global<G: Global>() -> Entry {
    fn run<G: Global>(job: &Job) -> Option<Outcome> {
        match job.workload {
            Workload::GlobalChurn => workloads::run::<Through<G>>(job),
            _ => run_shared::<Through<G>>(job),
        }
    }
    Entry {
        name: G::NAME,
        joins: Workload::OF_GLOBAL,
        role: G::ROLE,
        run: run::<G>,
    }
}

/// A program's allocator as one of blocks, of slots, and of pools whose objects are freed one by one. A program that
/// is optimised as a whole calls it as directly as this does: the compiler sees through `Box`.
#[derive(Debug)]
pub(crate) struct Through<G>(PhantomData<G>);

impl<G: Global> Through<G> {
    #[inline(always)]
    fn allocate(layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: no layout of a workload has size 0.
        NonNull::new(unsafe { G::get().alloc(layout) })
    }

    /// # Safety
    ///
    /// Allocated here with this layout, and used no more.
    #[inline(always)]
    unsafe fn deallocate(at: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { G::get().dealloc(at.as_ptr(), layout) };
    }
}

/// As its own entry, beside pools that go at once: for those that have none.
impl<G: Global> Contender for Through<G> {
    const NAME: &'static str = G::NAME;
    const JOINS: &'static [Workload] = &[Workload::Release];
    const ROLE: Role = G::ROLE;

    fn new() -> Self {
        G::begin();
        Self(PhantomData)
    }

    #[inline]
    fn allocate(&mut self, _tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        Self::allocate(layout)
    }

    #[inline]
    unsafe fn deallocate(&mut self, at: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { Self::deallocate(at, layout) };
    }

    unsafe fn grow(&mut self, at: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise; no layout of a workload has size 0.
        NonNull::new(unsafe { G::get().realloc(at.as_ptr(), old, new.size()) })
    }
}

impl<G: Global> SharedSlots for Through<G> {
    const NAME: &'static str = G::NAME;
    const ROLE: Role = G::ROLE;

    type Held = Placed;

    fn new(_slots: usize) -> Self {
        G::begin();
        Self(PhantomData)
    }

    #[inline(always)]
    fn put(&self, value: Value) -> Option<Placed> {
        let at = Self::allocate(Layout::new::<Value>())?;
        // SAFETY: just handed out.
        Some(unsafe { Placed::new(at, value) })
    }

    #[inline(always)]
    unsafe fn take(&self, held: Placed) -> u64 {
        let (at, first) = held.into_parts();
        // SAFETY: the caller's promise.
        unsafe { Self::deallocate(at, Layout::new::<Value>()) };
        first
    }
}

impl<G: Global> Regions for Through<G> {
    const NAME: &'static str = G::NAME;
    const ROLE: Role = G::ROLE;

    type Region<'a> = ();

    fn new() -> Self {
        G::begin();
        Self(PhantomData)
    }

    #[inline]
    fn open(&self, _number: u64) {}

    #[inline]
    fn allocate(_region: &mut (), layout: Layout) -> Option<NonNull<u8>> {
        Self::allocate(layout)
    }

    unsafe fn release((): &mut (), objects: &Objects) {
        for (at, size) in objects {
            // SAFETY: the caller's promise.
            unsafe { Self::deallocate(*at, layout(*size)) };
        }
    }
}
