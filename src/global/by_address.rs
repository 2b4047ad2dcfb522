//! Requests of those who know an address and no layout, as C's `free` and `realloc` have them.
//!
//! # Safety
//!
//! As for what is given back otherwise: the layout is the one that the span's class or the block's header tells.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::global::Global;
use crate::global::center;
use crate::global::giving;
use crate::global::idle;
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
        match span_at(ptr) {
            // SAFETY: the caller's promise.
            Some(span) => unsafe { giving::deallocate(ptr, span.class().layout()) },
            // SAFETY: the caller's promise.
            None => unsafe { free_block(ptr) },
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
}

/// The span that an address lies in.
#[inline(always)]
fn span_at(ptr: NonNull<u8>) -> Option<&'static Span> {
    spans::holding(ptr.addr().get()).filter(|span| span.is_open())
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
