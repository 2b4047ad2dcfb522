//! Memory by its address: what was handed out to a harness, and what it writes behind its owner's back.
//!
//! # Safety
//!
//! A harness names memory of a heap that it made, or of the ground below one, and nobody holds a reference to it but for
//! the time of a call here.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;

/// A pointer to any address; where that is 0, to another at which nothing is.
pub(crate) fn pointer(at: usize) -> NonNull<u8> {
    NonNull::new(ptr::with_exposed_provenance_mut(at)).unwrap_or(NonNull::dangling())
}

/// A pointer that leads to so many bytes and no others, as that of a box does: to whoever interprets the program.
pub(crate) fn narrow(at: usize, size: usize) -> NonNull<u8> {
    narrowed(pointer(at), size)
}

fn narrowed(at: NonNull<u8>, size: usize) -> NonNull<u8> {
    let bytes = NonNull::slice_from_raw_parts(at.cast::<MaybeUninit<u8>>(), size);
    // SAFETY: see above.
    NonNull::from(unsafe { &mut *bytes.as_ptr() }).cast()
}

/// Where so many bytes that were handed out start. Their pointer leads to all of them: to whoever interprets the program.
pub(crate) fn address<T: ?Sized>(answer: NonNull<T>, size: usize) -> usize {
    let answer = answer.cast();
    answer.expose_provenance();
    narrowed(answer, size).addr().get()
}

/// Looks at so many bytes.
pub(crate) fn look<T>(at: usize, size: usize, look: impl FnOnce(&[u8]) -> T) -> T {
    // SAFETY: see above.
    look(unsafe { slice::from_raw_parts(pointer(at).as_ptr(), size) })
}

/// Changes some of so many bytes.
pub(crate) fn change<T>(at: usize, size: usize, change: impl FnOnce(&mut [u8]) -> T) -> T {
    // SAFETY: see above.
    change(unsafe { slice::from_raw_parts_mut(pointer(at).as_ptr(), size) })
}

/// A copy of so many bytes.
pub(crate) fn copy(at: usize, size: usize) -> Vec<u8> {
    look(at, size, <[u8]>::to_vec)
}

/// Whether they are all zero.
pub(crate) fn is_zero(at: usize, size: usize) -> bool {
    look(at, size, |bytes| bytes.iter().all(|byte| *byte == 0))
}
