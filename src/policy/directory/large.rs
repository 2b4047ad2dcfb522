//! Sizes of blocks too large for a leaf: told by leaves in front of the one where the block ends, which lie inside it.

use crate::policy::directory::{Directory, put};
use crate::policy::leaf::{LARGE, MARK, UNITS};
use crate::policy::placement;
use crate::words::error::Corruption;
use crate::words::extent::Extent;
use crate::words::size::UNIT;
use crate::words::walk::Image;

/// Leaves that tell a size together: of units, 15 bits each.
const DIGITS: usize = 4;

/// Bits of a digit. Each has a mark's sign, so that no search finds it.
const BITS: u32 = 15;

const _: () = assert!(LARGE / UNIT > (DIGITS + 2) * UNITS);

impl Directory {
    /// The size told in front of a leaf.
    #[cold]
    pub(super) fn told(&self, end: usize) -> usize {
        let digits = (1..=DIGITS).map(|nth| self.maxima.get(end - nth) & !MARK);
        digits.fold(0, |units, digit| units << BITS | digit as usize) * UNIT
    }

    /// Tells the size of a large block, or clears what was told of it.
    #[cold]
    #[inline(never)]
    pub(super) fn tell(&mut self, block: Extent, is_there: bool, splits: bool) {
        let end = self.end(block, splits).0;
        let mut units = block.size / UNIT;
        for nth in (1..=DIGITS).rev() {
            if let Some(leaf) = self.maxima.leaves().get_mut(end - nth) {
                *leaf = if is_there { units as i16 | MARK } else { 0 };
            }
            units >>= BITS;
        }
    }

    /// As [`beside`](crate::Placement::beside), where one is large and the leaves say so much of them.
    #[cold]
    #[inline(never)]
    pub(super) fn large_beside(
        &self,
        row: &impl Image,
        block: Extent,
        (before, behind): (usize, usize),
    ) -> Result<(usize, usize), Corruption> {
        let before = self.whole(before, self.index(block.at - UNIT, true));
        Ok((before, large_or(row, block.end(), behind)?))
    }

    /// As [`join`](crate::Placement::join), where one is large.
    #[cold]
    #[inline(never)]
    pub(super) fn join_large(&mut self, block: Extent, before: usize, behind: usize, splits: bool) {
        placement::join(self, block, before, behind, splits);
    }

    /// As [`shorten`](crate::Placement::shorten), of a large block.
    #[cold]
    #[inline(never)]
    pub(super) fn shorten_large(&mut self, old: Extent, left: usize, splits: bool) {
        if left < LARGE {
            return placement::shorten(self, old, left, splits);
        }
        let (at, size) = (old.end() - left, left);
        let new = Extent { at, size };
        // Its number stays as it is.
        let (gone, start) = (self.start(old, splits), self.start(new, splits));
        if splits {
            put(self.maxima.leaves(), (gone.0, 0));
            put(self.maxima.leaves(), start);
        }
        self.tell(new, true, splits);
    }
}

/// The size of the block at `at`, by its mark, or as its header tells it if it is too large for that.
#[inline(always)]
pub(super) fn large_or(row: &impl Image, at: usize, size: usize) -> Result<usize, Corruption> {
    if size < LARGE {
        Ok(size)
    } else {
        large(row, at)
    }
}

#[cold]
fn large(row: &impl Image, at: usize) -> Result<usize, Corruption> {
    let header = row.header(at).ok_or(Corruption::Index { at })?;
    header.verify(at, row.end(), row.key())?;
    Ok(header.size as usize)
}
