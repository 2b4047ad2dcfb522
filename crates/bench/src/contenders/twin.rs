//! The heap in assembly, which scans all blocks to place one and walks all blocks to release a tag.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use tagheap::twin::{Deallocation, Twin, call};
use tagheap::{Fit, HEADER, Header, Split, Tag};

use super::arena;
use crate::contender::{Block, Contender, Piece, kept, layout};
use crate::deadline::Deadline;
use crate::job::Workload;

/// The twin over an arena, called with nothing in between.
pub(crate) struct Assembly {
    twin: Twin<Split>,
    arena: NonNull<u8>,
}

/// The twin's break; there is one twin in a process.
static BREAK: AtomicUsize = AtomicUsize::new(0);
static LAST: AtomicUsize = AtomicUsize::new(0);

extern "C" fn arena_break(to: usize) -> usize {
    let now = BREAK.load(Ordering::Relaxed);
    if to == 0 || to > LAST.load(Ordering::Relaxed) {
        return now;
    }
    BREAK.store(to, Ordering::Relaxed);
    to
}

impl Assembly {
    fn pointer(&self, address: usize) -> NonNull<u8> {
        // SAFETY: all addresses of the twin lie in the arena.
        unsafe { self.arena.add(address - self.arena.addr().get()) }
    }
}

impl Contender for Assembly {
    const NAME: &'static str = "assembly twin";
    const JOINS: &'static [Workload] = &[
        Workload::FirstFit,
        Workload::Release,
        Workload::ReleaseEmpty,
        Workload::Level,
    ];

    fn new() -> Self {
        let arena = arena::map();
        let start = arena.cast::<u8>().addr().get();
        BREAK.store(start, Ordering::Relaxed);
        LAST.store(start + arena.len(), Ordering::Relaxed);
        // SAFETY: the arena is nobody else's and stays, and all answers lie in it; `call` calls.
        let twin = unsafe { Twin::start(arena_break, call) }.expect("one twin in a process");
        let arena = arena.cast();
        Self { twin, arena }
    }

    fn allocate(&mut self, tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        let tag = Tag::new(tag.into());
        let address = self.twin.allocate(tag, layout.size(), layout.align())?;
        Some(self.pointer(address))
    }

    unsafe fn deallocate(&mut self, at: NonNull<u8>, _layout: Layout) {
        let answer = self.twin.deallocate(at.addr().get());
        assert_eq!(answer, Deallocation::Done, "a block of ours");
    }

    unsafe fn grow(&mut self, _at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        None
    }

    unsafe fn release(&mut self, tag: u32) -> bool {
        self.twin.release(Tag::new(tag.into())).is_some()
    }

    /// Allocates one block as long as the row will be, and writes the headers of the row into it: with a
    /// scan for each block, a million blocks would take days.
    fn arrange(&mut self, row: &[Piece], _deadline: Deadline) -> Option<Vec<Block>> {
        let bytes = |piece: &Piece| Fit::of(layout(piece.size)).map(Fit::size);
        let total: usize = row.iter().filter_map(bytes).sum();
        let payload = self.twin.allocate(Tag::new(1), total - HEADER, 16)?;
        let mut header = self.pointer(payload - HEADER).cast::<Header>();
        let mut blocks = Vec::with_capacity(row.len());
        for piece in row {
            let size = bytes(piece)?;
            let tag = if piece.freed { 0 } else { piece.tag };
            let written = Header {
                in_use: u64::from(!piece.freed),
                size: size as u64,
                tag: Tag::new(tag.into()),
                slot: 0,
                check: 0,
            };
            // SAFETY: the sizes add up to that of the block just allocated, and are multiples of 16.
            unsafe { header.write(written) };
            // SAFETY: as above; behind the header lies the block's payload.
            let at = unsafe { header.add(1) }.cast();
            blocks.push(Block {
                at,
                size: piece.size,
                tag: piece.tag,
            });
            // SAFETY: as above; at most the end of the row.
            header = unsafe { header.byte_add(size) };
        }
        Some(kept(row, blocks))
    }
}

#[cfg(test)]
mod tests {
    use tagheap::{Image, Walk};

    use super::*;

    /// The blocks of the twin's row: offset, size, tag.
    fn row_of(contender: &Assembly) -> Vec<(usize, usize, Option<Tag>)> {
        let base = contender.twin.base();
        let blocks = Walk::new(&contender.twin).map(Result::unwrap);
        blocks
            .map(|block| (block.at - base, block.size, block.tag()))
            .collect()
    }

    #[test]
    fn the_row_written_is_the_row_that_the_operations_make() {
        let mut random = fastrand::Rng::with_seed(7);
        let row: Vec<_> = (0..100)
            .map(|index| Piece {
                tag: random.u32(1..=9),
                size: random.u32(16..=512),
                freed: index % 2 == 0,
            })
            .collect();

        let mut written = Assembly::new();
        let blocks = written.arrange(&row, Deadline::to_arrange()).unwrap();
        assert_eq!(blocks.len(), 50);
        let expected = row_of(&written);
        drop(written);

        let mut operated = Assembly::new();
        let pointers: Vec<_> = row
            .iter()
            .map(|piece| operated.allocate(piece.tag, layout(piece.size)).unwrap())
            .collect();
        for (piece, at) in row.iter().zip(pointers) {
            if piece.freed {
                // SAFETY: allocated above, and used no more.
                unsafe { operated.deallocate(at, layout(piece.size)) };
            }
        }
        assert_eq!(row_of(&operated), expected);
    }
}
