//! Floor 3, policy: which free block an allocation takes, and what becomes of its rest. Safe code.

pub(crate) mod directory;
mod leaf;
mod maxima;
pub(crate) mod placement;
pub(crate) mod rule;
pub(crate) mod scan;

/// What this crate alone implements.
mod sealed {
    pub trait Sealed {}
}
