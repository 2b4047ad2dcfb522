//! How equal slots lie in chunks.
//!
//! A chunk starts with its note, a seal, and two words for every group of 64 slots: the first words of all, then
//! the second ones. The slots follow. Where there are several chunks, each starts at a multiple of a power of two as large as itself together with its
//! block's header, so that the chunk of a slot is found by cutting the slot's address off.

use core::alloc::Layout;

use crate::pools::chunk::NOTE;
use crate::pools::stride::{self, Stride};
use crate::words::error::Shortage;
use crate::words::size::{HEADER, UNIT, align_up};

/// The shape of all chunks of a set of slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) stride: Stride,
    /// What slots are aligned to.
    pub(crate) align: usize,
    /// Slots that a chunk has.
    pub(crate) each: usize,
    /// Bytes from a chunk's start to its first slot.
    pub(crate) first: usize,
    /// Cuts a distance from a chunk off to that of a chunk; 0 if there is only one.
    pub(crate) mask: usize,
    /// How a chunk lies in memory.
    pub(crate) chunk: Layout,
}

/// Slots of a group.
pub(crate) const GROUP: usize = u64::BITS as usize;

/// Bytes of a word of a group's.
const WORD: usize = size_of::<u64>();

/// Bytes from a chunk's start to its first group: note, seal, and a spare word.
const GROUPS: usize = NOTE + UNIT;

/// Where the slots of a chunk with so many of them start, and how many bytes it has.
fn extent(slot: Layout, align: usize, count: usize) -> Option<(usize, usize)> {
    let first = align_up(GROUPS + 2 * WORD * count.div_ceil(GROUP), align)?;
    let bytes = first.checked_add(slot.size().checked_mul(count)?)?;
    Some((first, align_up(bytes, UNIT)?))
}

