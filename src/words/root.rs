//! The words of the root block, by which somebody outside finds and reads a heap without symbols.

use crate::words::size::HEADER;

/// What the payload of a heap's first block holds: format version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Root {
    /// [`Root::MAGIC`].
    pub magic: u64,
    /// Version of this layout and of the header's: 1.
    pub version: u32,
    /// 1 where free neighbours coalesce (rule `Split`), 0 where they stay apart (`Whole`).
    pub coalesces: u32,
    /// Odd while a change to the row is under way; higher after each change.
    pub epoch: u64,
    /// Address of the first block in the process whose heap it is.
    pub base: u64,
    /// Address behind the last block.
    pub end: u64,
    /// Address behind the memory granted to the heap.
    pub limit: u64,
    /// Kept for the table of tags; 0 for now.
    pub reserved: [u64; 6],
}

impl Root {
    /// Spells `tagheap` and a zero byte in memory.
    pub const MAGIC: u64 = u64::from_le_bytes(*b"tagheap\0");

    /// The version written today.
    pub const VERSION: u32 = 1;

    /// Bytes of the root block, header included.
    pub const BLOCK: usize = HEADER + size_of::<Self>();
}

const _: () = assert!(Root::BLOCK == 128);
