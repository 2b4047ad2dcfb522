//! What takes part: one trait for allocators of blocks, implemented once for each; pools of slots and arenas
//! have their own.

pub(crate) mod arena;
pub(crate) mod global;
pub(crate) mod regions;
pub(crate) mod slots;

use std::alloc::Layout;
use std::ptr::NonNull;

use serde::{Deserialize, Serialize};

use crate::deadline::Deadline;
use crate::job::{Job, Workload};
use crate::{stats, workloads};

/// An allocator in the comparison. A new one is made for each measurement, in a process of its own.
///
/// To add one: implement this in a file under `contenders`, and name it in the list of `contenders.rs`.
pub(crate) trait Contender: Sized {
    /// Its name in tables and plots.
    const NAME: &'static str;

    /// The workloads it takes part in.
    const JOINS: &'static [Workload];

    /// What it is in a comparison.
    const ROLE: Role = Role::Peer;

    /// With nothing allocated, and room for the largest workload.
    fn new() -> Self;

    /// Memory for `layout`; pools and heaps with tags put it under `tag`, which is not 0.
    fn allocate(&mut self, tag: u32, layout: Layout) -> Option<NonNull<u8>>;

    /// Takes memory back.
    ///
    /// # Safety
    ///
    /// Allocated here with this layout, and used no more.
    unsafe fn deallocate(&mut self, at: NonNull<u8>, layout: Layout);

    /// Makes an allocation larger, the allocator's own way.
    ///
    /// # Safety
    ///
    /// As for `deallocate`, unless the answer is `None`; the alignment stays.
    unsafe fn grow(&mut self, at: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>>;

    /// Frees everything under a tag in one call, and answers true; false where there is no such call.
    ///
    /// # Safety
    ///
    /// Memory under the tag is used no more.
    unsafe fn release(&mut self, _tag: u32) -> bool {
        false
    }

    /// Bytes from the first to behind the last of what it manages, where it can say.
    fn footprint(&self) -> Option<usize> {
        None
    }

    /// Brings a fresh allocator to the state at which a workload starts, and answers the blocks that are
    /// not freed, in order; `None` where that takes too long.
    ///
    /// Overridden only where the operations take too long and the same state can be written directly.
    fn arrange(&mut self, row: &[Piece], deadline: Deadline) -> Option<Vec<Block>> {
        let mut blocks = Vec::with_capacity(row.len());
        for pieces in row.chunks(64) {
            for piece in pieces {
                blocks.push(place(self, piece)?);
            }
            if deadline.is_over() {
                return None;
            }
        }
        // From the last to the first, which suits those that keep their free blocks sorted.
        for (count, (piece, block)) in row.iter().zip(&blocks).rev().enumerate() {
            if piece.freed {
                // SAFETY: allocated above; the block is dropped below.
                unsafe { self.deallocate(block.at, block.layout()) };
            }
            if count.is_multiple_of(64) && deadline.is_over() {
                return None;
            }
        }
        Some(kept(row, blocks))
    }
}

/// The blocks whose pieces are not freed.
pub(crate) fn kept(row: &[Piece], mut blocks: Vec<Block>) -> Vec<Block> {
    let mut pieces = row.iter();
    blocks.retain(|_| pieces.next().is_some_and(|piece| !piece.freed));
    blocks
}

/// Allocates for a piece, and writes to its first bytes.
fn place(contender: &mut impl Contender, piece: &Piece) -> Option<Block> {
    let at = contender.allocate(piece.tag, layout(piece.size))?;
    touch(at);
    Some(Block {
        at,
        size: piece.size,
        tag: piece.tag,
    })
}

/// Writes to the first bytes of a block or an object, as its owner would.
#[inline]
pub(crate) fn touch(at: NonNull<u8>) {
    // SAFETY: each of any workload has 16 bytes at least, aligned to 8.
    unsafe { at.cast::<u64>().write_volatile(1) };
}

/// The layout of every block of `size` bytes.
#[inline]
pub(crate) const fn layout(size: u32) -> Layout {
    match Layout::from_size_align(size as usize, 8) {
        Ok(layout) => layout,
        Err(_) => panic!("sizes of 32 bits have layouts"),
    }
}

/// Stops where blocks that are in use at a time overlap, or lie where their layout does not allow: a contender that
/// is wrong is not to be compared.
pub(crate) fn assert_apart(blocks: impl Iterator<Item = (NonNull<u8>, u32)>) {
    let range = |(at, size): (NonNull<u8>, u32)| (at.addr().get(), size as usize);
    let mut ranges: Vec<_> = blocks.map(range).collect();
    ranges.sort_unstable();
    for (at, _) in &ranges {
        assert!(at.is_multiple_of(8), "a block at {at:#x}, not aligned");
    }
    for pair in ranges.windows(2) {
        let [(first, size), (second, _)] = [pair[0], pair[1]];
        assert!(
            first + size <= second,
            "blocks at {first:#x} and {second:#x} overlap"
        );
    }
}

/// One of the blocks from which a workload starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) tag: u32,
    pub(crate) size: u32,
    /// Whether it is freed again once all are allocated.
    pub(crate) freed: bool,
}

