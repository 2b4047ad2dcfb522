//! Distance of equal slots, what the first of them is aligned to, and which slot starts at an offset, without a
//! division.
//!
//! A multiple of an odd number is divided by it by one multiplication with its inverse modulo 2^64, and what
//! is no multiple becomes larger than any quotient (Granlund and Montgomery, "Division by Invariant Integers
//! using Multiplication", PLDI 1994, section 9); a power of two in the divisor is rotated out behind that.

use core::alloc::Layout;

use crate::words::size::LINE;

/// What the first of equal slots is aligned to, given how one lies, padded: so that each lies in as few lines as can
/// be. A slot of a line's length that lies in two costs two misses.
pub(crate) const fn in_lines(slot: Layout) -> usize {
    // The lowest bit: the largest power of two in it.
    let natural = slot.size() & slot.size().wrapping_neg();
    let lines = if natural < LINE { natural } else { LINE };
    if lines > slot.align() {
        lines
    } else {
        slot.align()
    }
}

/// As [`in_lines`] for one chunk of so many slots, unless they are so few that it is not worth the bytes.
pub(crate) const fn in_lines_if_many(slot: Layout, slots: usize) -> usize {
    if slots.saturating_mul(slot.size()) < MANY {
        slot.align()
    } else {
        in_lines(slot)
    }
}

/// Bytes of slots that make up for those that are skipped in front of them.
const MANY: usize = 4096;

/// Bytes from one slot to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stride {
    bytes: usize,
    /// Inverse of the odd part of `bytes`, modulo 2^64.
    inverse: usize,
    /// The power of two in `bytes`.
    twos: u32,
}

impl Stride {
    /// A stride of so many bytes, at least 1.
    pub(crate) const fn new(bytes: usize) -> Self {
        let bytes = if bytes == 0 { 1 } else { bytes };
        let twos = bytes.trailing_zeros();
        let odd = bytes >> twos;
        // Newton's iteration: right in 3 bits to begin with, in twice as many after each step.
        let mut inverse = odd;
        let mut right = 3;
        while right < usize::BITS {
            inverse = inverse.wrapping_mul(2_usize.wrapping_sub(odd.wrapping_mul(inverse)));
            right *= 2;
        }
        Self {
            bytes,
            inverse,
            twos,
        }
    }

    #[inline]
    pub(crate) const fn bytes(self) -> usize {
        self.bytes
    }

    /// The number of the slot that starts at an offset; a number that no slot can have where none starts:
    /// so large that all the slots below it would have more than 2^64 bytes.
    #[inline]
    pub(crate) const fn index(self, offset: usize) -> usize {
        offset.wrapping_mul(self.inverse).rotate_right(self.twos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_lie_in_as_few_lines_as_can_be() {
        let layout = |size, align| Layout::from_size_align(size, align);
        for size in 1..=1024_usize {
            for align in (0..8).map(|power| 1 << power) {
                let Ok(slot) = layout(size.next_multiple_of(align), align) else {
                    unreachable!("small enough");
                };
                let start = in_lines(slot);
                assert!(start.is_multiple_of(align) && start <= align.max(LINE));
                let crosses = |at: usize| at / LINE != (at + slot.size() - 1) / LINE;
                let divides = LINE.is_multiple_of(slot.size());
                let crossed = (0..200).any(|number| crosses(start + number * slot.size()));
                assert!(!(divides && crossed), "{slot:?} at {start}");
                let few = (MANY - 1) / slot.size();
                assert_eq!(in_lines_if_many(slot, few), align);
                let many = MANY.div_ceil(slot.size());
                assert_eq!(in_lines_if_many(slot, many), start);
            }
        }
    }

    #[test]
    fn an_index_is_a_quotient_or_larger_than_all() {
        let sizes = (1..=300).chain([4096, 4097, 65_535, 1 << 20, (1 << 20) + 48, 1 << 40]);
        for bytes in sizes {
            let stride = Stride::new(bytes);
            let most = usize::MAX / bytes;
            let ends = (0..600).map(usize::wrapping_neg);
            for offset in (0..3 * bytes.min(2000)).chain(ends) {
                match offset % bytes {
                    0 => assert_eq!(stride.index(offset), offset / bytes, "{offset} by {bytes}"),
                    _ => assert!(stride.index(offset) > most, "{offset} by {bytes}"),
                }
            }
        }
    }
}
