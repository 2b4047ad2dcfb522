//! The words of the root block, by which somebody outside finds and reads a heap without symbols.

use crate::words::size::HEADER;
use crate::words::tag::Tag;

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
    /// Address of the heap's accounts, in that process: entries of [`TagStats::ENTRY`](crate::TagStats::ENTRY) bytes, one a
    /// tag, in no order; 0 where there are none.
    pub accounts: u64,
    /// How many entries there are room for. Those of no tag begin with a zero, and stand behind all others.
    pub entries: u64,
    /// 0 for now.
    pub reserved: [u64; 4],
}

impl Root {
    /// Spells `tagheap` and a zero byte in memory.
    pub const MAGIC: u64 = u64::from_le_bytes(*b"tagheap\0");

    /// The version written today.
    pub const VERSION: u32 = 1;

    /// Bytes of the root block, header included.
    pub const BLOCK: usize = HEADER + size_of::<Self>();

    /// What the block says of which these are the first [`BLOCK`](Root::BLOCK) bytes, copied from address `at` of the process
    /// whose heap it is; `None` if that is no root block, or one of another version.
    pub fn decode(at: usize, bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.get(..Self::BLOCK)?.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let [in_use, size, tag, _] = [(); 4].map(|()| words.next().unwrap_or(0));
        let [magic, version, epoch, base, end, limit] = [(); 6].map(|()| words.next().unwrap_or(0));
        let [accounts, entries] = [(); 2].map(|()| words.next().unwrap_or(0));
        let root = Self {
            magic,
            version: version as u32,
            coalesces: (version >> 32) as u32,
            epoch,
            base,
            end,
            limit,
            accounts,
            entries,
            reserved: [(); 4].map(|()| words.next().unwrap_or(0)),
        };
        let is_block = in_use == 1 && size == Self::BLOCK as u64 && tag == Tag::HEAP.number();
        let is_one =
            root.magic == Self::MAGIC && root.version == Self::VERSION && root.coalesces <= 1;
        let is_here =
            root.base == at as u64 && root.end.saturating_sub(root.base) >= Self::BLOCK as u64;
        (is_block && is_one && is_here).then_some(root)
    }
}

const _: () = assert!(Root::BLOCK == 128);
