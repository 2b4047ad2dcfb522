//! A reference that may be changed while others read it: how stocks, spans and threads know each other.
//!
//! # Safety
//!
//! A link is set from references that live for the rest of the program, and read as such.
#![allow(unsafe_code)]

use core::ptr;

use crate::global::atomic::{AtomicPtr, Ordering};

/// A reference to something that stays for the rest of the program, or none. All-zero bytes are none.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Link<T: 'static>(AtomicPtr<T>);

impl<T: Sync> Link<T> {
    pub(super) const fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&'static T> {
        let at = self.0.load(Ordering::Acquire);
        // SAFETY: null, or set from such a reference.
        unsafe { at.as_ref() }
    }

    #[inline]
    pub(super) fn set(&self, to: Option<&'static T>) {
        self.0.store(pointer(to), Ordering::Release);
    }

    /// Sets it, and answers what it was.
    pub(super) fn replace(&self, to: Option<&'static T>) -> Option<&'static T> {
        let at = self.0.swap(pointer(to), Ordering::AcqRel);
        // SAFETY: null, or set from such a reference.
        unsafe { at.as_ref() }
    }

    /// Sets it if it is still `from`, in sequentially consistent order; whether it was.
    pub(super) fn change(&self, from: Option<&'static T>, to: &'static T) -> bool {
        let (from, to) = (pointer(from), pointer(Some(to)));
        let (done, not) = (Ordering::SeqCst, Ordering::Relaxed);
        self.0.compare_exchange(from, to, done, not).is_ok()
    }

    /// Whether there is one, asked after all that this thread did in sequentially consistent order.
    pub(super) fn is_some_in_order(&self) -> bool {
        !self.0.load(Ordering::SeqCst).is_null()
    }

    /// What it leads to, if that is at this address.
    ///
    /// # Safety
    ///
    /// The address is not 0.
    #[inline(always)]
    pub(super) unsafe fn get_if_at(&self, address: usize) -> Option<&'static T> {
        let at = self.0.load(Ordering::Relaxed);
        if at.addr() != address {
            return None;
        }
        // SAFETY: not null, as the caller promises, so set from such a reference.
        Some(unsafe { &*at })
    }

    /// Whether it is this one.
    #[inline]
    pub(super) fn is(&self, other: Option<&'static T>) -> bool {
        ptr::eq(self.0.load(Ordering::Relaxed), pointer(other))
    }

    /// Whether both are the same, or both none.
    #[inline]
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let other = other.0.load(Ordering::Relaxed);
        ptr::eq(self.0.load(Ordering::Relaxed), other)
    }
}

#[inline]
fn pointer<T>(to: Option<&'static T>) -> *mut T {
    to.map_or(ptr::null_mut(), |to| ptr::from_ref(to).cast_mut())
}
