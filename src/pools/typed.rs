//! Values in a pool: references that live as long as it is not reset, and owners that give back.
//!
//! # Safety
//!
//! A piece that a kind handed out is a value's alone ([`Kind`]'s contract). What is answered borrows the pool,
//! which can be reset or dropped only when no such borrow is left.
#![allow(unsafe_code)]

pub(crate) mod own;
mod put;

use core::fmt;

use crate::pools::kind::Kind;
use crate::pools::typed::own::Own;
use crate::words::error::Error;

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
        Ok(unsafe { put::value(self, value)?.as_mut() })
    }

    /// Puts in what a function makes, which is called when there is a place for it: what is large need not be made
    /// elsewhere and copied. If it panics, the piece goes back.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    #[inline]
    fn alloc_with<T>(&self, value: impl FnOnce() -> T) -> Result<&mut T, Error> {
        // SAFETY: just put in, nobody else's, and borrowed no longer than the pool is.
        Ok(unsafe { put::made(self, value)?.as_mut() })
    }

    /// Puts a copy of a slice in.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    #[inline]
    fn alloc_slice_copy<T: Copy>(&self, values: &[T]) -> Result<&mut [T], Error> {
        // SAFETY: just put in, nobody else's, and borrowed no longer than the pool is.
        Ok(unsafe { put::copy(self, values)?.as_mut() })
    }

    /// Puts a slice in whose values come from a function of their place, called in order.
    ///
    /// If it panics, the values made before it are dropped, and the piece goes back, if the kind takes it.
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
        Ok(unsafe { put::each(self, (0..length).map(value))?.as_mut() })
    }

    /// Puts clones of a slice's values in. If one panics, as [`alloc_slice_fill_with`](Typed::alloc_slice_fill_with).
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn alloc_slice_clone<T: Clone>(&self, values: &[T]) -> Result<&mut [T], Error> {
        self.alloc_slice_fill_iter(values.iter().cloned())
    }

    /// Puts a slice in of what an iterator yields: as many values as it says it has, or as come, if these are fewer. If
    /// it panics, as [`alloc_slice_fill_with`](Typed::alloc_slice_fill_with).
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn alloc_slice_fill_iter<T, I>(&self, values: I) -> Result<&mut [T], Error>
    where
        I: IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    {
        // SAFETY: just put in, nobody else's, and borrowed no longer than the pool is.
        Ok(unsafe { put::each(self, values.into_iter())?.as_mut() })
    }

    /// Puts a text in as it is written: `pool.alloc_fmt(format_args!("{x}, {y}"))`. It is written twice, first to count its
    /// bytes; a value that refuses to be written, or is not written the same again, ends it there.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn alloc_fmt(&self, text: fmt::Arguments<'_>) -> Result<&mut str, Error> {
        // SAFETY: just put in, nobody else's, and borrowed no longer than the pool is.
        Ok(unsafe { put::formatted(self, text)?.as_mut() })
    }

    /// Puts a copy of a text in.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    #[inline]
    fn alloc_str(&self, text: &str) -> Result<&mut str, Error> {
        // SAFETY: just put in, nobody else's, and borrowed no longer than the pool is.
        Ok(unsafe { put::text(self, text)?.as_mut() })
    }

    /// Puts a value in, and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    #[inline]
    fn own<T>(&self, value: T) -> Result<Own<'_, T, Self>, Error> {
        Ok(Own::of(self, put::value(self, value)?))
    }

    /// Puts in what a function makes, as [`alloc_with`](Typed::alloc_with), and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    #[inline]
    fn own_with<T>(&self, value: impl FnOnce() -> T) -> Result<Own<'_, T, Self>, Error> {
        Ok(Own::of(self, put::made(self, value)?))
    }

    /// Puts a copy of a slice in, and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn own_slice_copy<T: Copy>(&self, values: &[T]) -> Result<Own<'_, [T], Self>, Error> {
        Ok(Own::of(self, put::copy(self, values)?))
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
        Ok(Own::of(self, put::each(self, (0..length).map(value))?))
    }

    /// Puts clones in as [`alloc_slice_clone`](Typed::alloc_slice_clone) does, and answers their owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn own_slice_clone<T: Clone>(&self, values: &[T]) -> Result<Own<'_, [T], Self>, Error> {
        self.own_slice_fill_iter(values.iter().cloned())
    }

    /// Puts a slice in as [`alloc_slice_fill_iter`](Typed::alloc_slice_fill_iter) does, and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn own_slice_fill_iter<T, I>(&self, values: I) -> Result<Own<'_, [T], Self>, Error>
    where
        I: IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    {
        Ok(Own::of(self, put::each(self, values.into_iter())?))
    }

    /// Puts a text in as [`alloc_fmt`](Typed::alloc_fmt) does, and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn own_fmt(&self, text: fmt::Arguments<'_>) -> Result<Own<'_, str, Self>, Error> {
        Ok(Own::of(self, put::formatted(self, text)?))
    }

    /// Puts a copy of a text in, and answers its owner.
    ///
    /// # Errors
    ///
    /// As for [`Kind::allocate`].
    fn own_str(&self, text: &str) -> Result<Own<'_, str, Self>, Error> {
        Ok(Own::of(self, put::text(self, text)?))
    }
}

impl<K: Kind + ?Sized> Typed for K {}
