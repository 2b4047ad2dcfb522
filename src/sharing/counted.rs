//! A heap that its pools own together, by a count of references: it goes with the last of them.
//!
//! # Safety
//!
//! Each counted pointer leads to the same heap as all of its clones.
#![allow(unsafe_code)]

use alloc::rc::Rc;
use alloc::sync::Arc;

use crate::heap::Heap;
use crate::sharing::share::Share;
use crate::words::error::Misuse;

macro_rules! counted {
    ($($pointer:ident)*) => {$(
        // SAFETY: what is counted stays where it is, and is there, until the last pointer goes; nobody gets it exclusively,
        // or out, while there is another, and a pool has one.
        unsafe impl<H: Share + ?Sized> Share for $pointer<H> {
            type Source = H::Source;
            type Rule = H::Rule;
            type Placement = H::Placement;

            #[inline(always)]
            unsafe fn with<T>(
                &self,
                work: impl FnOnce(&mut Heap<Self::Source, Self::Rule, Self::Placement>) -> T,
            ) -> Result<T, Misuse> {
                // SAFETY: the caller's promise.
                unsafe { (**self).with(work) }
            }
        }
    )*};
}

counted!(Rc Arc);
