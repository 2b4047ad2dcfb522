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
    /// All bits where marks say where free blocks end, none where there are no marks.
    marks: usize,
    maxima: Maxima,
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
            marks: 0,
            maxima: Maxima::empty(),
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
        let number = self.maxima.get(index);
        let at = self.address(index, number);
        match size(number) {
            Some(size) => Ok(Extent { at, size }),
            None => large(row, at),
        }
    }

    /// The free block that starts at an address, as far as its leaf tells.
    #[inline]
    fn starts(&self, at: usize) -> Option<i16> {
        let number = self.maxima.get(self.index(at));
        let is_it = number > 0 && number as usize % UNITS == self.unit(at) % UNITS;
        is_it.then_some(number)
    }

    /// Whether a mark says that a free block ends at an address.
    #[inline]
    fn ends(&self, end: usize) -> bool {
        let last = end - UNIT;
        let mark = self.maxima.get(self.index(last));
        mark < 0 && mark as usize % UNITS == self.unit(last) % UNITS
    }

    /// The leaf of a block, and its number there.
    #[inline]
    fn start(&self, block: Extent) -> (usize, i16) {
        let number = number(block.size, self.unit(block.at));
        (self.index(block.at), number)
    }

    /// The leaf where a block ends, and its mark there. It is the block's own leaf, and its number has
    /// precedence, if the block ends in it or there are no marks.
    #[inline]
    fn end(&self, block: Extent) -> (usize, i16) {
        let last = block.at + ((block.size - UNIT) & self.marks);
        (self.index(last), number(block.size, self.unit(last)) | MARK)
    }
}

/// Puts a number or a mark into a leaf; what was there.
#[inline]
fn put(leaves: &mut [i16], (index, number): (usize, i16)) -> i16 {
    let leaf = leaves.get_mut(index);
    leaf.map_or(0, |leaf| core::mem::replace(leaf, number))
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
        self.marks = if splits { usize::MAX } else { 0 };
    }

    #[inline]
    fn reserve(&mut self, end: usize, memory: &mut IndexMemory) -> Result<(), Shortage> {
        if end < self.reach {
            return Ok(());
        }
        let segments = ((end - self.base) >> self.shift) + 1;
        match self.maxima.grow(segments.max(FIRST_LEAVES), memory) {
            Ok(()) => {
                self.reach = self.base + (self.maxima.length() << self.shift);
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
        let mut found = match self.count {
            0 => None,
            _ => self.maxima.first(bound),
        };
        while let Some(index) = found {
            let block = self.extent(row, index)?;
            if takes(block, fit, splits) {
                return Ok(Some(block));
            }
            found = self.maxima.next(index, bound);
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
        let number = self.maxima.get(index);
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
                let index = self.maxima.last(index).ok_or(Corruption::Index { at })?;
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
        self.maxima.expect(at.wrapping_sub(self.base) >> self.shift);
    }

    #[inline(always)]
    fn insert(&mut self, block: Extent) {
        let (start, end) = (self.start(block), self.end(block));
        let leaves = self.maxima.leaves();
        put(leaves, end);
        put(leaves, start);
        self.maxima.moved(start.0, 0, start.0, start.1);
        self.count += 1;
    }

    #[inline(always)]
    fn remove(&mut self, block: Extent) {
        let (start, end) = (self.index(block.at), self.end(block).0);
        let leaves = self.maxima.leaves();
        let number = put(leaves, (start, 0));
        put(leaves, (end, 0));
        self.maxima.moved(start, number, start, 0);
        self.count -= 1;
    }

    #[inline(always)]
    fn replace(&mut self, old: Extent, new: Extent) {
        let from = self.index(old.at);
        let (start, end) = (self.start(new), self.end(new));
        let old_end = if old.end() == new.end() {
            end.0
        } else {
            self.end(old).0
        };
        let leaves = self.maxima.leaves();
        let number = put(leaves, (from, 0));
        put(leaves, (old_end, 0));
        put(leaves, end);
        put(leaves, start);
        self.maxima.moved(from, number, start.0, start.1);
    }

    fn agrees(&self, block: &Block) -> bool {
        if self.scans {
            return true;
        }
        let extent = Extent::from(*block);
        let (start, end) = (self.start(extent), self.end(extent));
        let is = |(index, number)| self.maxima.get(index) == number;
        if block.is_free() {
            is(start) && (start.0 == end.0 || is(end))
        } else {
            self.starts(block.at).is_none() && !self.ends(block.end())
        }
    }

    fn count(&self) -> Option<usize> {
        (!self.scans).then_some(self.count)
    }
}
