//! Other crates' arenas as pools, and allocators that free a pool's objects one by one.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;

use bump_scope::traits::BumpAllocatorTyped;
use bumpalo::Bump;
use talc::TalcCell;
use talc::source::Claim;

use super::arena;
use crate::contender::layout;
use crate::contender::regions::{Objects, Regions};
use crate::job::Workload;

/// bumpalo, a new arena for each pool.
pub(crate) struct Bumpalo;

impl Regions for Bumpalo {
    const NAME: &'static str = "bumpalo";

    type Region<'a> = Bump;

    fn new() -> Self {
        Self
    }

    #[inline]
    fn open(&self, _number: u64) -> Bump {
        Bump::new()
    }

    #[inline]
    fn allocate(region: &mut Bump, layout: Layout) -> Option<NonNull<u8>> {
        region.try_alloc_layout(layout).ok()
    }

    unsafe fn release(region: Bump, _objects: &Objects) {
        drop(region);
    }
}

/// bumpalo, one arena for all requests, reset in between.
pub(crate) struct BumpaloReset;

impl Regions for BumpaloReset {
    const NAME: &'static str = "bumpalo, reset";
    const JOINS: &'static [Workload] = &[Workload::Requests];

    type Region<'a> = Bump;

    fn new() -> Self {
        Self
    }

    #[inline]
    fn open(&self, _number: u64) -> Bump {
        Bump::new()
    }

    #[inline]
    fn allocate(region: &mut Bump, layout: Layout) -> Option<NonNull<u8>> {
        region.try_alloc_layout(layout).ok()
    }

    unsafe fn release(region: Bump, _objects: &Objects) {
        drop(region);
    }

    unsafe fn renew(
        &self,
        region: &mut Option<Bump>,
        _objects: &Objects,
        _number: u64,
    ) -> Option<()> {
        region.as_mut()?.reset();
        Some(())
    }
}

/// bump-scope, a new arena for each pool.
pub(crate) struct BumpScope;

impl Regions for BumpScope {
    const NAME: &'static str = "bump-scope";

    type Region<'a> = bump_scope::Bump;

    fn new() -> Self {
        Self
    }

    #[inline]
    fn open(&self, _number: u64) -> bump_scope::Bump {
        bump_scope::Bump::new()
    }

    #[inline]
    fn allocate(region: &mut bump_scope::Bump, layout: Layout) -> Option<NonNull<u8>> {
        region.try_allocate_layout(layout).ok()
    }

    unsafe fn release(region: bump_scope::Bump, _objects: &Objects) {
        drop(region);
    }
}

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

    unsafe fn release(region: &TalcCell<Claim>, objects: &Objects) {
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

    unsafe fn release((): (), objects: &Objects) {
        for (at, _size) in objects {
            // SAFETY: the caller's promise.
            unsafe { libc::free(at.as_ptr().cast()) };
        }
    }
}
