//! A piece of memory in use, and what its holder wrote in it.

use std::alloc::Layout;
use std::ptr::NonNull;

use crate::memory;

/// A piece, whose number says what is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) at: usize,
    pub(crate) layout: Layout,
    pub(crate) id: u32,
}

/// Bytes up to which each one is written and looked at.
const SMALL: usize = if cfg!(miri) { 1 << 8 } else { 1 << 16 };

/// Bytes at both ends of a large one, and from one to the next in between; of a very large one such a part of it.
const EDGE: usize = 128;
const STRIDE: usize = 509;
const PARTS: usize = if cfg!(miri) { 10 } else { 1000 };

/// Bytes at both ends that [`Piece::assert_edges`] looks at.
const GLANCE: usize = 24;

impl Piece {
    /// What was answered to a request, filled.
    pub(crate) fn new(answer: NonNull<[u8]>, layout: Layout, id: u32) -> Self {
        assert_eq!(answer.len(), layout.size(), "as many bytes as asked for");
        Self::held(memory::address(answer, layout.size()), layout, id)
    }

    /// What starts there, filled.
    pub(crate) fn held(at: usize, layout: Layout, id: u32) -> Self {
        assert!(at.is_multiple_of(layout.align()), "{at:#x} {layout:?}");
        let piece = Self { at, layout, id };
        piece.fill();
        piece
    }

    /// As its holder has it, while it is there.
    pub(crate) fn ptr(&self) -> NonNull<u8> {
        memory::narrow(self.at, self.layout.size())
    }

    /// Where it was.
    pub(crate) fn place(&self) -> NonNull<u8> {
        memory::pointer(self.at)
    }

    /// Bytes that nobody else may have: one at least.
    pub(crate) fn size(&self) -> usize {
        self.layout.size().max(1)
    }

    pub(crate) fn end(&self) -> usize {
        self.at + self.size()
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.at < other.end() && other.at < self.end()
    }

    fn byte(id: u32, offset: usize) -> u8 {
        // Never 0, which is what memory has that nobody wrote.
        (id as usize * 37 + offset * 7 + (offset >> 8)) as u8 | 1
    }

    pub(crate) fn fill(&self) {
        memory::change(self.at, self.layout.size(), |bytes| {
            for offset in offsets(bytes.len()) {
                bytes[offset] = Self::byte(self.id, offset);
            }
        });
    }

    pub(crate) fn assert_whole(&self) {
        self.assert_kept(self.at, self.layout.size());
    }

    /// What it had is at another address, as far as it was kept.
    pub(crate) fn assert_kept(&self, at: usize, kept: usize) {
        let written = offsets(self.layout.size()).take_while(|offset| *offset < kept);
        self.assert_bytes(at, kept, written);
    }

    /// As [`Piece::assert_whole`], with a glance only.
    pub(crate) fn assert_edges(&self) {
        let size = self.layout.size();
        let (front, back) = (size.min(GLANCE), size.saturating_sub(GLANCE));
        self.assert_bytes(self.at, size, (0..front).chain(back.max(front)..size));
    }

    fn assert_bytes(&self, at: usize, size: usize, offsets: impl Iterator<Item = usize>) {
        memory::look(at, size, |bytes| {
            for offset in offsets {
                let wanted = Self::byte(self.id, offset);
                assert_eq!(bytes[offset], wanted, "{self:x?} at {at:#x} + {offset}");
            }
        });
    }
}

/// The bytes of so many that are written and looked at, in rising order.
fn offsets(size: usize) -> impl Iterator<Item = usize> {
    let (front, back) = if size <= SMALL {
        (size, size)
    } else {
        (EDGE, size - EDGE)
    };
    let between = (front..back).step_by(STRIDE.max(size / PARTS));
    (0..front).chain(between).chain(back..size)
}

/// Nobody has what somebody else has.
pub(crate) fn assert_apart<'a>(pieces: impl Iterator<Item = &'a Piece>) {
    let mut pieces: Vec<&Piece> = pieces.collect();
    pieces.sort_by_key(|piece| piece.at);
    for pair in pieces.windows(2) {
        let [one, next] = pair else { continue };
        assert!(one.end() <= next.at, "{one:x?} overlaps {next:x?}");
    }
}
