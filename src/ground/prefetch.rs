//! Says early that memory will be needed, so that it is there when it is.
//!
//! # Safety
//!
//! A prefetch reads nothing that a program can see, whatever the address.
#![allow(unsafe_code)]

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// Starts to fetch the cache line of `value`.
#[inline]
pub(crate) fn prefetch<T>(value: *const T) {
    // SAFETY: every x86-64 has the instruction, and it faults at no address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(value.cast()) };
}
