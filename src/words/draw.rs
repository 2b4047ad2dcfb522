//! Pictures of a heap in plain text: its blocks in a row, and a table by tag.

use core::fmt;

use crate::words::stats::Amount;
use crate::words::strip::{Part, Strip};
use crate::words::walk::{Block, Image, State, Walk};

/// Draws the row of an image: each block as its tag and its bytes, free ones in brackets, equal
/// neighbours counted.
///
/// ```text
/// 0x5581f0a3c000 |(heap) 128|1 432|[112]|2 64 x3|
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Drawing<I>(pub I);

/// Tabulates an image: a line for each tag in the order of first blocks, then the free blocks.
///
/// Takes time proportional to blocks times tags: it keeps nothing but the line it prints.
#[derive(Clone, Copy, Debug)]
pub struct Table<I>(pub I);

impl fmt::Display for Block {
    /// Its tag and its bytes; a free one's bytes in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            State::Free => write!(f, "[{}]", self.size),
            State::Used(tag) => write!(f, "{tag} {}", self.size),
        }
    }
}

impl Part for Block {
    fn bytes(&self) -> usize {
        self.size
    }

    fn is_like(&self, other: &Self) -> bool {
        self.size == other.size && self.state == other.state
    }
}

impl<I: Image> fmt::Display for Drawing<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut strip = Strip::new(f, self.0.base());
        for block in Walk::new(&self.0) {
            match block {
                Ok(block) => strip.push(block)?,
                Err(damage) => return strip.fail(damage),
            }
        }
        strip.finish()
    }
}

impl<I: Image> Table<I> {
    /// The blocks of one state, and whether any of them stands before address `at`.
    fn amount(&self, state: State, at: usize) -> (Amount, bool) {
        let mut amount = Amount::default();
        let mut seen = false;
        for block in Walk::new(&self.0)
            .flatten()
            .filter(|block| block.state == state)
        {
            amount.add(&block);
            seen |= block.at < at;
        }
        (amount, seen)
    }
}

/// In the place of a tag, for what is free.
pub(crate) const FREE: &str = "(free)";

/// The first line of a table.
pub(crate) fn title(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (blocks, bytes, payload) = ("blocks", "bytes", "payload");
    write!(f, "{:<20} {blocks:>8} {bytes:>12} {payload:>12}", "tag")
}

/// A tag's line of a table, or that of what is free.
pub(crate) fn line(
    f: &mut fmt::Formatter<'_>,
    tag: impl fmt::Display,
    amount: Amount,
) -> fmt::Result {
    let Amount { blocks, bytes } = amount;
    let payload = amount.payload();
    write!(f, "\n{tag:<20} {blocks:>8} {bytes:>12} {payload:>12}")
}

impl<I: Image> fmt::Display for Table<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        title(f)?;
        let mut last = None;
        for block in Walk::new(&self.0)
            .flatten()
            .filter(|block| !block.is_free())
        {
            if last.replace(block.state) == Some(block.state) {
                continue;
            }
            let (amount, seen) = self.amount(block.state, block.at);
            if let (State::Used(tag), false) = (block.state, seen) {
                line(f, tag, amount)?;
            }
        }
        line(f, FREE, self.amount(State::Free, 0).0)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;
    use crate::words::walk::Bytes;

    fn row(blocks: &[(u64, u64, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(in_use, size, tag) in blocks {
            let start = bytes.len();
            bytes.extend(
                [in_use, size, tag]
                    .iter()
                    .flat_map(|word| word.to_le_bytes()),
            );
            bytes.resize(start + size as usize, 0);
        }
        bytes
    }

    #[test]
    fn a_drawing_names_tags_brackets_free_blocks_and_counts_equal_neighbours() {
        let bytes = row(&[
            (1, 128, u64::MAX),
            (1, 432, 1),
            (0, 112, 0),
            (1, 64, 2),
            (1, 64, 2),
        ]);
        let drawing = Drawing(Bytes::new(0x1000, &bytes)).to_string();
        assert_eq!(drawing, "0x1000 |(heap) 128|1 432|[112]|2 64 x2|");
    }

    #[test]
    fn a_drawing_of_a_damaged_row_says_where() {
        let mut bytes = row(&[(1, 64, 1), (1, 64, 2)]);
        bytes[64 + 8] = 7;
        let drawing = Drawing(Bytes::new(0x1000, &bytes)).to_string();
        assert_eq!(drawing, "0x1000 |1 64| damaged header at 0x1040");
    }

    #[test]
    fn a_table_has_a_line_a_tag_and_adds_up() {
        let bytes = row(&[(1, 64, 2), (1, 432, 1), (0, 112, 0), (1, 64, 2)]);
        let table = Table(Bytes::new(0, &bytes)).to_string();
        let rows: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let wanted = [
            ["tag", "blocks", "bytes", "payload"],
            ["2", "2", "128", "64"],
            ["1", "1", "432", "400"],
            ["(free)", "1", "112", "80"],
        ];
        assert_eq!(rows, wanted);
    }
}
