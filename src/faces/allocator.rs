//! A reference to a kind as an allocator of collections: the `Allocator` traits of `allocator-api2`, and std's
//! own where the compiler has it.
//!
//! # Safety
//!
//! The traits ask what [`Kind`] promises: pieces stay where they are until they are given back or the pool is
//! reset or dropped, and a reference to the pool, of which every copy is the same allocator, forbids both.
#![allow(unsafe_code)]

/// Implements the version of the trait that is in scope for references to every kind.
macro_rules! allocators {
    () => {
        use core::alloc::Layout;
        use core::ptr::NonNull;

        use lock_api::RawMutex;

        use crate::pools::kind::Kind;
        use crate::sharing::share::Share;

        allocators!([H: Share] crate::Pool<H>);
        allocators!([H: Share] crate::Bump<H>);
        allocators!([H: Share] crate::SizeClasses<H>);
        allocators!([H: Share] crate::Fixed<H>);
        allocators!([H: Share, const N: usize] crate::Classes<H, N>);
        allocators!([H: Share] crate::Priority<H>);
        allocators!([H: Share] crate::Stack<H>);
        allocators!([H: Share] crate::FreeList<H>);
        allocators!([H: Share] crate::Buddy<H>);
        allocators!([H: Share] crate::LockFree<H>);
        allocators!([K: Kind, L: RawMutex] crate::Locked<K, L>);
        allocators!([K: Kind] crate::Timed<K>);
        // What a view of a pool is, such as of one level.
        allocators!(['a] (dyn Kind + 'a));
    };
    ([$($parameters:tt)*] $kind:ty) => {
        // SAFETY: see the head of the file.
        unsafe impl<$($parameters)*> Allocator for &$kind {
            #[inline]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                Kind::allocate(*self, layout).map_err(|_| AllocError)
            }

            #[inline]
            unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
                // What the kind does not take back stays in use until it is reset.
                // SAFETY: the caller's promise.
                let _ = unsafe { Kind::deallocate(*self, ptr, layout) };
            }

            #[inline]
            unsafe fn grow(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promise.
                unsafe { Kind::grow(*self, ptr, old, new) }.map_err(|_| AllocError)
            }

            #[inline]
            unsafe fn shrink(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promise.
                unsafe { Kind::shrink(*self, ptr, old, new) }.map_err(|_| AllocError)
            }
        }
    };
}

#[cfg(feature = "api2-02")]
mod api2_02 {
    use api2_02::alloc::{AllocError, Allocator};

    allocators!();
}

#[cfg(feature = "api2-04")]
mod api2_04 {
    use api2_04::alloc::{AllocError, Allocator};

    allocators!();
}

#[cfg(std_allocator)]
mod std_allocator {
    use core::alloc::{AllocError, Allocator};

    allocators!();
}
