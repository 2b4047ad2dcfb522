//! Floor 7, faces: the heap and its pools as others see them.

#[cfg(any(feature = "api2-02", feature = "api2-04", std_allocator))]
pub(crate) mod allocator;
#[cfg(feature = "twin")]
pub mod twin;
