//! Which free block an allocation takes: the one with the lowest address into which it fits.

use crate::ground::table::IndexMemory;
use crate::policy::sealed::Sealed;
use crate::words::error::{Corruption, Shortage};
use crate::words::extent::Extent;
use crate::words::size::Fit;
use crate::words::walk::{Block, Image, Walk};

/// Finds free blocks in the row.
///
/// Every placement gives the same answers, those of [`Scan`](crate::Scan); they differ in what an answer
/// costs. A placement may remember free blocks: it is told of each one that appears or vanishes. Two exist, `Scan` and
/// [`Directory`](crate::Directory): the heap writes where their answers say that there is room.
pub trait Placement: Sealed + core::fmt::Debug {
    /// The lowest free block of `row` into which `fit` fits: split by its alignment in front and by its
    /// size behind where `splits`, else only where nothing would be left in front.
    ///
    /// # Errors
    ///
    /// [`Corruption`] met on the way.
    fn find(&self, row: &impl Image, fit: Fit, splits: bool) -> Result<Option<Extent>, Corruption>;

    /// The lowest free block of `row` that begins at address `at`, where a block begins, or behind it, and has `size`
    /// bytes or more.
    ///
    /// # Errors
    ///
    /// [`Corruption`] met on the way.
    fn find_from(
        &self,
        row: &impl Image,
        at: usize,
        size: usize,
        _splits: bool,
    ) -> Result<Option<Extent>, Corruption> {
        for block in Walk::from(row, at) {
            let block = block?;
            if block.is_free() && block.size >= size {
                return Ok(Some(block.into()));
            }
        }
        Ok(None)
    }

    /// The free block of `row` that ends at address `at`, where another begins.
    ///
    /// # Errors
    ///
    /// [`Corruption`] met on the way.
    fn before(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption>;

    /// The free block of `row` that begins at address `at`, where another ends.
    ///
    /// # Errors
    ///
    /// [`Corruption`] met on the way.
    fn behind(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption>;

    /// The free blocks of `row` beside this one: how many bytes that in front of it has, and that behind it; 0 for none.
    ///
    /// # Errors
    ///
    /// [`Corruption`] met on the way.
    fn beside(&self, row: &impl Image, block: Extent) -> Result<(usize, usize), Corruption> {
        let size = |beside: Option<Extent>| beside.map_or(0, |beside| beside.size);
        let before = size(self.before(row, block.at)?);
        if block.end() == row.end() {
            return Ok((before, 0));
        }
        Ok((before, size(self.behind(row, block.end())?)))
    }

    /// A row begins at `base`.
    fn begin(&mut self, base: usize);

    /// Prepares for a row up to `end`, so that no later call within it needs memory.
    ///
    /// # Errors
    ///
    /// [`Shortage::Index`] without memory; nothing that can be seen has changed then.
    fn reserve(
        &mut self,
        end: usize,
        splits: bool,
        memory: &mut IndexMemory,
    ) -> Result<(), Shortage>;

    /// Says that free blocks around address `at` will soon be asked for; changes nothing.
    fn expect(&self, _at: usize, _splits: bool) {}

    /// Whether it shows at once that no free block is beside this one, in front of it or behind it; false where only
    /// [`before`](Placement::before) and [`behind`](Placement::behind) tell.
    fn is_apart(&self, _block: Extent) -> bool {
        false
    }

    /// A free block appears.
    fn insert(&mut self, block: Extent, splits: bool);

    /// As [`insert`](Placement::insert), for one of many that appear before the next search.
    fn insert_among(&mut self, block: Extent, splits: bool) {
        self.insert(block, splits);
    }

    /// A free block vanishes.
    fn remove(&mut self, block: Extent, splits: bool);

    /// A free block vanishes, and another appears that has bytes in common with it.
    fn replace(&mut self, old: Extent, new: Extent, splits: bool) {
        self.remove(old, splits);
        self.insert(new, splits);
    }

    /// A free block appears, and is one with those of so many bytes in front of it and behind it; 0 for none.
    fn join(&mut self, block: Extent, before: usize, behind: usize, splits: bool) {
        join(self, block, before, behind, splits);
    }

    /// A free block vanishes but for its last `left` bytes; wholly, if that is 0.
    fn shorten(&mut self, old: Extent, left: usize, splits: bool) {
        shorten(self, old, left, splits);
    }

    /// Whether what is remembered of this free block is true.
    fn agrees(&self, block: &Block, splits: bool) -> bool;

    /// How many free blocks are remembered; `None` where none are. Where it is 0, nobody is asked to find one.
    fn count(&self) -> Option<usize>;
}

/// As [`Placement::join`], by one change for each block.
pub(crate) fn join<P: Placement + ?Sized>(
    placement: &mut P,
    block: Extent,
    before: usize,
    behind: usize,
    splits: bool,
) {
    for (at, size) in [(block.at - before, before), (block.end(), behind)] {
        if size > 0 {
            placement.remove(Extent { at, size }, splits);
        }
    }
    placement.insert(block.with(before, behind), splits);
}

/// As [`Placement::shorten`], by one block in the place of the other.
pub(crate) fn shorten<P: Placement + ?Sized>(
    placement: &mut P,
    old: Extent,
    left: usize,
    splits: bool,
) {
    if left == 0 {
        placement.remove(old, splits);
    } else {
        let (at, size) = (old.end() - left, left);
        placement.replace(old, Extent { at, size }, splits);
    }
}

/// Whether `fit` goes into this free block.
#[inline]
pub(crate) fn takes(block: Extent, fit: Fit, splits: bool) -> bool {
    let in_front = splits || fit.place(block.at) == Some(block.at);
    in_front && fit.fits(block.at, block.size)
}
