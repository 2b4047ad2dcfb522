//! Values in a pool: references that live as long as it is not reset, and owners that give back.
//!
//! # Safety
//!
//! A piece that a kind handed out is a value's alone ([`Kind`]'s contract). What is answered borrows the pool,
//! which can be reset or dropped only when no such borrow is left.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::pools::kind::Kind;
use crate::words::error::OutOfMemory;
use crate::words::error::{Error, Shortage};
use crate::words::tag::Tag;

/// Values in a pool of any kind.
///
/// The `alloc` functions answer a reference that lives until the pool is reset or dropped. The value's
/// destructor does not run, as in any arena, and its piece stays in use until then. The `own` functions
/// answer an [`Own`], which runs the destructor when it goes and gives the piece back.
///
/// Nothing that borrows from a pool can be used after a reset:
///
/// ```compile_fail,E0502
/// # use tagheap::{Bump, Heap, Kind, LocalHeap, Pool, Reserve, Tag, Typed};
/// # let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let mut bump = Bump::new(Pool::new(&heap, Tag::new(1)));
/// let five = bump.alloc(5)?;
/// bump.reset()?;
/// *five = 6;
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// Values without size take no memory. All functions are fallible: [`OutOfMemory`](crate::OutOfMemory) and
/// the other errors of [`Kind::allocate`]; what could not be put in is dropped.
#[expect(
    clippy::mut_from_ref,
    reason = "every call answers a piece that nobody else has"
)]
pub trait Typed: Kind {
    /// Puts a value in.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    #[inline]
    fn alloc<T>(&self, value: T) -> Result<&mut T, Error> {
        // SAFETY: just put in, nobody else's, and borrowed no longer than the pool is.
        Ok(unsafe { put(self, value)?.as_mut() })
    }

    /// Puts a copy of a slice in.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    #[inline]
    fn alloc_slice_copy<T: Copy>(&self, values: &[T]) -> Result<&mut [T], Error> {
        // SAFETY: just put in, nobody else's, and borrowed no longer than the pool is.
        Ok(unsafe { put_copy(self, values)?.as_mut() })
    }

    /// Puts a slice in whose values come from a function of their place, called in order.
    ///
    /// If it panics, the values made before it are not dropped, and the piece stays in use.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn alloc_slice_fill_with<T>(
        &self,
        length: usize,
        value: impl FnMut(usize) -> T,
    ) -> Result<&mut [T], Error> {
        // SAFETY: just put in, nobody else's, and borrowed no longer than the pool is.
        Ok(unsafe { put_each(self, length, value)?.as_mut() })
    }

    /// Puts a copy of a text in.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    #[inline]
    fn alloc_str(&self, text: &str) -> Result<&mut str, Error> {
        // SAFETY: just put in, nobody else's, and borrowed no longer than the pool is.
        Ok(unsafe { put_text(self, text)?.as_mut() })
    }

    /// Puts a value in, and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    #[inline]
    fn own<T>(&self, value: T) -> Result<Own<'_, T, Self>, Error> {
        Ok(Own::of(self, put(self, value)?))
    }

    /// Puts a copy of a slice in, and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn own_slice_copy<T: Copy>(&self, values: &[T]) -> Result<Own<'_, [T], Self>, Error> {
        Ok(Own::of(self, put_copy(self, values)?))
    }

    /// Puts a slice in as [`alloc_slice_fill_with`](Typed::alloc_slice_fill_with) does, and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn own_slice_fill_with<T>(
        &self,
        length: usize,
        value: impl FnMut(usize) -> T,
    ) -> Result<Own<'_, [T], Self>, Error> {
        Ok(Own::of(self, put_each(self, length, value)?))
    }

    /// Puts a copy of a text in, and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn own_str(&self, text: &str) -> Result<Own<'_, str, Self>, Error> {
        Ok(Own::of(self, put_text(self, text)?))
    }
}

impl<K: Kind + ?Sized> Typed for K {}

/// A place for values of one type; no memory of the pool's where they have no size.
#[inline]
fn place<T, K: Kind + ?Sized>(kind: &K, layout: Layout) -> Result<NonNull<T>, Error> {
    if layout.size() == 0 {
        return Ok(NonNull::dangling());
    }
    Ok(kind.allocate(layout)?.cast())
}

#[inline]
fn put<T, K: Kind + ?Sized>(kind: &K, value: T) -> Result<NonNull<T>, Error> {
    let place = place::<T, K>(kind, Layout::new::<T>())?;
    // SAFETY: as large and aligned as the value, and nobody else's.
    unsafe { place.write(value) };
    Ok(place)
}

#[inline]
fn put_copy<T: Copy, K: Kind + ?Sized>(kind: &K, values: &[T]) -> Result<NonNull<[T]>, Error> {
    let place = place::<T, K>(kind, Layout::for_value(values))?;
    // SAFETY: as large and aligned as the slice, and nobody else's, so they do not overlap.
    unsafe { place.copy_from_nonoverlapping(NonNull::from(values).cast(), values.len()) };
    Ok(NonNull::slice_from_raw_parts(place, values.len()))
}

#[inline]
fn put_text<K: Kind + ?Sized>(kind: &K, text: &str) -> Result<NonNull<str>, Error> {
    let bytes = put_copy(kind, text.as_bytes())?;
    let text = bytes.as_ptr() as *mut str;
    // SAFETY: the pointer to the bytes just put in.
    Ok(unsafe { NonNull::new_unchecked(text) })
}

fn put_each<T, K: Kind + ?Sized>(
    kind: &K,
    length: usize,
    mut value: impl FnMut(usize) -> T,
) -> Result<NonNull<[T]>, Error> {
    let place = place::<T, K>(kind, array::<T>(length)?)?;
    for at in 0..length {
        // SAFETY: a part of the piece, which has room for so many values.
        let part = unsafe { place.add(at) };
        // SAFETY: as large and aligned as the value, and nobody else's.
        unsafe { part.write(value(at)) };
    }
    Ok(NonNull::slice_from_raw_parts(place, length))
}

fn array<T>(length: usize) -> Result<Layout, Error> {
    Layout::array::<T>(length).map_err(|_| {
        OutOfMemory {
            tag: Tag::FREE,
            size: size_of::<T>().saturating_mul(length),
            align: align_of::<T>(),
            cause: Shortage::TooLarge,
        }
        .into()
    })
}

/// The owner of a value in a pool: runs its destructor and gives its piece back when it goes.
///
/// As a `Box` does, but from a pool. Where a kind cannot take single pieces back out of order, such as a
/// stack, the piece stays in use until the pool is reset.
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
    fn of(kind: &'a K, value: NonNull<T>) -> Self {
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
struct Piece<'a, K: Kind + ?Sized> {
    start: NonNull<u8>,
    layout: Layout,
    kind: &'a K,
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
