//! The `malloc` of the C library that this program runs on.

use std::alloc::Layout;
use std::ptr::NonNull;

use crate::contender::Contender;
use crate::contender::slots::{Placed, SharedSlots, Value};
use crate::job::Workload;

/// As it comes, its cache per thread included. Whoever measures allocates little besides.
pub(crate) struct Malloc;

impl Contender for Malloc {
    const NAME: &'static str = "glibc";
    const JOINS: &'static [Workload] = &[
        Workload::FirstFit,
        Workload::Churn,
        Workload::Release,
        Workload::Level,
        Workload::GrowDouble,
        Workload::GrowDoubleAgain,
        Workload::GrowStep,
        Workload::GrowStepAgain,
    ];

    fn new() -> Self {
        Self
    }

    #[inline]
    fn allocate(&mut self, _tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: any size may be asked for; no workload needs more than its alignment of 16.
        NonNull::new(unsafe { libc::malloc(layout.size()) }.cast())
    }

    #[inline]
    unsafe fn deallocate(&mut self, at: NonNull<u8>, _layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { libc::free(at.as_ptr().cast()) };
    }

    unsafe fn grow(&mut self, at: NonNull<u8>, _old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        NonNull::new(unsafe { libc::realloc(at.as_ptr().cast(), new.size()) }.cast())
    }
}

impl SharedSlots for Malloc {
    const NAME: &'static str = "glibc";

    type Held = Placed;

    fn new(_slots: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn put(&self, value: Value) -> Option<Placed> {
        // SAFETY: any size may be asked for; what it answers is aligned to 16.
        let at = NonNull::new(unsafe { libc::malloc(size_of::<Value>()) }.cast())?;
        // SAFETY: just handed out.
        Some(unsafe { Placed::new(at, value) })
    }

    #[inline(always)]
    unsafe fn take(&self, held: Placed) -> u64 {
        let (at, first) = held.into_parts();
        // SAFETY: the caller's promise.
        unsafe { libc::free(at.as_ptr().cast()) };
        first
    }
}
