//! What becomes of free blocks: split and coalesced, or reused whole.

use crate::policy::sealed::Sealed;

/// What becomes of free blocks. Two rules exist, [`Split`] and [`Whole`].
pub trait Rule: Sealed + Copy + core::fmt::Debug {
    /// Whether a block too large for a request is split, and free neighbours coalesce.
    const SPLITS: bool;
}

/// The default rule: what a request leaves of a block, if it can be a block, is one; free neighbours
/// coalesce; and what is free at the end of the row belongs to the end again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Split;

/// The rule of the assembly heap this crate descends from: a block is reused whole, nothing merges, and
/// the row never gets shorter. For comparison, and for loads of equal sizes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whole;

impl Rule for Split {
    const SPLITS: bool = true;
}

impl Rule for Whole {
    const SPLITS: bool = false;
}

impl Sealed for Split {}
impl Sealed for Whole {}
