//! A variable that each thread has for itself, of std's, where Miri interprets the program: it does not know the
//! assembler's.
//!
//! # Safety
//!
//! A variable is reached only by its own thread, while that lives.
#![allow(unsafe_code)]

extern crate std;

use core::ptr;

use crate::global::local::Local;
use crate::global::stock::Stock;

std::thread_local! {
    static OWN: Local = const { Local::new() };
}

/// The calling thread's own. Good for as long as the thread lives, and in that thread: nobody keeps it.
#[derive(Clone, Copy, Debug)]
pub(in crate::global) struct Own(*const Local);

/// The calling thread's own.
pub(in crate::global) fn own() -> Option<Own> {
    Some(Own(OWN.with(ptr::from_ref)))
}

impl Own {
    pub(in crate::global) fn local<'a>(self) -> &'a Local {
        // SAFETY: this thread's, which has nothing to drop, so it is there until the thread ends.
        unsafe { &*self.0 }
    }

    /// As [`Local::begin`].
    pub(in crate::global) fn begin(self) -> bool {
        self.local().begin()
    }

    /// As [`Local::end`].
    pub(in crate::global) fn end(self) {
        self.local().end();
    }

    /// The stock at hand, or null; in an operation.
    pub(in crate::global) fn stock(self) -> *const Stock {
        self.local().stock.get().map_or(ptr::null(), ptr::from_ref)
    }
}