/// As many slots as fit in a chunk of so many bytes.
fn most(slot: Layout, align: usize, bytes: usize) -> usize {
    let fits = |count| extent(slot, align, count).is_some_and(|(_, needed)| needed <= bytes);
    let (mut low, mut high) = (0, bytes / slot.size() + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The bit of a slot in its group.
#[inline]
pub(crate) const fn bit(slot: usize) -> u64 {
    1 << (slot % GROUP)
}

impl Shape {
    /// Chunks without slots.
    pub(crate) const NONE: Self = Self {
        stride: Stride::new(1),
        align: 1,
        each: 0,
        first: GROUPS,
        mask: 0,
        chunk: Layout::new::<u8>(),
    };

    /// One chunk of so many slots. `None` where no address space holds them.
    pub(crate) fn single(slot: Layout, count: usize) -> Option<Self> {
        let slot = slot.pad_to_align();
        let align = stride::in_lines_if_many(slot, count);
        let (_, bytes) = extent(slot, align, count)?;
        let chunk = Layout::from_size_align(bytes, align.max(UNIT)).ok()?;
        Self::of(slot, align, count, 0, chunk)
    }

    /// Chunks of so many slots or more, that together with their blocks' headers have a power of two of bytes.
    /// `None` where no address space holds one.
    pub(crate) fn growing(slot: Layout, count: usize) -> Option<Self> {
        let slot = slot.pad_to_align();
        let align = stride::in_lines(slot);
        let (_, bytes) = extent(slot, align, count.max(1))?;
        let power = bytes.checked_add(HEADER)?.checked_next_power_of_two()?;
        let chunk = Layout::from_size_align(power - HEADER, power).ok()?;
        let each = most(slot, align, chunk.size());
        Self::of(slot, align, each, !(power - 1), chunk)
    }

    fn of(slot: Layout, align: usize, each: usize, mask: usize, chunk: Layout) -> Option<Self> {
        let (first, _) = extent(slot, align, each)?;
        Some(Self {
            stride: Stride::new(slot.size()),
            align: slot.align(),
            each,
            first,
            mask,
            chunk,
        })
    }

    /// Bytes of a slot.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.stride.bytes()
    }

    /// How many slots chunks of so many bytes together have.
    pub(crate) fn count_in(&self, bytes: usize) -> usize {
        (bytes / self.chunk.size()).saturating_mul(self.each)
    }

    /// Whether a slot is large enough and aligned for a layout.
    #[inline]
    pub(crate) fn fits(&self, layout: Layout) -> bool {
        layout.size() <= self.size() && layout.align() <= self.align
    }

    /// What a slot lacks for a layout that does not fit.
    pub(crate) fn lack(&self, layout: Layout) -> Shortage {
        if layout.size() > self.size() {
            return Shortage::Oversized { most: self.size() };
        }
        Shortage::Overaligned { most: self.align }
    }

    /// Groups in a chunk.
    pub(crate) fn groups(&self) -> usize {
        self.each.div_ceil(GROUP)
    }

    /// Where the first words of a chunk's groups are, in order.
    pub(crate) fn groups_of(&self, base: usize) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.groups()).map(move |number| base + GROUPS + WORD * number)
    }

    /// Where the first word of the group of a slot is.
    #[inline]
    pub(crate) fn group_of(&self, base: usize, slot: usize) -> usize {
        base + GROUPS + WORD * (slot / GROUP)
    }

    /// Where the second word of the group is whose first one is at an address.
    pub(crate) fn second(&self, at: usize) -> usize {
        at + WORD * self.groups()
    }

    /// The first slot of the group whose first word is at an address. `None` if none's are.
    pub(crate) fn slot_of(&self, base: usize, at: usize) -> Option<usize> {
        let offset = at.wrapping_sub(base + GROUPS);
        let number = offset / WORD;
        (offset.is_multiple_of(WORD) && number < self.groups()).then(|| number * GROUP)
    }

    /// The bits of the slots in the group of a slot.
    pub(crate) fn bits_of(&self, slot: usize) -> u64 {
        match self.each.saturating_sub(slot - slot % GROUP) {
            0 => 0,
            count => u64::MAX >> GROUP.saturating_sub(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_their_slots_and_are_as_small_as_can_be() {
        for (size, align) in [(1, 1), (3, 1), (8, 8), (64, 16), (100, 4), (4096, 4096)] {
            let slot = Layout::from_size_align(size, align).unwrap_or(Layout::new::<u8>());
            for count in (0..300).chain([4095, 4096, 4097, 100_000]) {
                for shape in [Shape::single(slot, count), Shape::growing(slot, count)] {
                    let Some(shape) = shape else {
                        unreachable!("small enough");
                    };
                    let chunk = shape.chunk;
                    assert!(shape.first.is_multiple_of(align) && shape.each >= count);
                    assert!(shape.first >= GROUPS + 2 * WORD * shape.groups());
                    let end = shape.first + shape.each * shape.size();
                    assert!(end <= chunk.size() && chunk.size().is_multiple_of(UNIT));
                    if shape.mask == 0 {
                        assert!(shape.each == count && chunk.size() < end + UNIT);
                        continue;
                    }
                    assert_eq!(chunk.size() + HEADER, chunk.align());
                    assert_eq!(shape.mask, chunk.align().wrapping_neg());
                    let slot = slot.pad_to_align();
                    let lines = stride::in_lines(slot);
                    let needed = |count| extent(slot, lines, count).map_or(0, |(_, bytes)| bytes);
                    assert!(
                        needed(shape.each + 1) > chunk.size(),
                        "one more does not fit"
                    );
                    assert!(
                        2 * (needed(count.max(1)) + HEADER) > chunk.align(),
                        "nor in half"
                    );
                }
            }
        }
        assert!(Shape::single(Layout::new::<u64>(), usize::MAX / 8).is_none());
        assert!(Shape::growing(Layout::new::<u64>(), usize::MAX / 16).is_none());
        // Of this alignment there is no layout of a byte.
        let Ok(nothing) = Layout::from_size_align(0, 1 << 63) else {
            unreachable!("no bytes, however aligned");
        };
        for count in [0, 1, 100] {
            assert!(Shape::single(nothing, count).is_none());
            assert!(Shape::growing(nothing, count).is_none());
        }
    }

    #[test]
    fn groups_have_their_slots() {
        for count in [0, 1, 63, 64, 65, 128, 200] {
            let Some(shape) = Shape::single(Layout::new::<u64>(), count) else {
                unreachable!("small enough");
            };
            let mut slots = 0;
            for at in shape.groups_of(1 << 20) {
                assert_eq!(shape.slot_of(1 << 20, at), Some(slots));
                assert_eq!(shape.slot_of(1 << 20, at + 4), None);
                let bits = shape.bits_of(slots);
                for slot in slots..slots + GROUP {
                    assert_eq!(shape.group_of(1 << 20, slot), at);
                    assert_eq!(bits & bit(slot) != 0, slot < count, "{slot} of {count}");
                }
                slots += GROUP;
            }
            assert_eq!(shape.slot_of(1 << 20, shape.group_of(1 << 20, slots)), None);
            assert_eq!(slots, count.next_multiple_of(GROUP));
        }
    }
}
