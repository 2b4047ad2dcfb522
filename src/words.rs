//! Floor 0, words: pure values, no unsafe code. Whoever only reads a heap needs no other floor.

pub(crate) mod change;
pub(crate) mod columns;
pub(crate) mod draw;
pub(crate) mod error;
pub(crate) mod extent;
pub(crate) mod header;
pub(crate) mod root;
pub(crate) mod size;
pub(crate) mod slot;
pub(crate) mod stats;
pub(crate) mod strip;
pub(crate) mod tag;
pub(crate) mod upcoming;
pub(crate) mod usage;
pub(crate) mod walk;
