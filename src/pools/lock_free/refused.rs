//! What is said of requests that get no slot, and of pieces that are none.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::heap;
use crate::pools::lock_free::LockFree;
use crate::sharing::share::Share;
use crate::words::error::{Corruption, Error, Misuse, Shortage};

impl<H: Share> LockFree<H> {
    /// What a request lacks that gets no slot.
    pub(super) fn shortage(&self, layout: Layout) -> Shortage {
        let (size, align) = (self.layout.size(), self.layout.align());
        if layout.size() > size {
            return Shortage::Oversized { most: size };
        }
        if layout.align() > align {
            return Shortage::Overaligned { most: align };
        }
        let (total, used) = (self.slots, self.slots);
        Shortage::Full { total, used }
    }

    pub(super) fn refused(&self, layout: Layout, cause: Shortage) -> Error {
        self.failures.0.fetch_add(1, Ordering::Relaxed);
        heap::out_of_memory(self.tag, layout, cause)
    }

    /// The error for a link found damaged.
    #[cold]
    pub(super) fn damage(&self, index: usize) -> Error {
        let at = self.stack.links().address_of(index.min(self.slots));
        Corruption::Pool { tag: self.tag, at }.into()
    }

    /// What is wrong with a piece and its layout; or that it was given back before.
    #[cold]
    pub(super) fn misuse(&self, ptr: NonNull<u8>, layout: Layout) -> Error {
        let address = ptr.addr().get();
        let claimed = layout.size();
        let usable = self.layout.size();
        if !self.holds(address) {
            Misuse::NotFromHere { address }
        } else if self.index_of(ptr) >= self.slots {
            Misuse::NotABlock { address }
        } else if claimed > usable {
            Misuse::SizeMismatch {
                address,
                claimed,
                usable,
            }
        } else if layout.align() > self.layout.align() {
            let claimed = layout.align();
            Misuse::AlignMismatch { address, claimed }
        } else {
            Misuse::DoubleFree { address }
        }
        .into()
    }
}
