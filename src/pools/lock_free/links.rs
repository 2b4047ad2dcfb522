//! Links of slots, at the start of the chunk that the slots lie in.
//!
//! # Safety
//!
//! Links are atomics, written once before anybody shares them, and overlap no slot.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

use crate::pools::kind;
use crate::pools::stride;
use crate::pools::treiber;
use crate::words::size::align_up;

/// Links at the start of a chunk.
pub(super) struct Links {
    start: NonNull<AtomicU64>,
    length: usize,
}

// SAFETY: the links belong to a pool, and go where the pool goes.
unsafe impl Send for Links {}
// SAFETY: atomics are for sharing.
unsafe impl Sync for Links {}

impl AsRef<[AtomicU64]> for Links {
    #[inline]
    fn as_ref(&self) -> &[AtomicU64] {
        // SAFETY: `Links::new` wrote so many atomics there, which are the pool's until it is dropped; only
        // references to them are made, and those are shared.
        unsafe { NonNull::slice_from_raw_parts(self.start, self.length).as_ref() }
    }
}

impl Links {
    pub(super) fn none() -> Self {
        let start = NonNull::dangling();
        Self { start, length: 0 }
    }

    /// Links of so many slots, all free.
    ///
    /// # Safety
    ///
    /// As many links fit there, which are nobody else's as long as the answer is used.
    pub(super) unsafe fn new(start: NonNull<AtomicU64>, length: usize) -> Self {
        for index in 0..length {
            // SAFETY: within what the caller promises.
            let link = unsafe { start.add(index) };
            // SAFETY: as above; nobody refers to it yet.
            unsafe { link.write(AtomicU64::new(treiber::fresh(index, length))) };
        }
        Self { start, length }
    }

    /// Address of a slot's link, or behind the last.
    pub(super) fn address_of(&self, index: usize) -> usize {
        self.start.addr().get() + index * size_of::<AtomicU64>()
    }
}

/// Where links and slots lie: the chunk's layout, and how far in the slots start.
pub(super) fn plan(layout: Layout, slots: usize) -> Option<(Layout, usize)> {
    if slots > treiber::MOST {
        return None;
    }
    let links = Layout::array::<AtomicU64>(slots).ok()?;
    let align = stride::in_lines_if_many(layout, slots);
    let start = align_up(links.size(), align)?;
    let bytes = layout.size().checked_mul(slots)?.checked_add(start)?;
    let chunk = Layout::from_size_align(bytes, align.max(links.align())).ok()?;
    Some((kind::at_least_one(chunk), start))
}
