//! From a `Result` to what C gets: a status, or a pointer and a status beside it.
//!
//! # Safety
//!
//! Pointers from C at which an answer goes are written to: null, or the caller vouches for them.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use heap::{Corruption, Error, Misuse, OutOfMemory};

use crate::hosted;
use crate::status::th_status;

/// Why a call was not done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// The heap's or pool's own word.
    Said(Error),
    /// Something about the call itself.
    Call(th_status),
}

pub(crate) type Answer<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn status(self) -> th_status {
        match self {
            Self::Said(error) => error.into(),
            Self::Call(status) => status,
        }
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Said(error) => error.fmt(f),
            Self::Call(status) => f.write_str(status.text().to_str().unwrap_or_default()),
        }
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Said(error.into())
    }
}

impl From<th_status> for Failure {
    fn from(status: th_status) -> Self {
        Self::Call(status)
    }
}

const _: () = {
    // The conversions that `?` relies on.
    const fn converts<E: Into<Error>>() {}
    converts::<Misuse>();
    converts::<OutOfMemory>();
    converts::<Corruption>();
};

/// The status of an answer that is nothing else.
pub(crate) fn status(answer: Answer<()>) -> th_status {
    match answer {
        Ok(()) => th_status::TH_OK,
        Err(failure) => failure.status(),
    }
}

/// A pointer for C, null for a failure; the status goes to `why` unless that is null, and to `errno` if the
/// program has one.
///
/// # Safety
///
/// As for [`put`].
pub(crate) unsafe fn pointer<T>(answer: Answer<NonNull<T>>, why: *mut th_status) -> *mut T {
    let (answer, status) = match answer {
        Ok(pointer) => (pointer.as_ptr(), th_status::TH_OK),
        Err(failure) => (ptr::null_mut(), failure.status()),
    };
    if status != th_status::TH_OK {
        hosted::set_errno(status.errno());
    }
    // SAFETY: the caller's promise.
    unsafe { put(why, status) };
    answer
}

/// As [`pointer`], for a block.
///
/// # Safety
///
/// As for [`put`].
pub(crate) unsafe fn block(answer: Answer<NonNull<[u8]>>, why: *mut th_status) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { pointer(answer.map(NonNull::cast), why) }
}

/// Writes a value to where C wants it, if it does.
///
/// # Safety
///
/// The place is null, or fit for a value.
pub(crate) unsafe fn put<T>(place: *mut T, value: T) {
    if let Some(place) = NonNull::new(place) {
        // SAFETY: the caller's promise.
        unsafe { place.write(value) };
    }
}

/// A pointer that must not be null.
pub(crate) fn given<T>(pointer: *const T) -> Answer<NonNull<T>> {
    NonNull::new(pointer.cast_mut()).ok_or(Failure::Call(th_status::TH_NULL))
}
