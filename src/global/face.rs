//! The heap as the language's global allocator, which cannot answer errors.
//!
//! # Safety
//!
//! As for the whole: memory handed out is nobody else's until given back. What cannot be answered ends the program;
//! nothing unwinds.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use crate::global::giving::{self, Given};
use crate::global::{Global, idle, refusal, requests};
use crate::ground::fatal::fatal;
use crate::words::error::Error;

/// Ends the program for what a global allocator cannot answer.
#[cold]
fn end(error: &Error, call: &str, at: *mut u8) -> ! {
    let tag = NonNull::new(at).and_then(|at| requests::tag_of(at).ok());
    match tag {
        Some(tag) => fatal(&format_args!("{error} op={call} ptr={at:p} tag={tag}")),
        None => fatal(&format_args!("{error} op={call} ptr={at:p}")),
    }
}

/// The address, or null where there is no memory.
#[inline(always)]
fn answer(result: Result<NonNull<u8>, Error>, call: &str, at: *mut u8) -> *mut u8 {
    match result {
        Ok(at) => at.as_ptr(),
        Err(error) if refusal::is_one(&error) => {
            refusal::tell(&error);
            ptr::null_mut()
        }
        Err(error) => end(&error, call, at),
    }
}

#[cold]
#[inline(never)]
fn alloc_slowly(layout: Layout) -> *mut u8 {
    answer(requests::allocate(layout), "alloc", ptr::null_mut())
}

#[cold]
#[inline(never)]
fn alloc_zeroed_slowly(layout: Layout) -> *mut u8 {
    let zeroed = requests::allocate_zeroed(layout);
    answer(zeroed, "alloc_zeroed", ptr::null_mut())
}

/// # Safety
///
/// As for [`giving::give`], which answered this, or it is null.
#[cold]
#[inline(never)]
unsafe fn dealloc_slowly(given: Given, at: *mut u8, layout: Layout) {
    let Some(ptr) = NonNull::new(at) else { return };
    idle::look();
    // SAFETY: the caller's promise.
    if let Err(error) = unsafe { giving::finish(given, ptr, layout) } {
        end(&error, "dealloc", ptr.as_ptr());
    }
}

// SAFETY: see the head of the file.
unsafe impl GlobalAlloc for Global {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match requests::take(layout) {
            Some(at) => at.as_ptr(),
            None => {
                self.prepare();
                alloc_slowly(layout)
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match requests::take(layout) {
            Some(at) => {
                // SAFETY: so many bytes were asked for, and are nobody else's.
                unsafe { at.write_bytes(0, layout.size()) };
                at.as_ptr()
            }
            None => {
                self.prepare();
                alloc_zeroed_slowly(layout)
            }
        }
    }

    #[inline(always)]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise. Null is in no span.
        match unsafe { giving::give(at, layout) } {
            Given::Done => {}
            // SAFETY: the caller's promise.
            given => unsafe { dealloc_slowly(given, at, layout) },
        }
    }

    unsafe fn realloc(&self, at: *mut u8, old: Layout, size: usize) -> *mut u8 {
        let (Some(ptr), Ok(new)) = (NonNull::new(at), Layout::from_size_align(size, old.align()))
        else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's promise.
        answer(unsafe { requests::resize(ptr, old, new) }, "realloc", at)
    }
}
