//! Which requests are small, and what slot they get: steps of 16 bytes up to 128, then eight to a doubling, up to 8 KiB.
//!
//! Twice as close as jemalloc's (its manual, "size classes"): rounding takes 4 % of what is in use and not 8 %, for
//! some more spans that are not full. Where few slots make a span, they are as large as so many can be, so that little
//! is left behind the last one: all but powers of two, which align. A slot's number follows from its address by a
//! multiplication, and by the lower half of the same product whether one starts there (Lemire, Kaser, Kurz, "Faster
//! remainder by direct computation", 2019).
//!
//! # Safety
//!
//! A [`Class`] has a number below [`CLASSES`]: it is made from such a number only.
#![allow(unsafe_code)]

use core::alloc::Layout;

use crate::global::span::{ROOM, SPAN};
use crate::words::size::UNIT;

/// Bytes of the largest slot.
pub(super) const LARGEST: usize = 8 << 10;

/// Bytes up to which classes are 16 apart, and how many of those there are.
const NARROW: usize = 128;
const NARROWS: usize = NARROW / UNIT;

/// Classes to a doubling above that.
const STEPS: usize = 8;

/// How many classes there are.
pub(super) const CLASSES: usize = NARROWS + STEPS * (LARGEST / NARROW).ilog2() as usize;

/// A class of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class(u8);

/// What a class's slots are like.
#[derive(Clone, Copy, Debug)]
struct Shape {
    bytes: u32,
    /// 2^32 over the bytes, rounded up.
    reciprocal: u32,
}

/// The shapes of the classes, and of none behind them: a class's number is a place in it without a question.
static SHAPES: [Shape; 1 << u8::BITS] = {
    const NONE: Shape = Shape {
        bytes: u32::MAX,
        reciprocal: 0,
    };
    let mut table = [NONE; 1 << u8::BITS];
    let mut left = table.as_mut_slice();
    let mut number = 0;
    while number < CLASSES
        && let Some((place, further)) = left.split_first_mut()
    {
        let bytes = bytes_of(number) as u32;
        *place = Shape {
            bytes,
            reciprocal: (1_u64 << 32).div_ceil(bytes as u64) as u32,
        };
        number += 1;
        left = further;
    }
    table
};

/// Bytes of the slots of the class of this number.
const fn bytes_of(number: usize) -> usize {
    if number < NARROWS {
        return (number + 1) * UNIT;
    }
    let (doubling, step) = ((number - NARROWS) / STEPS, (number - NARROWS) % STEPS);
    let even = ((STEPS + step + 1) * (NARROW / STEPS)) << doubling;
    if even.is_power_of_two() {
        return even;
    }
    let slots = match even > LARGEST / 2 {
        // Each number that there is, once.
        true => ROOM / LARGEST + STEPS - 1 - step,
        false => ROOM / even,
    };
    ROOM / slots / UNIT * UNIT
}

/// The numbers of the classes for 1 to 16 bytes, 17 to 32, and so on.
static NUMBERS: [Class; LARGEST / UNIT] = {
    let mut table = [Class(0); LARGEST / UNIT];
    let mut left = table.as_mut_slice();
    let (mut bytes, mut number) = (UNIT, 0);
    while let Some((place, further)) = left.split_first_mut() {
        if bytes_of(number as usize) < bytes {
            number += 1;
        }
        *place = Class(number);
        bytes += UNIT;
        left = further;
    }
    table
};

impl Class {
    /// The class of this number, or one that there is.
    pub(super) const fn numbered(number: u8) -> Self {
        Self(if (number as usize) < CLASSES {
            number
        } else {
            0
        })
    }

    /// The class of this number.
    ///
    /// # Safety
    ///
    /// It is a class's [`number`](Class::number).
    #[inline(always)]
    pub(super) const unsafe fn numbered_as_stored(number: u8) -> Self {
        Self(number)
    }

    #[inline(always)]
    pub(super) const fn number(self) -> usize {
        self.0 as usize
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "as many as a number can tell")]
    const fn shape(self) -> Shape {
        SHAPES[self.number()]
    }

    /// Bytes of a slot.
    #[inline(always)]
    pub(super) const fn bytes(self) -> usize {
        self.shape().bytes as usize
    }

    /// A layout that its slots serve: all their bytes.
    #[inline(always)]
    pub(super) const fn layout(self) -> Layout {
        // SAFETY: an alignment of 1, and no more bytes than `LARGEST`.
        unsafe { Layout::from_size_align_unchecked(self.bytes(), 1) }
    }

    /// The number of the slot that starts so far into a span, whether there is such a slot or not.
    #[inline(always)]
    pub(super) fn slot_at(self, offset: usize) -> Option<usize> {
        let reciprocal = self.shape().reciprocal;
        // Exact, as the test below sees.
        let product = offset as u64 * u64::from(reciprocal);
        ((product as u32) < reciprocal).then_some((product >> 32) as usize)
    }

    /// Addresses in a span at which slots of this class could start.
    pub(super) const fn starts(self) -> usize {
        (SPAN - 1) / self.bytes() + 1
    }

    /// What is its own of something that there is for each class.
    #[inline(always)]
    pub(super) fn of<T>(self, each: &[T; CLASSES]) -> &T {
        // SAFETY: see the head of the file.
        unsafe { each.get_unchecked(self.number()) }
    }

    /// As [`of`](Class::of), to be changed.
    pub(super) fn of_mut<T>(self, each: &mut [T; CLASSES]) -> &mut T {
        // SAFETY: see the head of the file.
        unsafe { each.get_unchecked_mut(self.number()) }
    }
}

