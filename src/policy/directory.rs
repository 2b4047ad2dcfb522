//! The directory: first fit without the scan.
//!
//! The row is cut into segments so small that at most one free block starts in each: 64 bytes where
//! free neighbours coalesce, 32 where they do not. A segment's *leaf* is that block: its size in units,
//! and the unit of the segment in which it starts. Above the leaves stands a tree of maxima, by which the
//! first that is large enough is found.
//!
//! A leaf's number has 15 bits. A block too large for it has the largest number, and its header tells
//! the rest.
//!
//! Where free neighbours coalesce, the segment in which a free block ends has a *mark* in its leaf, unless the
//! block starts there too: the same number for the unit in which the block ends, and a sign. No other free
//! block starts in that segment, since the block between them would be too small. So one leaf in front of a
//! block and one behind it tell a deallocation all about the neighbours.

use crate::ground::table::IndexMemory;
use crate::policy::maxima::Maxima;
use crate::policy::placement::{Placement, takes};
use crate::policy::scan::Scan;
use crate::words::error::{Corruption, Shortage};
use crate::words::extent::Extent;
use crate::words::size::{Fit, UNIT};
use crate::words::walk::{Block, Image};

/// Leaves at the start: room for a row of 32 KiB, or 16 KiB where segments are smaller.
const FIRST_LEAVES: usize = 512;

/// Units that a leaf tells apart.
const UNITS: usize = 4;

/// The largest size in units that a leaf can tell, and one.
const MOST_UNITS: usize = i16::MAX as usize / UNITS;

/// Set in a mark.
const MARK: i16 = i16::MIN;

/// Finds free blocks in a tree of maxima: O(log32 of the row's length) for each answer and each change.
///
/// Takes 3 % of the row's length (6 % under [`Whole`](crate::Whole)), in memory lent by the source at first,
/// then in mappings of its own; only what belongs to memory in use is ever touched. In a [`Buffer`](crate::Buffer)
/// too small for it, it scans like [`Scan`].
#[derive(Debug)]
pub struct Directory {
    base: usize,
    /// Log2 of a segment's bytes.
    shift: u32,
    /// Whether marks say where free blocks end.
    marks: bool,
    leaves: Maxima,
    /// Address up to which the leaves reach.
    reach: usize,
    count: usize,
    /// Whether there is no memory for tables at all.
    scans: bool,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

/// A size, and the place of a unit in its segment, as a leaf's number.
#[inline]
const fn number(size: usize, unit: usize) -> i16 {
    let units = size / UNIT;
    let units = if units < MOST_UNITS {
        units
    } else {
        MOST_UNITS
    };
    (units * UNITS + unit % UNITS) as i16
}

/// The size in a leaf's number, unless only the block's header knows it.
#[inline]
const fn size(number: i16) -> Option<usize> {
    let units = (number & !MARK) as usize / UNITS;
    if units < MOST_UNITS {
        Some(units * UNIT)
    } else {
        None
    }
}

impl Directory {
    /// A directory of no row yet.
    pub const fn new() -> Self {
        Self {
            base: 0,
            shift: 0,
            marks: false,
            leaves: Maxima::empty(),
            reach: 0,
            count: 0,
            scans: false,
        }
    }

    /// The unit of the row that starts at an address.
    #[inline]
    fn unit(&self, at: usize) -> usize {
        (at - self.base) / UNIT
    }

    /// The index of the leaf of the block at an address.
    #[inline]
    fn index(&self, at: usize) -> usize {
        (at - self.base) >> self.shift
    }

    /// The address of the block whose number is in a leaf.
    #[inline]
    fn address(&self, index: usize, number: i16) -> usize {
        let units = (index << self.shift) / UNIT;
        let unit = units - units % UNITS + number as usize % UNITS;
        self.base + unit * UNIT
    }

    /// The block in a leaf.
    #[inline]
    fn extent(&self, row: &impl Image, index: usize) -> Result<Extent, Corruption> {
        let number = self.leaves.get(index);
        let at = self.address(index, number);
        match size(number) {
            Some(size) => Ok(Extent { at, size }),
            None => large(row, at),
        }
    }

    /// The free block that starts at an address, as far as its leaf tells.
    #[inline]
    fn starts(&self, at: usize) -> Option<i16> {
        let number = self.leaves.get(self.index(at));
        let is_it = number > 0 && number as usize % UNITS == self.unit(at) % UNITS;
        is_it.then_some(number)
    }

    /// The mark of a block, and the leaf where it belongs, if it has one.
    #[inline]
    fn mark(&self, block: Extent) -> Option<(usize, i16)> {
        let last = block.end() - UNIT;
        let index = self.index(last);
        let is_apart = self.marks && index != self.index(block.at);
        is_apart.then(|| (index, number(block.size, self.unit(last)) | MARK))
    }

    /// Says where a block ends.
    #[inline]
    fn put_mark(&mut self, block: Extent) {
        if let Some((index, mark)) = self.mark(block) {
            self.leaves.put(index, mark);
        }
    }

