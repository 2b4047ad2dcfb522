//! Numbers about a heap: blocks and bytes, in all and by tag.

use core::fmt;

use crate::words::size::HEADER;
use crate::words::tag::Tag;
use crate::words::walk::Block;

/// Blocks and their bytes, headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many blocks.
    pub blocks: usize,
    /// Their bytes, headers included.
    pub bytes: usize,
}

impl Amount {
    /// Their bytes of payload.
    pub const fn payload(self) -> usize {
        self.bytes - self.blocks * HEADER
    }

    pub(crate) fn add(&mut self, block: &Block) {
        self.blocks += 1;
        self.bytes += block.size;
    }
}

impl fmt::Display for Amount {
    /// Such as `408 blocks, 1074480 bytes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.blocks == 1 { "" } else { "s" };
        write!(f, "{} block{plural}, {} bytes", self.blocks, self.bytes)
    }
}

/// Numbers about a whole heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Blocks under tags of the heap's users.
    pub used: Amount,
    /// Free blocks.
    pub free: Amount,
    /// Blocks of the heap's own: the root block, and fences around memory of somebody else.
    pub own: Amount,
    /// Bytes of the largest free block, header included.
    pub largest_free: usize,
    /// Bytes from the row's base to its end: the sum of the three amounts.
    pub row: usize,
    /// Bytes from the row's base to the end of what the source has granted.
    pub granted: usize,
}

impl Stats {
    pub(crate) fn add(&mut self, block: &Block) {
        match block.tag() {
            None => {
                self.free.add(block);
                self.largest_free = self.largest_free.max(block.size);
            }
            Some(tag) if tag.is_reserved() => self.own.add(block),
            Some(_) => self.used.add(block),
        }
    }
}

/// What a release would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// What it would free.
    pub amount: Amount,
    /// Address at which the row would end.
    pub end: usize,
}

/// Numbers about a tag. Those that count survive a release, until the tag is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagStats {
    /// The tag.
    pub tag: Tag,
    /// What it is called besides; empty unless somebody said so.
    pub name: Name,
    /// Blocks it holds.
    pub blocks: usize,
    /// Their bytes, headers included.
    pub bytes: usize,
    /// Bytes asked for in them. Of a block reused for less than its payload by 63 bytes or more, as happens
    /// under [`Whole`](crate::Whole), all but 63 count.
    pub requested: usize,
    /// The most that `bytes` ever was, or since it was last reset. A block that moves is there twice meanwhile.
    pub peak: usize,
    /// Blocks handed out.
    pub allocations: u64,
    /// Blocks given back, one by one or by a release.
    pub deallocations: u64,
    /// Requests for which there was no memory, those to grow a block among them. A pool that is refused a chunk may
    /// ask for a smaller one: of its tag, each counts.
    pub failures: u64,
    /// Bytes asked for by the largest allocation; to grow a block is none.
    pub largest: usize,
    /// The most that `bytes` may be.
    pub limit: Option<usize>,
}

impl TagStats {
    /// Its blocks and their bytes.
    pub const fn amount(&self) -> Amount {
        Amount {
            blocks: self.blocks,
            bytes: self.bytes,
        }
    }
}

/// A name of up to 31 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Name {
    bytes: [u8; Name::CAPACITY],
    length: u8,
}

impl Name {
    /// Bytes that a name can have.
    pub const CAPACITY: usize = 31;

    /// No name.
    pub(crate) const NONE: Self = Self {
        bytes: [0; Self::CAPACITY],
        length: 0,
    };

    /// The name, cut at 31 bytes, or before the character that goes beyond them. A control character of ASCII's, such
    /// as a newline, becomes `?`: a name is one line.
    pub fn new(text: &str) -> Self {
        let most = text.len().min(Self::CAPACITY);
        let length = (0..=most)
            .rev()
            .find(|length| text.is_char_boundary(*length))
            .unwrap_or(0);
        let mut name = Self::default();
        for (place, byte) in name.bytes.iter_mut().zip(text.bytes().take(length)) {
            *place = if byte.is_ascii_control() { b'?' } else { byte };
        }
        name.length = length as u8;
        name
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length.into()).unwrap_or_default();
        str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A moment in a heap's life, see [`Heap::mark`](crate::Heap::mark).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(crate) u64);

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn an_amount_says_how_many_blocks_and_bytes() {
        let amounts = [(0, 0), (1, 48), (408, 1_074_480)];
        let amounts = amounts.map(|(blocks, bytes)| Amount { blocks, bytes }.to_string());
        let lines = [
            "0 blocks, 0 bytes",
            "1 block, 48 bytes",
            "408 blocks, 1074480 bytes",
        ];
        assert_eq!(amounts, lines);
    }

    #[test]
    fn a_name_is_one_line() {
        let name = Name::new("tab\there, \u{1b}[31mred\r\n\0é\u{7f}");
        assert_eq!(name.as_str(), "tab?here, ?[31mred???é?");
        assert_eq!(Name::new(&"\n".repeat(40)).as_str(), "?".repeat(31));
    }
}