/// An allocated block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) at: NonNull<u8>,
    pub(crate) size: u32,
    pub(crate) tag: u32,
}

impl Block {
    /// What it was allocated with.
    #[inline]
    pub(crate) const fn layout(&self) -> Layout {
        layout(self.size)
    }
}

/// What a contender is in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// This project's own.
    Own,
    /// Somebody else's, or what this project replaced.
    Peer,
    /// No allocator: what the machine allows.
    Limit,
}

/// A contender in the list: its name, and how to run it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) joins: &'static [Workload],
    pub(crate) role: Role,
    pub(crate) run: fn(&Job) -> Option<Outcome>,
}

/// The entry of a contender.
pub(crate) const fn entry<C: Contender>() -> Entry {
    Entry {
        name: C::NAME,
        joins: C::JOINS,
        role: C::ROLE,
        run: workloads::run::<C>,
    }
}

/// What one measurement found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Nanoseconds per operation, the median of all turns.
    pub(crate) nanoseconds: f64,
    /// Those of each turn.
    pub(crate) turns: Vec<f64>,
    /// Operations that the time allowed, of those that were planned.
    pub(crate) done: usize,
    pub(crate) planned: usize,
    /// Footprint over the bytes asked for and alive.
    pub(crate) footprint: Option<f64>,
    /// Memory that the process gained over the bytes asked for and alive.
    pub(crate) resident: Option<f64>,
}

impl Outcome {
    /// The outcome of `planned` operations, `done` of which took `nanoseconds` each, all in one turn.
    pub(crate) fn new(nanoseconds: f64, done: usize, planned: usize) -> Self {
        Self::of_turns(vec![nanoseconds], done, planned)
    }

    /// The outcome of `planned` operations, `done` of which took so many nanoseconds each, turn by turn.
    pub(crate) fn of_turns(turns: Vec<f64>, done: usize, planned: usize) -> Self {
        Self {
            nanoseconds: stats::median(&mut turns.clone()),
            turns,
            done,
            planned,
            footprint: None,
            resident: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(blocks: &[(usize, u32)]) {
        let at = |at| NonNull::without_provenance(std::num::NonZero::new(at).unwrap());
        assert_apart(blocks.iter().map(|(address, size)| (at(*address), *size)));
    }

    #[test]
    fn blocks_that_touch_lie_apart() {
        check(&[(4096, 16), (4064, 32), (4112, 1)]);
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn blocks_that_share_a_byte_do_not() {
        check(&[(4096, 17), (4112, 16)]);
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn nor_does_one_handed_out_twice() {
        check(&[(4096, 16), (4096, 16)]);
    }

    #[test]
    #[should_panic(expected = "not aligned")]
    fn a_block_lies_where_its_layout_allows() {
        check(&[(4100, 16)]);
    }
}
