//! What the files take from floor 0 of `tagheap`.

#[path = "../../../src/words/error.rs"]
pub(crate) mod error;
#[path = "../../../src/words/tag.rs"]
pub(crate) mod tag;

pub(crate) mod size {
    pub(crate) const LINE: usize = 64;
    pub(crate) const UNIT: usize = 16;
    pub(crate) const HEADER: usize = 32;
}
