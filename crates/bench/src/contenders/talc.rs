//! talc: boundary tags and bins.

use std::alloc::{GlobalAlloc, Layout};
use std::mem::replace;
use std::ptr::NonNull;

use talc::TalcCell;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::{Claim, Source};

use super::arena;
use crate::contender::Contender;
use crate::job::Workload;

/// The cell, which has no lock, over one large arena that it claims at once.
pub(crate) struct Arena(TalcCell<Claim>);

impl Contender for Arena {
    const NAME: &'static str = "talc";
    const JOINS: &'static [Workload] = Workload::OF_BLOCKS;

    fn new() -> Self {
        let arena = arena::map();
        // SAFETY: the arena is nobody else's and stays.
        let source = unsafe { Claim::new(arena.cast().as_ptr(), arena.len()) };
        Self(TalcCell::new(source))
    }

    #[inline]
    fn allocate(&mut self, _tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: no layout of a workload has size 0.
        NonNull::new(unsafe { self.0.alloc(layout) })
    }

    #[inline]
    unsafe fn deallocate(&mut self, at: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(at.as_ptr(), layout) };
    }

    unsafe fn grow(&mut self, at: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        NonNull::new(unsafe { self.0.realloc(at.as_ptr(), old, new.size()) })
    }
}

/// Claims a large arena when memory is first asked for; for a talc that a program names as its allocator.
#[derive(Debug)]
pub(crate) struct Once {
    claimed: bool,
}

impl Once {
    pub(crate) const fn new() -> Self {
        Self { claimed: false }
    }
}

// SAFETY: no allocator is called.
unsafe impl Source for Once {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, _layout: Layout) -> Result<(), ()> {
        if replace(&mut talc.source.claimed, true) {
            return Err(());
        }
        let arena = arena::map();
        // SAFETY: the arena is nobody else's and stays.
        let heap = unsafe { talc.claim(arena.cast().as_ptr(), arena.len()) };
        heap.map(drop).ok_or(())
    }
}
