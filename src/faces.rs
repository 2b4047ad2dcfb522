//! Floor 7, faces: the heap and its pools as others see them.

pub(crate) mod allocator;
#[cfg(feature = "twin")]
pub mod twin;
