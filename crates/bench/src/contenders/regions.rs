//! Allocators that free a pool's objects one by one.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;

use talc::TalcCell;
use talc::source::Claim;

use super::arena;
use crate::contender::layout;
use crate::contender::regions::{Objects, Regions};

/// talc over one large arena; a pool's objects are freed one by one.
pub(crate) struct Talc(TalcCell<Claim>);

impl Regions for Talc {
    const NAME: &'static str = "talc";

    type Region<'a> = &'a TalcCell<Claim>;

    fn new() -> Self {
        let arena = arena::map();
        // SAFETY: the arena is nobody else's and stays.
        let source = unsafe { Claim::new(arena.cast().as_ptr(), arena.len()) };
        Self(TalcCell::new(source))
    }

    #[inline]
    fn open(&self, _number: u64) -> &TalcCell<Claim> {
        &self.0
    }

    #[inline]
    fn allocate(region: &mut &TalcCell<Claim>, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: no layout of a workload has size 0.
        NonNull::new(unsafe { region.alloc(layout) })
    }

    unsafe fn release(region: &mut &TalcCell<Claim>, objects: &Objects) {
        for (at, size) in objects {
            // SAFETY: the caller's promise.
            unsafe { region.dealloc(at.as_ptr(), layout(*size)) };
        }
    }
}

/// The C library's `malloc`; a pool's objects are freed one by one.
pub(crate) struct Glibc;

impl Regions for Glibc {
    const NAME: &'static str = "glibc";

    type Region<'a> = ();

    fn new() -> Self {
        Self
    }

    #[inline]
    fn open(&self, _number: u64) {}

    #[inline]
    fn allocate(_region: &mut (), layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: any size may be asked for.
        NonNull::new(unsafe { libc::malloc(layout.size()) }.cast())
    }

    unsafe fn release((): &mut (), objects: &Objects) {
        for (at, _size) in objects {
            // SAFETY: the caller's promise.
            unsafe { libc::free(at.as_ptr().cast()) };
        }
    }
}
