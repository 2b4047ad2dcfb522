//! Finds out whether this compiler has std's `Allocator` in the form this crate implements.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(std_allocator)");
    #[cfg(feature = "nightly")]
    probe();
}

/// The trait is not stable, so a nightly may have another form of it: only what compiles is used.
#[cfg(feature = "nightly")]
fn probe() {
    const USE: &str = "
        #![feature(allocator_api)]
        #![no_std]
        use core::alloc::{AllocError, Allocator, Layout};
        use core::ptr::NonNull;
        pub struct Probe;
        unsafe impl Allocator for &Probe {
            fn allocate(&self, _: Layout) -> Result<NonNull<[u8]>, AllocError> {
                Err(AllocError)
            }
            unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
            unsafe fn grow(
                &self,
                _: NonNull<u8>,
                _: Layout,
                _: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                Err(AllocError)
            }
            unsafe fn shrink(
                &self,
                _: NonNull<u8>,
                _: Layout,
                _: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                Err(AllocError)
            }
        }
    ";
    if autocfg::new().probe_raw(USE).is_ok() {
        println!("cargo::rustc-cfg=std_allocator");
    }
}
