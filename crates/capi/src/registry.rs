//! Which tags belong to pools, so that nobody frees a pool's memory but the pool.
//!
//! # Safety
//!
//! The list runs through the pools' handles, which lie in the heap, and are taken from it before they go.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use heap::Tag;

use crate::pooled::th_pool;

/// The pools on a heap.
pub(crate) struct Registry {
    newest: Option<NonNull<th_pool>>,
    /// One bit for every pool's tag, by which most questions are answered.
    sieve: u64,
}

impl Registry {
    pub(crate) const fn new() -> Self {
        Self {
            newest: None,
            sieve: 0,
        }
    }

    /// Whether a pool owns the tag. O(1) for most tags that none owns, else O(pools).
    #[inline]
    pub(crate) fn owns(&self, tag: Tag) -> bool {
        self.sieve & bit(tag) != 0 && self.pools().any(|pool| pool.tag() == tag)
    }

    /// # Safety
    ///
    /// The pool stays where it is until it is removed.
    pub(crate) unsafe fn add(&mut self, pool: NonNull<th_pool>) {
        // SAFETY: the caller's promise; handles are only shared.
        let handle = unsafe { pool.as_ref() };
        handle.next.set(self.newest);
        self.newest = Some(pool);
        self.sieve |= bit(handle.tag());
    }

    pub(crate) fn remove(&mut self, pool: NonNull<th_pool>) {
        let next = self.pools().find(|other| NonNull::from(*other) == pool);
        let Some(next) = next.map(|pool| pool.next.get()) else {
            return;
        };
        let before = self.pools().find(|other| other.next.get() == Some(pool));
        match before {
            Some(before) => before.next.set(next),
            None => self.newest = next,
        }
        self.sieve = self.pools().fold(0, |sieve, pool| sieve | bit(pool.tag()));
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = &th_pool> {
        let mut next = self.newest;
        core::iter::from_fn(move || {
            // SAFETY: added with the promise to stay, and not removed; handles are only shared.
            let pool = unsafe { next?.as_ref() };
            next = pool.next.get();
            Some(pool)
        })
    }
}

fn bit(tag: Tag) -> u64 {
    // The high bits of a product with an odd number depend on all of the tag's.
    1 << (tag.number().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}
