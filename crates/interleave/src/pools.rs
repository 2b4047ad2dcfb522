//! Floor 6 of `tagheap`.

#[path = "../../../src/pools/treiber.rs"]
pub(crate) mod treiber;
