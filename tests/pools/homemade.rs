//! A kind as somebody else writes it: with what he must write, and what the trait provides.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{Error, Kind, Pool, Share, Usage};

pub(crate) struct Homemade<H: Share>(pub(crate) Pool<H>);

// SAFETY: all that it hands out is the pool's.
unsafe impl<H: Share> Kind for Homemade<H> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        self.0.allocate(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(ptr, layout) }
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.0.reset()
    }

    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        self.0.contains(ptr)
    }

    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }

    fn usage(&self) -> Result<Usage, Error> {
        self.0.usage()
    }
}