/// The class that serves a layout; `None` if it gets a block of the heap's own.
///
/// Slots lie at multiples of their size from an address that is a multiple of every alignment here: those whose
/// size is a power of two keep it as their alignment.
#[inline]
pub(super) fn class_of(layout: Layout) -> Option<Class> {
    let mut bytes = layout.size().max(1);
    if layout.align() > UNIT {
        bytes = bytes.max(layout.align()).checked_next_power_of_two()?;
    }
    NUMBERS.get((bytes - 1) / UNIT).copied()
}

/// The class that serves at least one byte aligned to 16 at most, by a load and without a branch that sizes decide;
/// `None` for all others.
#[inline(always)]
pub(super) fn quick(layout: Layout) -> Option<Class> {
    if layout.align() > UNIT {
        return None;
    }
    NUMBERS.get(layout.size().wrapping_sub(1) / UNIT).copied()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    impl Class {
        /// All of them, the smallest first.
        pub(in crate::global) fn all() -> impl Iterator<Item = Self> {
            (0..CLASSES as u8).map(Self)
        }
    }

    #[test]
    fn classes_are_as_far_apart_as_they_should_be() {
        let sizes: std::vec::Vec<_> = Class::all().map(Class::bytes).collect();
        assert_eq!((sizes.len(), sizes.last()), (CLASSES, Some(&LARGEST)));
        for pair in sizes.windows(2).filter(|pair| pair[1] <= 1024) {
            let doubling = 1 << pair[0].ilog2();
            assert_eq!(pair[1], pair[0] + (doubling / STEPS).max(UNIT));
        }
        // An eighth of a slot at most, but for the smallest.
        assert!(sizes.is_sorted_by(|one, next| one < next));
        assert!(
            sizes
                .windows(2)
                .all(|pair| pair[1] <= 128 || (pair[1] - pair[0]) * 8 <= pair[1])
        );
    }

    #[test]
    fn little_is_left_behind_the_last_slot_of_a_span() {
        let sizes: std::vec::Vec<_> = Class::all().map(Class::bytes).collect();
        for bytes in sizes.iter().filter(|bytes| !bytes.is_power_of_two()) {
            assert!(ROOM / (bytes + UNIT) < ROOM / bytes, "{bytes}");
        }
        for power in UNIT.ilog2()..=LARGEST.ilog2() {
            assert!(sizes.contains(&(1 << power)));
        }
        // With what rounding takes: bytes of the row for each that was asked for.
        for doubling in (8..13).map(|power| 1_usize << power) {
            let requests = doubling + 1..=2 * doubling;
            let taken = requests.map(|size| {
                let class = class_of(Layout::from_size_align(size, 1).unwrap()).unwrap();
                SPAN as f64 / (ROOM / class.bytes()) as f64 / size as f64
            });
            let mean = taken.sum::<f64>() / doubling as f64;
            assert!(mean < 1.06, "{doubling}: {mean}");
        }
    }

    #[test]
    fn a_slot_holds_and_aligns_what_its_class_serves() {
        let below = |class: Class| match class.number() {
            0 => 0,
            number => bytes_of(number - 1),
        };
        for align in (0..=13).map(|power| 1 << power) {
            for size in 0..=LARGEST {
                let layout = Layout::from_size_align(size, align).unwrap();
                let class = class_of(layout).unwrap();
                assert!(class.bytes() >= size && class.number() < CLASSES);
                assert!(class.bytes().is_multiple_of(align), "{layout:?}");
                if align <= UNIT {
                    assert!(size <= class.bytes() && size.max(1) > below(class));
                    assert_eq!(quick(layout), (size > 0).then_some(class));
                } else {
                    assert_eq!(quick(layout), None);
                }
            }
        }
        let large = Layout::from_size_align(LARGEST + 1, 1).unwrap();
        assert_eq!((class_of(large), quick(large)), (None, None));
        let strict = Layout::from_size_align(1, 2 * LARGEST).unwrap();
        assert_eq!(class_of(strict), None);
    }

    #[test]
    fn a_product_tells_the_number_and_whether_one_starts_there() {
        for class in Class::all() {
            for offset in 0..SPAN {
                let starts = offset.is_multiple_of(class.bytes());
                let number = starts.then_some(offset / class.bytes());
                assert_eq!(class.slot_at(offset), number, "{class:?} {offset}");
                assert!(number.is_none_or(|number| number < class.starts()));
            }
        }
    }
}
