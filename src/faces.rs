//! Floor 7, faces: the heap as others want to see it.

#[cfg(feature = "twin")]
pub mod twin;
