//! The plain scan: what every other placement must agree with.

use crate::ground::table::IndexMemory;
use crate::policy::placement::{Placement, takes};
use crate::policy::sealed::Sealed;
use crate::words::error::{Corruption, Shortage};
use crate::words::extent::Extent;
use crate::words::size::Fit;
use crate::words::walk::{Block, Image, Walk};

/// Walks the row from its base, each time. Needs no memory; O(blocks) for each answer.
///
/// It verifies every header that it passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan;

impl Sealed for Scan {}

impl Placement for Scan {
    fn find(&self, row: &impl Image, fit: Fit, splits: bool) -> Result<Option<Extent>, Corruption> {
        for block in Walk::new(row) {
            let block = block?;
            if block.is_free() && takes(block.into(), fit, splits) {
                return Ok(Some(block.into()));
            }
        }
        Ok(None)
    }

    fn before(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        for block in Walk::new(row) {
            let block = block?;
            if block.end() >= at {
                let is_it = block.is_free() && block.end() == at;
                return Ok(is_it.then_some(block.into()));
            }
        }
        Ok(None)
    }

    fn behind(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        let block = Walk::from(row, at).next().transpose()?;
        Ok(block.filter(Block::is_free).map(Extent::from))
    }

    fn begin(&mut self, _base: usize) {}

    fn reserve(
        &mut self,
        _end: usize,
        _splits: bool,
        _memory: &mut IndexMemory,
    ) -> Result<(), Shortage> {
        Ok(())
    }

    fn insert(&mut self, _block: Extent, _splits: bool) {}

    fn remove(&mut self, _block: Extent, _splits: bool) {}

    fn agrees(&self, _block: &Block, _splits: bool) -> bool {
        true
    }

    fn count(&self) -> Option<usize> {
        None
    }
}
