//! Requests as C has them: of those who know an address and no layout, and of those who have nobody to answer an error.
//!
//! # Safety
//!
//! As for what is given back otherwise: the layout is the one that the span's class or the block's header tells.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use crate::global::Global;
use crate::global::atomic::AtomicU8;
use crate::global::center;
use crate::global::giving::{self, Given, Tried};
use crate::global::idle;
use crate::global::local::Own;
use crate::global::refusal;
use crate::global::requests;
use crate::global::span::Span;
use crate::global::spans;
use crate::words::error::{Error, Misuse};

impl Global {
    /// Bytes that were asked for in the memory at an address; of a small object, those of its slot. O(1).
    ///
    /// # Errors
    ///
    /// As for [`usable_size`](Global::usable_size).
    pub fn requested_size(&self, ptr: NonNull<u8>) -> Result<usize, Error> {
        self.prepare();
        match span_at(ptr) {
            Some(_) => requests::usable_size(ptr),
            None => requests::of_block(ptr, |heap| heap.requested_size(ptr)),
        }
    }

    /// As [`deallocate`](Global::deallocate), for whoever knows no layout: what C's `free` is made of.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline]
    pub unsafe fn free(&self, ptr: NonNull<u8>) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { free(ptr) }
    }

    /// As [`alloc`](GlobalAlloc::alloc), and what `refused` answers where that is null.
    ///
    /// Most small objects are handed out without a call, so that C's `malloc` needs no stack for them.
    #[inline(always)]
    pub fn alloc_or(&self, layout: Layout, refused: impl FnOnce() -> *mut u8) -> *mut u8 {
        match requests::take(layout) {
            Some(at) => at.as_ptr(),
            None => self.alloc_slowly_or(layout, refused),
        }
    }

    #[cold]
    #[inline(never)]
    fn alloc_slowly_or(&self, layout: Layout, refused: impl FnOnce() -> *mut u8) -> *mut u8 {
        // SAFETY: a layout of no bytes is served too.
        let at = unsafe { self.alloc(layout) };
        if at.is_null() { refused() } else { at }
    }

    /// As [`allocate`](Global::allocate), and what `refused` answers to an error of which nobody else is told: for whoever
    /// asks again, or somebody else.
    #[inline(always)]
    pub fn allocate_or(&self, layout: Layout, refused: impl FnOnce(Error) -> *mut u8) -> *mut u8 {
        match requests::take(layout) {
            Some(at) => at.as_ptr(),
            None => self.allocate_slowly_or(layout, refused),
        }
    }

    #[cold]
    #[inline(never)]
    fn allocate_slowly_or(
        &self,
        layout: Layout,
        refused: impl FnOnce(Error) -> *mut u8,
    ) -> *mut u8 {
        match self.allocate(layout) {
            Ok(at) => at.cast().as_ptr(),
            Err(error) => refused(error),
        }
    }

    /// As [`free`](Global::free), for whoever has nobody to answer: `fail` is called with the error. Null is nothing.
    ///
    /// Most small objects are taken back without a call, so that C's `free` needs no stack for them.
    ///
    /// # Safety
    ///
    /// As for [`free`](Global::free), unless it is null.
    #[inline(always)]
    pub unsafe fn free_or(&self, at: *mut u8, fail: impl FnOnce(Error)) {
        let Some(span) = spans::holding(at.addr()) else {
            // SAFETY: the caller's promise.
            return unsafe { free_slowly(at, fail) };
        };
        let class = span.class();
        // SAFETY: the caller's promise.
        match unsafe { giving::try_to_give(at, span, class) } {
            Tried::Done => {}
            // SAFETY: the caller's promise.
            Tried::Another(own) => unsafe { free_another(at, span, own, fail) },
            // SAFETY: the caller's promise.
            Tried::Full(state, own) => unsafe { free_beyond(at, span, state, own, fail) },
            // SAFETY: the caller's promise.
            Tried::Not => unsafe { free_slowly(at, fail) },
        }
    }

    /// Makes memory larger or smaller, as [`grow`](Global::grow) and [`shrink`](Global::shrink) do, for whoever does not
    /// know the old layout: what C's `realloc` is made of. As many bytes stay as were
    /// [asked for](Global::requested_size), and as fit.
    ///
    /// # Errors
    ///
    /// As for [`grow`](Global::grow).
    ///
    /// # Safety
    ///
    /// As for [`grow`](Global::grow).
    pub unsafe fn resize(&self, ptr: NonNull<u8>, new: Layout) -> Result<NonNull<[u8]>, Error> {
        let old = match span_at(ptr) {
            Some(span) => span.class().layout(),
            None => layout_of(ptr, self.requested_size(ptr)?)?,
        };
        // SAFETY: the caller's promise.
        let at = unsafe { requests::resize(ptr, old, new)? };
        Ok(NonNull::slice_from_raw_parts(at, new.size()))
    }

    /// As [`resize`](Global::resize), for whoever has nobody to answer: null where there is no memory, which is told as
    /// that of [`realloc`](GlobalAlloc::realloc) is; `fail` is called with any other error, and its answer is the answer.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Global::grow).
    pub unsafe fn resize_or(
        &self,
        ptr: NonNull<u8>,
        new: Layout,
        fail: impl FnOnce(Error) -> *mut u8,
    ) -> *mut u8 {
        // SAFETY: the caller's promise.
        match unsafe { self.resize(ptr, new) } {
            Ok(at) => at.cast().as_ptr(),
            Err(error) if refusal::is_one(&error) => {
                refusal::tell(&error);
                ptr::null_mut()
            }
            Err(error) => fail(error),
        }
    }
}

