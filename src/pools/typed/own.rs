//! Owners of values in pools.
//!
//! # Safety
//!
//! An owner has its value, and the piece that this is in, alone; both are given up once.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::pools::kind::Kind;

/// The owner of a value in a pool: runs its destructor and gives its piece back when it goes.
///
/// As a `Box` does, but from a pool. Where a kind cannot take single pieces back out of order, such as a
/// stack, the piece stays in use until the pool is reset; so it does where the pool or its heap is busy, as when the
/// owner goes inside a `look`.
pub struct Own<'a, T: ?Sized, K: Kind + ?Sized> {
    value: NonNull<T>,
    kind: &'a K,
    owned: PhantomData<T>,
}

// SAFETY: an owner hands its value over, and uses the pool, from wherever it is.
unsafe impl<T: ?Sized + Send, K: Kind + Sync + ?Sized> Send for Own<'_, T, K> {}
// SAFETY: a shared owner gives its value, shared, and nothing of the pool.
unsafe impl<T: ?Sized + Sync, K: Kind + Sync + ?Sized> Sync for Own<'_, T, K> {}

impl<'a, T: ?Sized, K: Kind + ?Sized> Own<'a, T, K> {
    /// The owner of a value that was just put in the pool.
    #[inline]
    pub(super) fn of(kind: &'a K, value: NonNull<T>) -> Self {
        Self {
            value,
            kind,
            owned: PhantomData,
        }
    }

    /// The value, in the pool until it is reset or dropped; its destructor does not run.
    pub fn leak(self) -> &'a mut T {
        let this = ManuallyDrop::new(self);
        // SAFETY: the owner is forgotten, so the value is reached from here alone.
        unsafe { &mut *this.value.as_ptr() }
    }
}

impl<T, K: Kind + ?Sized> Own<'_, T, K> {
    /// The value, out of the pool; its piece is given back.
    pub fn into_inner(self) -> T {
        let this = ManuallyDrop::new(self);
        let _given_back = this.piece();
        // SAFETY: the owner is forgotten, so the value is read out once.
        unsafe { this.value.read() }
    }
}

impl<T: ?Sized, K: Kind + ?Sized> Own<'_, T, K> {
    /// The value's piece, given back when this goes.
    fn piece(&self) -> Piece<'_, K> {
        Piece {
            // SAFETY: the value is there as long as its owner.
            layout: Layout::for_value(unsafe { self.value.as_ref() }),
            start: self.value.cast(),
            kind: self.kind,
        }
    }
}

impl<T: ?Sized, K: Kind + ?Sized> Drop for Own<'_, T, K> {
    fn drop(&mut self) {
        let value = self.value;
        // Given back even if the destructor panics.
        let _given_back = self.piece();
        // SAFETY: the owner goes, so the value is dropped once and not used again.
        unsafe { value.drop_in_place() };
    }
}

/// A piece whose value is gone or about to go.
pub(super) struct Piece<'a, K: Kind + ?Sized> {
    pub(super) start: NonNull<u8>,
    pub(super) layout: Layout,
    pub(super) kind: &'a K,
}

impl<K: Kind + ?Sized> Drop for Piece<'_, K> {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // What the kind does not take back stays in use until it is reset.
            // SAFETY: handed out for this layout, and the value in it is gone.
            let _ = unsafe { self.kind.deallocate(self.start, self.layout) };
        }
    }
}

impl<T: ?Sized, K: Kind + ?Sized> Deref for Own<'_, T, K> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the owner's value.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, K: Kind + ?Sized> DerefMut for Own<'_, T, K> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the owner's value, borrowed as the owner is.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized + fmt::Debug, K: Kind + ?Sized> fmt::Debug for Own<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display, K: Kind + ?Sized> fmt::Display for Own<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized, K: Kind + ?Sized> AsRef<T> for Own<'_, T, K> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized, K: Kind + ?Sized> AsMut<T> for Own<'_, T, K> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

// Owners compare as their values do, whichever pool these are in.

impl<T, U, K, L> PartialEq<Own<'_, U, L>> for Own<'_, T, K>
where
    T: ?Sized + PartialEq<U>,
    U: ?Sized,
    K: Kind + ?Sized,
    L: Kind + ?Sized,
{
    fn eq(&self, other: &Own<'_, U, L>) -> bool {
        **self == **other
    }
}

impl<T: ?Sized + Eq, K: Kind + ?Sized> Eq for Own<'_, T, K> {}

impl<T, U, K, L> PartialOrd<Own<'_, U, L>> for Own<'_, T, K>
where
    T: ?Sized + PartialOrd<U>,
    U: ?Sized,
    K: Kind + ?Sized,
    L: Kind + ?Sized,
{
    fn partial_cmp(&self, other: &Own<'_, U, L>) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: ?Sized + Ord, K: Kind + ?Sized> Ord for Own<'_, T, K> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: ?Sized + Hash, K: Kind + ?Sized> Hash for Own<'_, T, K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}
