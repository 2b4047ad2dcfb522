//! Numbers that a pool keeps about its memory, where no piece reaches.
//!
//! # Safety
//!
//! A book is a row of numbers in a chunk. Any bytes are a number, so that whatever somebody wrote there by
//! accident can be read; nobody else has references to it.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// Values that any bytes are one of.
///
/// # Safety
///
/// Any bytes are a valid value, and it may go to another thread.
pub(crate) unsafe trait Number: Copy {}

// SAFETY: a number.
unsafe impl Number for u8 {}
// SAFETY: a number.
unsafe impl Number for u64 {}

/// A row of numbers, all 0 at first.
#[derive(Debug)]
pub(crate) struct Book<T: Number> {
    start: NonNull<T>,
    count: usize,
    cells: PhantomData<Cell<T>>,
}

// SAFETY: the numbers belong to a pool, and go where the pool goes.
unsafe impl<T: Number> Send for Book<T> {}

impl<T: Number> Book<T> {
    /// # Safety
    ///
    /// The bytes of so many numbers are readable, writable and aligned, and nobody else's for as long as the
    /// book is used.
    pub(crate) unsafe fn new(start: NonNull<T>, count: usize) -> Self {
        let book = Self {
            start,
            count,
            cells: PhantomData,
        };
        book.clear();
        book
    }

    /// Makes all of them 0.
    pub(crate) fn clear(&self) {
        // SAFETY: so many numbers are the book's (`new`).
        unsafe { self.start.write_bytes(0, self.count) };
    }

    #[inline]
    pub(crate) fn cells(&self) -> &[Cell<T>] {
        let cells = self.start.cast::<Cell<T>>().as_ptr();
        // SAFETY: so many numbers are the book's, zeroed since (`new`), and reached through cells only.
        unsafe { core::slice::from_raw_parts(cells, self.count) }
    }

    /// # Safety
    ///
    /// There are more numbers than that.
    #[inline]
    pub(crate) unsafe fn at_unchecked(&self, index: usize) -> &Cell<T> {
        // SAFETY: the caller's promise.
        unsafe { self.cells().get_unchecked(index) }
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> Option<&Cell<T>> {
        self.cells().get(index)
    }
}
