use tagheap::{Block, Corruption, Extent, Fit, Image, IndexMemory, Placement, Shortage};

/// Names places that are in use, to which the heap would write.
#[derive(Debug)]
struct Liar;

impl Placement for Liar { //~ E0277
    fn find(&self, _: &impl Image, _: Fit, _: bool) -> Result<Option<Extent>, Corruption> {
        Ok(Some(Extent { at: 4096, size: 4096 }))
    }

    fn before(&self, _: &impl Image, _: usize) -> Result<Option<Extent>, Corruption> {
        Ok(None)
    }

    fn behind(&self, _: &impl Image, _: usize) -> Result<Option<Extent>, Corruption> {
        Ok(None)
    }

    fn begin(&mut self, _: usize) {}

    fn reserve(&mut self, _: usize, _: bool, _: &mut IndexMemory) -> Result<(), Shortage> {
        Ok(())
    }

    fn insert(&mut self, _: Extent, _: bool) {}

    fn remove(&mut self, _: Extent, _: bool) {}

    fn agrees(&self, _: &Block, _: bool) -> bool {
        true
    }

    fn count(&self) -> Option<usize> {
        None
    }
}

fn main() {}
