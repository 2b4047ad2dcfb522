//! The bytes of an input, as the numbers that a program is made of.

use std::alloc::Layout;

use arbitrary::Unstructured;

/// What is left of an input. Behind its end there are zeros without end.
#[derive(Debug)]
pub(crate) struct Input<'a>(Unstructured<'a>);

/// A layout's size that no address space has room for, but for so many bytes less.
const BEYOND: usize = isize::MAX as usize;

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0.peek_bytes(self.0.len()).unwrap_or_default()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    /// Two bytes.
    pub(crate) fn word(&mut self) -> usize {
        usize::from(self.0.arbitrary::<u16>().unwrap_or_default())
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below another, which is at least 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.int_in_range(0..=bound.max(1) - 1).unwrap_or(0)
    }

    /// One of a list that has some.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// A size up to 2^(`power` + 1): each power of two as often, and often at its edge.
    pub(crate) fn size(&mut self, power: u32) -> usize {
        let byte = self.byte();
        let exponent = u32::from(byte >> 3) % (power + 1);
        let low = usize::from(byte & 7);
        let base = 1 << exponent;
        match (exponent, low) {
            (0, _) => low,
            (1..=3, _) => (low << exponent) + usize::from(self.byte()) % 16,
            (_, 0) => base,
            (_, 1) => base - 1,
            (_, 2) => base + 1,
            (_, 3) => base.saturating_sub(32),
            (_, 4) => base.saturating_sub(48),
            _ => base / 2 + self.word() % base,
        }
    }

    /// An alignment up to 2^16, mostly below 32.
    pub(crate) fn align(&mut self) -> usize {
        let byte = self.byte();
        1 << if byte < 160 { byte % 5 } else { byte % 17 }
    }

    /// A layout of such a size and alignment.
    pub(crate) fn layout(&mut self, power: u32) -> Layout {
        let size = self.size(power);
        layout(size, self.align())
    }

    /// As [`layout`](Input::layout), now and then larger than any memory; `None` where it is too large for a layout.
    pub(crate) fn request(&mut self, power: u32) -> Option<Layout> {
        let size = if self.byte() < 3 {
            BEYOND - self.word() * 16
        } else {
            self.size(power)
        };
        Layout::from_size_align(size, self.align()).ok()
    }

    /// What a piece of a size shall be resized to: often a little more or less, now and then beyond any memory; `None`
    /// as for [`request`](Input::request).
    pub(crate) fn new_layout(&mut self, old: usize, power: u32) -> Option<Layout> {
        let size = match self.byte() {
            near @ 0..90 => old.saturating_sub(usize::from(near)),
            near @ 90..180 => old + usize::from(near - 90),
            180 => BEYOND - (1 << 17),
            _ => self.size(power),
        };
        Layout::from_size_align(size, self.align()).ok()
    }

    /// What a number has that is mostly small, and now and then of any length.
    pub(crate) fn number(&mut self) -> u64 {
        let byte = self.byte();
        match byte {
            0xc0.. => u64::MAX >> (byte & 31),
            _ => u64::from(byte & 3),
        }
    }
}

/// A layout that there is.
pub(crate) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// So many bytes, of which nothing else is asked.
pub(crate) fn bytes(size: usize) -> Layout {
    layout(size, 1)
}
