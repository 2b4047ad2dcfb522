//! A leaf's number: the size of a block in units, and the place of a unit in its segment.
//!
//! It has 15 bits. A block too large for it has the largest size, and its header tells the rest.

use crate::words::size::UNIT;

/// Units that a number tells apart.
pub(super) const UNITS: usize = 4;

/// The largest size in units that a number can tell, and one.
const MOST_UNITS: usize = i16::MAX as usize / UNITS;

/// Set in a mark.
pub(super) const MARK: i16 = i16::MIN;

/// The number of a block of so many bytes, for the unit at an address.
#[inline]
pub(super) const fn number(size: usize, at: usize) -> i16 {
    let units = size / UNIT;
    let units = if units < MOST_UNITS {
        units
    } else {
        MOST_UNITS
    };
    (units * UNITS + at / UNIT % UNITS) as i16
}

/// The bytes of the block, unless only its header knows them.
#[inline]
pub(super) const fn size(number: i16) -> Option<usize> {
    let units = (number & !MARK) as usize / UNITS;
    if units < MOST_UNITS {
        Some(units * UNIT)
    } else {
        None
    }
}

/// Whether a number is for the unit at an address, of those in its segment.
#[inline]
pub(super) const fn is_at(number: i16, at: usize) -> bool {
    number as usize % UNITS == at / UNIT % UNITS
}
