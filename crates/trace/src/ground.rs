//! Memory for subjects: aligned, granted exactly as asked for, or refused.
//!
//! # Safety
//!
//! A ground owns zeroed memory for as long as it lives, reached through raw pointers only; who gets its
//! address keeps the ground alive.

#![allow(clippy::panic, reason = "a comparison without memory cannot go on")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::Rc;

use tagheap::{Corruption, Refusal, Root, Source};

/// Zeroed memory whose address is a multiple of [`Ground::ALIGN`].
#[derive(Debug)]
pub struct Ground {
    allocation: NonNull<u8>,
    layout: Layout,
    start: NonNull<u8>,
    length: usize,
}

impl Ground {
    /// Alignment of the start in bytes: larger than any in a trace.
    pub const ALIGN: usize = 1 << 16;

    /// Bytes in front of the first block that a trace can see: the heap's root block, and nothing in others.
    pub const LEAD: usize = Root::BLOCK;

    /// Memory of so many bytes, of which only what is touched costs anything.
    ///
    /// # Panics
    ///
    /// If there is not so much.
    pub fn new(bytes: usize) -> Self {
        let length = bytes.max(Self::LEAD + 16);
        // Not aligned by its layout: then all of it would be zeroed by hand.
        let layout = Layout::from_size_align(length + Self::ALIGN, 16);
        let layout = layout.unwrap_or_else(|error| panic!("{length} bytes: {error}"));
        // SAFETY: the layout's size is not 0.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) });
        let allocation = allocation.unwrap_or_else(|| handle_alloc_error(layout));
        let skip = allocation.align_offset(Self::ALIGN);
        // SAFETY: less than the alignment, by which the allocation is longer.
        let start = unsafe { allocation.add(skip) };
        Self {
            allocation,
            layout,
            start,
            length,
        }
    }

    /// The start.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Its address.
    pub fn address(&self) -> usize {
        self.start.as_ptr().expose_provenance()
    }

    /// Address behind the last byte.
    pub fn end(&self) -> usize {
        self.address() + self.length
    }

    fn at(&self, offset: usize, length: usize) -> NonNull<u8> {
        assert!(offset + length <= self.length, "within the ground");
        // SAFETY: within the ground, as just asserted.
        unsafe { self.start.add(offset) }
    }

    /// A copy of some bytes.
    pub fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        let start = self.at(offset, length);
        let mut bytes = vec![0; length];
        // SAFETY: within the ground, which was zeroed; the copy is new.
        unsafe { start.copy_to_nonoverlapping(NonNull::from(bytes.as_mut_slice()).cast(), length) };
        bytes
    }

    /// Writes a byte over a range.
    pub fn fill(&self, offset: usize, length: usize, byte: u8) {
        let start = self.at(offset, length);
        // SAFETY: within the ground, which nobody has a reference to.
        unsafe { start.write_bytes(byte, length) };
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) };
    }
}

/// A source over a [`Ground`] that grants exactly what is asked for, unless told to refuse.
#[derive(Debug)]
pub struct Granting {
    ground: Rc<Ground>,
    refused: Rc<Cell<bool>>,
    limit: usize,
}

impl Granting {
    /// The source over a ground; it refuses while the cell says so.
    pub fn new(ground: Rc<Ground>, refused: Rc<Cell<bool>>) -> Self {
        let limit = ground.address();
        Self {
            ground,
            refused,
            limit,
        }
    }
}

// SAFETY: the ground's memory is aligned, zeroed, owned as long as the source lives, and granted from
// its start up to its end.
unsafe impl Source for Granting {
    fn base(&self) -> NonNull<u8> {
        self.ground.start()
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn frontier(&self) -> Result<usize, Corruption> {
        Ok(self.limit)
    }

    fn extend(&mut self, _frontier: usize, to: usize) -> Result<(), Refusal> {
        if self.refused.get() || to > self.ground.end() {
            return Err(Refusal::NoMemory);
        }
        self.limit = to;
        Ok(())
    }

    unsafe fn trim(&mut self, _to: usize) -> usize {
        usize::MAX
    }

    fn zero_from(&self) -> usize {
        usize::MAX
    }
}
