//! A leaf's number: the size of a block in units, and the place of a unit in its segment.
//!
//! It has 15 bits. A block too large for it has the largest size, and says the rest elsewhere.

use crate::words::size::UNIT;

/// Units that a number tells apart.
pub(super) const UNITS: usize = 4;

/// The largest size in units that a number can tell, and one.
const MOST_UNITS: usize = i16::MAX as usize / UNITS;

/// What a number says of blocks of so many bytes and more.
pub(super) const LARGE: usize = MOST_UNITS * UNIT;

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

/// The bytes of the block; [`LARGE`] stands for itself and more.
#[inline]
pub(super) const fn size(number: i16) -> usize {
    (number & !MARK) as usize / UNITS * UNIT
}

/// Whether a number is for the unit at an address, of those in its segment.
#[inline]
pub(super) const fn is_at(number: i16, at: usize) -> bool {
    number as usize % UNITS == at / UNIT % UNITS
}

/// The size of the block that ends with the unit at `last`, by the number in its segment's leaf; 0 without one.
#[inline]
pub(super) const fn before(number: i16, last: usize) -> usize {
    if number > 0 && is_at(number, last) {
        size(number)
    } else {
        0
    }
}

/// The size of the block that starts with the unit at `at`, by the number or mark in its segment's leaf; 0 without one.
#[inline]
pub(super) const fn behind(number: i16, at: usize) -> usize {
    if number == 0 {
        return 0;
    }
    let size = size(number);
    // A mark is for the unit with which the block starts, a number for that with which it ends.
    let is_number = !(number as isize >> 15) as usize;
    let starts = (number as usize % UNITS).wrapping_sub((size / UNIT).wrapping_sub(1) & is_number);
    if starts == at / UNIT % UNITS { size } else { 0 }
}
