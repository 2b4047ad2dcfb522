//! The plain scan: what every other placement must agree with.

use crate::ground::table::IndexMemory;
use crate::policy::placement::{Placement, takes};
use crate::words::error::{Corruption, Shortage};
use crate::words::size::Fit;
use crate::words::walk::{Block, Image, Walk};

/// Walks the row from its base, each time. Needs no memory; O(blocks) for each answer.
///
/// It verifies every header that it passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan;

impl Placement for Scan {
    fn find(&self, row: &impl Image, fit: Fit, splits: bool) -> Result<Option<usize>, Corruption> {
        for block in Walk::new(row) {
            let block = block?;
            if block.is_free() && takes(&block, fit, splits) {
                return Ok(Some(block.at));
            }
        }
        Ok(None)
    }

    fn before(&self, row: &impl Image, at: usize) -> Result<Option<usize>, Corruption> {
        for block in Walk::new(row) {
            let block = block?;
            if block.end() >= at {
                return Ok((block.is_free() && block.end() == at).then_some(block.at));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, _base: usize, _splits: bool) {}

    fn reserve(&mut self, _end: usize, _memory: &mut IndexMemory) -> Result<(), Shortage> {
        Ok(())
    }

    fn insert(&mut self, _at: usize, _size: usize) {}

    fn remove(&mut self, _at: usize, _size: usize) {}

    fn agrees(&self, _block: &Block) -> bool {
        true
    }

    fn count(&self) -> Option<usize> {
        None
    }
}