    /// Says no longer where a block ends.
    #[inline]
    fn take_mark(&mut self, block: Extent) {
        if let Some((index, _)) = self.mark(block) {
            self.leaves.put(index, 0);
        }
    }

    /// The number of a block in its leaf.
    #[inline]
    fn number(&self, block: Extent) -> i16 {
        number(block.size, self.unit(block.at))
    }
}

/// The block at `at`, too large for its leaf, as its header tells it.
#[cold]
fn large(row: &impl Image, at: usize) -> Result<Extent, Corruption> {
    let header = row.header(at).ok_or(Corruption::Index { at })?;
    header.verify(at, row.end(), row.key())?;
    Ok(Extent {
        at,
        size: header.size as usize,
    })
}

impl Placement for Directory {
    fn begin(&mut self, base: usize, splits: bool) {
        self.base = base;
        self.reach = base;
        self.shift = if splits { 6 } else { 5 };
        self.marks = splits;
    }

    #[inline]
    fn reserve(&mut self, end: usize, memory: &mut IndexMemory) -> Result<(), Shortage> {
        if end < self.reach {
            return Ok(());
        }
        let segments = ((end - self.base) >> self.shift) + 1;
        match self.leaves.grow(segments.max(FIRST_LEAVES), memory) {
            Ok(()) => {
                self.reach = self.base + (self.leaves.length() << self.shift);
                Ok(())
            }
            Err(_) if memory.is_bounded() && self.reach == self.base => {
                self.scans = true;
                self.reach = usize::MAX;
                Ok(())
            }
            refused => refused,
        }
    }

    #[inline(always)]
    fn find(&self, row: &impl Image, fit: Fit, splits: bool) -> Result<Option<Extent>, Corruption> {
        let bound = number(fit.size(), 0) - 1;
        let mut found = self.leaves.first(bound);
        while let Some(index) = found {
            let block = self.extent(row, index)?;
            if takes(block, fit, splits) {
                return Ok(Some(block));
            }
            found = self.leaves.next(index, bound);
        }
        if self.scans {
            return Scan.find(row, fit, splits);
        }
        Ok(None)
    }

    #[inline(always)]
    fn before(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        if self.scans {
            return Scan.before(row, at);
        }
        let last = at - UNIT;
        let index = self.index(last);
        let number = self.leaves.get(index);
        if number == 0 {
            return Ok(None);
        }
        if number > 0 {
            // A block that ends in the segment in which it starts.
            let block = Extent {
                at: self.address(index, number),
                size: size(number).unwrap_or(0),
            };
            return Ok((block.end() == at).then_some(block));
        }
        if number as usize % UNITS != self.unit(last) % UNITS {
            return Ok(None);
        }
        match size(number) {
            Some(size) => Ok(Some(Extent {
                at: at - size,
                size,
            })),
            None => {
                let index = self.leaves.last(index).ok_or(Corruption::Index { at })?;
                let block = self.extent(row, index)?;
                Ok((block.end() == at).then_some(block))
            }
        }
    }

    #[inline(always)]
    fn behind(&self, row: &impl Image, at: usize) -> Result<Option<Extent>, Corruption> {
        if self.scans {
            return Scan.behind(row, at);
        }
        match self.starts(at).map(size) {
            None => Ok(None),
            Some(Some(size)) => Ok(Some(Extent { at, size })),
            Some(None) => large(row, at).map(Some),
        }
    }

    #[inline]
    fn expect(&self, at: usize) {
        self.leaves.expect(at.wrapping_sub(self.base) >> self.shift);
    }

    #[inline(always)]
    fn insert(&mut self, block: Extent) {
        self.leaves.set(self.index(block.at), self.number(block));
        self.put_mark(block);
        self.count += 1;
    }

    #[inline(always)]
    fn remove(&mut self, block: Extent) {
        self.leaves.set(self.index(block.at), 0);
        self.take_mark(block);
        self.count -= 1;
    }

    #[inline(always)]
    fn replace(&mut self, old: Extent, new: Extent) {
        if old.end() != new.end() {
            self.take_mark(old);
        }
        let (from, to, number) = (self.index(old.at), self.index(new.at), self.number(new));
        let vanished = self.leaves.put(from, 0);
        self.put_mark(new);
        self.leaves.put(to, number);
        self.leaves.moved(from, vanished, to, number);
    }

    fn agrees(&self, block: &Block) -> bool {
        if self.scans {
            return true;
        }
        let last = block.end() - UNIT;
        let mark = self.leaves.get(self.index(last));
        let ends = mark < 0 && mark as usize % UNITS == self.unit(last) % UNITS;
        match self.starts(block.at) {
            Some(number) if block.is_free() => {
                let block = Extent::from(*block);
                let marked = self.mark(block).is_none_or(|(_, own)| own == mark);
                number == self.number(block) && marked
            }
            starts => !block.is_free() && starts.is_none() && !ends,
        }
    }

    fn count(&self) -> Option<usize> {
        (!self.scans).then_some(self.count)
    }
}