/// The span that an address lies in.
#[inline(always)]
fn span_at(ptr: NonNull<u8>) -> Option<&'static Span> {
    spans::holding(ptr.addr().get()).filter(|span| span.is_open())
}

/// # Safety
///
/// As for [`Global::free`].
#[inline]
unsafe fn free(ptr: NonNull<u8>) -> Result<(), Error> {
    let Some(span) = span_at(ptr) else {
        // SAFETY: the caller's promise.
        return unsafe { free_block(ptr) };
    };
    let class = span.class();
    // SAFETY: the caller's promise.
    match unsafe { giving::give_into(ptr.as_ptr(), span, class) } {
        Given::Done => Ok(()),
        // SAFETY: the caller's promise.
        given => unsafe { giving::finish(given, ptr, class.layout()) },
    }
}

/// # Safety
///
/// As for [`Global::free_or`].
#[cold]
#[inline(never)]
unsafe fn free_slowly(at: *mut u8, fail: impl FnOnce(Error)) {
    let Some(ptr) = NonNull::new(at) else {
        return;
    };
    // SAFETY: the caller's promise.
    if let Err(error) = unsafe { free(ptr) } {
        fail(error);
    }
}

/// # Safety
///
/// As for [`Global::free_or`]; in an operation, which it ends.
#[cold]
#[inline(never)]
unsafe fn free_another(at: *mut u8, span: &'static Span, own: Own, fail: impl FnOnce(Error)) {
    let given = giving::give_to_another(at, span, span.class(), own);
    if given != Given::Done {
        // SAFETY: the caller's promise.
        unsafe { free_slowly(at, fail) }
    }
}

/// # Safety
///
/// As for [`Global::free_or`]; in an operation, which it ends.
#[cold]
#[inline(never)]
unsafe fn free_beyond(
    at: *mut u8,
    span: &'static Span,
    state: &'static AtomicU8,
    own: Own,
    fail: impl FnOnce(Error),
) {
    if giving::put_free(span, state, own) != Given::Done {
        // SAFETY: the caller's promise.
        unsafe { free_slowly(at, fail) }
    }
}

/// # Safety
///
/// As for [`Global::free`].
#[inline(never)]
unsafe fn free_block(ptr: NonNull<u8>) -> Result<(), Error> {
    idle::look();
    center::with(|center| {
        let layout = layout_of(ptr, center.heap.requested_size(ptr)?)?;
        // SAFETY: the caller's promise.
        unsafe { center.give_block(ptr, layout) }
    })?
}

/// That of a block for which so many bytes were asked, whatever its alignment.
fn layout_of(ptr: NonNull<u8>, size: usize) -> Result<Layout, Error> {
    let address = ptr.addr().get();
    Layout::from_size_align(size, 1).map_err(|_| Misuse::NotABlock { address }.into())
}
