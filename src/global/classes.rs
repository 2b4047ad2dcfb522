//! Which requests are small, and what slot they get: the classes of [`SizeClasses`](crate::SizeClasses), up to
//! 8 KiB.

use core::alloc::Layout;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::pools::size_classes::class::Class;
use crate::words::size::UNIT;

/// Bytes of the largest slot.
pub(super) const LARGEST: usize = 8 << 10;

/// How many classes there are.
pub(super) const CLASSES: usize = match Class::of(PLAIN_LARGEST) {
    Some(class) => class.number() + 1,
    None => 0,
};

const PLAIN_LARGEST: Layout = match Layout::from_size_align(LARGEST, 1) {
    Ok(layout) => layout,
    Err(_) => Layout::new::<()>(),
};

const _: () = assert!(CLASSES == 32);

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
    if bytes > LARGEST {
        return None;
    }
    Class::of(Layout::from_size_align(bytes, 1).ok()?)
}

/// The numbers of the classes for 1 to 16 bytes, 17 to 32, and so on.
static NUMBERS: [u8; LARGEST / UNIT] = {
    let mut table = [0; LARGEST / UNIT];
    let mut left = table.as_mut_slice();
    let mut bytes = UNIT;
    while let Some((place, further)) = left.split_first_mut() {
        if let Ok(layout) = Layout::from_size_align(bytes, 1)
            && let Some(class) = Class::of(layout)
        {
            *place = class.number() as u8;
        }
        bytes += UNIT;
        left = further;
    }
    table
};

/// The number of the class that serves at least one byte aligned to 16 at most, by a load and without a branch
/// that sizes decide; `None` for all others.
#[inline(always)]
pub(super) fn quick(layout: Layout) -> Option<usize> {
    if layout.align() > UNIT {
        return None;
    }
    let units = layout.size().wrapping_sub(1) / UNIT;
    Some((*NUMBERS.get(units)?).into())
}

/// The most bytes that the class before this one serves.
fn below(class: Class) -> usize {
    match class.number() {
        0 => 0,
        number => Class::numbered(number - 1).bytes(),
    }
}

/// The numbers of a class that giving a slot back takes.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Bytes of a slot.
    pub(super) size: AtomicUsize,
    /// The most bytes for which a smaller slot would do, and how many more a slot has.
    below: AtomicU32,
    more: AtomicU32,
    reciprocal: AtomicU32,
}

impl Numbers {
    pub(super) fn set(&self, class: Class) {
        let reciprocal = (1_u64 << 32) / class.bytes() as u64 + 1;
        let (bytes, below) = (class.bytes(), below(class));
        self.size.store(bytes, Ordering::Relaxed);
        self.below.store(below as u32, Ordering::Relaxed);
        self.more.store((bytes - below) as u32, Ordering::Relaxed);
        self.reciprocal.store(reciprocal as u32, Ordering::Relaxed);
    }

    /// Whether a slot is what so many bytes, aligned to 16 at most, get.
    #[inline(always)]
    pub(super) fn serve(&self, size: usize) -> bool {
        let below = self.below.load(Ordering::Relaxed) as usize;
        let more = self.more.load(Ordering::Relaxed) as usize;
        size.wrapping_sub(1).wrapping_sub(below) < more
    }

    /// The number of the slot that starts so far into a span; or of one just behind the last, which is free.
    #[inline(always)]
    pub(super) fn slot_at(&self, offset: usize) -> Option<usize> {
        let reciprocal = self.reciprocal.load(Ordering::Relaxed) as usize;
        // Exact: an offset is below 2^16, a size at most 2^13, and the reciprocal is too large by at most one.
        let number = (offset * reciprocal) >> 32;
        (number * self.size.load(Ordering::Relaxed) == offset).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_and_aligns_what_its_class_serves() {
        for align in (0..=13).map(|power| 1 << power) {
            for size in 0..=LARGEST {
                let layout = Layout::from_size_align(size, align).unwrap();
                let class = class_of(layout).unwrap();
                assert!(class.bytes() >= size && class.number() < CLASSES);
                assert!(class.bytes().is_multiple_of(align), "{layout:?}");
                if align <= UNIT {
                    assert!(size <= class.bytes() && size.max(1) > below(class));
                    assert_eq!(quick(layout), (size > 0).then_some(class.number()));
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
}
