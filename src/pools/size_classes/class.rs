//! Size classes: how large a piece a request gets, and on which list the piece waits when it is free.
//!
//! Steps of 16 bytes up to 128, then four to a doubling, up to 32 KiB: the spacing of jemalloc (its manual,
//! "size classes") and of mimalloc (Leijen, Zorn, de Moura 2019). Rounding takes less than a fifth of a piece.
//!
//! Every class of these is a multiple of 16, and so is every piece's address: that is the alignment they keep.
//! A request for a stricter alignment gets a class of its own sort: a power of two, at least the size and the
//! alignment, whose pieces lie at multiples of their own size. A power of two divides every larger one, so the
//! alignment is kept whichever request of that class a piece serves next.

use core::alloc::Layout;

use crate::words::size::UNIT;

/// Bytes of the largest piece.
pub(super) const LARGEST: usize = 32 << 10;

/// How many classes have an alignment of 16.
const PLAIN: usize = 40;

/// How many classes there are.
pub(super) const COUNT: usize = PLAIN + (LARGEST / UNIT).ilog2() as usize;

/// The numbers of the classes for 1 to 16 bytes, 17 to 32, and so on.
#[expect(
    clippy::indexing_slicing,
    reason = "in a constant, whose length is at hand"
)]
const NUMBERS: [u8; 64] = {
    let mut table = [0; 64];
    let mut units = 0;
    while units < table.len() {
        table[units] = Class::plain((units + 1) * UNIT).number as u8;
        units += 1;
    }
    table
};

/// How many bytes they have.
#[expect(
    clippy::indexing_slicing,
    reason = "in a constant, whose length is at hand"
)]
const BYTES: [u16; 64] = {
    let mut table = [0; 64];
    let mut units = 0;
    while units < table.len() {
        table[units] = Class::plain((units + 1) * UNIT).bytes as u16;
        units += 1;
    }
    table
};

/// How many units a small request may have.
pub(super) const SMALL: usize = BYTES.len();

/// A class of pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    number: usize,
    bytes: usize,
}

impl Class {
    /// The class that serves a layout of at least one byte; `None` if that is more than any class has.
    #[inline]
    pub(crate) const fn of(layout: Layout) -> Option<Self> {
        let size = layout.size();
        if layout.align() > UNIT {
            return Self::strict(layout);
        }
        if size > LARGEST {
            return None;
        }
        Some(Self::plain(size))
    }

    /// The class for so many units, and one more.
    #[inline]
    pub(super) fn small(units: usize) -> Option<Self> {
        let (number, bytes) = (NUMBERS.get(units)?, BYTES.get(units)?);
        Some(Self {
            number: usize::from(*number),
            bytes: usize::from(*bytes),
        })
    }

    /// The class for so many bytes, from 1 to [`LARGEST`], aligned to 16.
    #[inline]
    const fn plain(size: usize) -> Self {
        let last = size - 1;
        let shift = (last | 64).ilog2() - 2;
        let step = last >> shift;
        Self {
            number: 4 * (shift as usize - 4) + step,
            bytes: (step + 1) << shift,
        }
    }

    const fn strict(layout: Layout) -> Option<Self> {
        let (size, align) = (layout.size(), layout.align());
        let most = if size > align { size } else { align };
        if most > LARGEST {
            return None;
        }
        let bytes = most.next_power_of_two();
        let number = PLAIN + (bytes / UNIT).ilog2() as usize - 1;
        Some(Self { number, bytes })
    }

    /// The largest class aligned to 16 that goes into so many bytes, a positive multiple of 16.
    pub(super) const fn within(bytes: usize) -> Self {
        let most = if bytes > LARGEST { LARGEST } else { bytes };
        let class = Self::plain(most);
        if class.bytes <= bytes {
            return class;
        }
        Self::numbered(class.number - 1)
    }

    /// The class of this number, below [`COUNT`].
    pub(crate) const fn numbered(number: usize) -> Self {
        let bytes = match number {
            0..8 => (number + 1) * UNIT,
            8..PLAIN => (number % 4 + 5) << (number / 4 + 3),
            _ => (2 * UNIT) << (number - PLAIN),
        };
        Self { number, bytes }
    }

    /// Its place among the classes.
    #[inline]
    pub(crate) const fn number(self) -> usize {
        self.number
    }

    /// Bytes of each of its pieces.
    #[inline]
    pub(crate) const fn bytes(self) -> usize {
        self.bytes
    }

    /// What divides the address of each of its pieces.
    #[inline]
    pub(super) const fn align(self) -> usize {
        if self.number < PLAIN {
            UNIT
        } else {
            self.bytes
        }
    }
}

/// A request of at most 1024 bytes, with what its piece has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Small {
    /// Units of 16 bytes asked for, less one: what its class follows from.
    pub(super) units: usize,
    pub(super) bytes: usize,
}

impl Small {
    /// By one load; `None` for more bytes, for none, and for a strict alignment.
    #[inline(always)]
    pub(super) fn of(layout: Layout) -> Option<Self> {
        let units = layout.size().wrapping_sub(1) / UNIT;
        let bytes = usize::from(*BYTES.get(units)?);
        (layout.align() <= UNIT).then_some(Self { units, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: usize, align: usize) -> Option<Class> {
        Class::of(Layout::from_size_align(size, align).ok()?)
    }

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        let mut last = None;
        for size in 1..=LARGEST {
            let class = of(size, 1).unwrap();
            let small = Small::of(Layout::from_size_align(size, 16).unwrap());
            assert_eq!(small.is_some(), size <= 1024);
            if let Some(small) = small {
                assert_eq!(Class::small(small.units), Some(class));
                assert_eq!(small.bytes, class.bytes());
            }
            assert!(class.bytes() >= size && class.bytes().is_multiple_of(UNIT));
            assert!(
                class.bytes() < size + 16 || class.bytes() * 4 < size * 5,
                "{size}"
            );
            assert_eq!(Class::numbered(class.number()), class);
            if last != Some(class) {
                assert_eq!(class.number(), last.map_or(0, |last| last.number() + 1));
                assert_eq!(last.map_or(0, Class::bytes), size - 1);
            }
            last = Some(class);
        }
        assert_eq!(last.unwrap().number() + 1, PLAIN);
        assert_eq!(of(LARGEST + 1, 1), None);
        assert_eq!(Class::small(SMALL), None);
        assert_eq!(Small::of(Layout::new::<()>()), None);
    }

    #[test]
    fn a_strict_alignment_divides_the_class() {
        for align in (5..=15).map(|power| 1 << power) {
            for size in 1..=LARGEST {
                let class = of(size, align).unwrap();
                assert!(class.bytes() >= size && class.align().is_multiple_of(align));
                assert!(class.bytes() < 2 * size.max(align));
                assert!((PLAIN..COUNT).contains(&class.number()));
                assert_eq!(Class::numbered(class.number()), class);
            }
            assert_eq!(of(LARGEST + 1, align), None);
            let one = Layout::from_size_align(1, align).unwrap();
            assert_eq!(Small::of(one), None);
        }
        assert_eq!(of(1, 2 * LARGEST), None);
    }

    #[test]
    fn the_largest_class_within_is_the_last_that_fits() {
        for bytes in (16..=LARGEST + 64).step_by(16) {
            let class = Class::within(bytes);
            assert!(class.bytes() <= bytes);
            let next = Class::numbered(class.number() + 1);
            assert!(next.number() == PLAIN || next.bytes() > bytes);
        }
    }
}
