//! A box that anybody puts parcels in without a lock, and one empties.
//!
//! # Safety
//!
//! A parcel in the box is nobody else's; whoever takes the newest takes all, so that none is looked at twice.

use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Something on its way, and what was put into the box before it.
#[derive(Debug)]
pub struct Parcel<T> {
    pub content: T,
    before: *mut Parcel<T>,
}

/// Where parcels wait.
#[derive(Debug)]
pub struct Mailbox<T: Send> {
    newest: AtomicPtr<Parcel<T>>,
}

impl<T: Send> Mailbox<T> {
    pub const fn new() -> Self {
        Self {
            newest: AtomicPtr::new(ptr::null_mut()),
        }
    }

    pub fn put(&self, content: T) {
        let before = ptr::null_mut();
        let parcel = Box::into_raw(Box::new(Parcel { content, before }));
        let link = |newest| {
            // SAFETY: the parcel is this thread's until it is in the box.
            unsafe { (*parcel).before = newest };
            Some(parcel)
        };
        // It is put off until the box was the same all the time.
        let _ = self
            .newest
            .fetch_update(Ordering::Release, Ordering::Relaxed, link);
    }

    /// Takes all that is there, the newest first.
    pub fn empty(&self) -> impl Iterator<Item = T> {
        let mut newest = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        core::iter::from_fn(move || {
            if newest.is_null() {
                return None;
            }
            // SAFETY: from a box, and taken out by this thread alone.
            let parcel = unsafe { Box::from_raw(newest) };
            newest = parcel.before;
            Some(parcel.content)
        })
    }
}
