//! The one decoder of a heap's bytes: block after block from the base to the end.

use crate::words::error::Corruption;
use crate::words::header::{Header, Key};
use crate::words::size::{HEADER, UNIT};
use crate::words::tag::Tag;

/// A block as a walk sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Address of the block's header.
    pub at: usize,
    /// Bytes of the whole block, header included.
    pub size: usize,
    /// Whose it is, or that it is free.
    pub state: State,
}

/// Whether a block is held, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody holds the block.
    Free,
    /// The block belongs to this tag.
    Used(Tag),
}

impl Block {
    /// Address of the payload.
    pub const fn payload(&self) -> usize {
        self.at + HEADER
    }

    /// Bytes of payload.
    pub const fn usable(&self) -> usize {
        self.size - HEADER
    }

    /// Address behind the block.
    pub const fn end(&self) -> usize {
        self.at + self.size
    }

    /// Whether nobody holds the block.
    pub const fn is_free(&self) -> bool {
        matches!(self.state, State::Free)
    }

    /// Whose the block is; `None` while it is free.
    pub const fn tag(&self) -> Option<Tag> {
        match self.state {
            State::Free => None,
            State::Used(tag) => Some(tag),
        }
    }
}

/// The bytes of a heap: live, or a copy from a file, another process or a core dump.
pub trait Image {
    /// Address of the first block in the process whose heap it is; a multiple of 16.
    fn base(&self) -> usize;

    /// Address behind the last block.
    fn end(&self) -> usize;

    /// The 32 bytes at address `at` as a header; `None` where the image does not hold them.
    fn header(&self, at: usize) -> Option<Header>;

    /// The key of the check words, where it is known.
    fn key(&self) -> Option<Key> {
        None
    }
}

impl<I: Image> Image for &I {
    fn base(&self) -> usize {
        (**self).base()
    }

    fn end(&self) -> usize {
        (**self).end()
    }

    fn header(&self, at: usize) -> Option<Header> {
        (**self).header(at)
    }

    fn key(&self) -> Option<Key> {
        (**self).key()
    }
}

/// A copy of a row's bytes, and the address they had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<'a> {
    base: usize,
    bytes: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// The image of `bytes`, which stood at address `base`.
    pub const fn new(base: usize, bytes: &'a [u8]) -> Self {
        Self { base, bytes }
    }
}

impl Image for Bytes<'_> {
    fn base(&self) -> usize {
        self.base
    }

    fn end(&self) -> usize {
        self.base.saturating_add(self.bytes.len())
    }

    fn header(&self, at: usize) -> Option<Header> {
        let offset = at.checked_sub(self.base)?;
        let bytes = self.bytes.get(offset..offset.checked_add(HEADER)?)?;
        let (words, _) = bytes.as_chunks::<8>();
        let &[in_use, size, tag, last] = words else {
            return None;
        };
        let last = u64::from_le_bytes(last);
        Some(Header {
            in_use: u64::from_le_bytes(in_use),
            size: u64::from_le_bytes(size),
            tag: Tag::new(u64::from_le_bytes(tag)),
            slot: last as u32,
            check: (last >> 32) as u32,
        })
    }
}

/// Iterates over the blocks of an image in the order of their addresses.
///
/// Every header is verified before it is followed, and every step goes forward by at least 48 bytes:
/// a walk over any bytes whatever ends. At the first damage it yields that and is over.
#[derive(Clone, Debug)]
#[must_use = "iterators do nothing unless they are asked"]
pub struct Walk<I> {
    image: I,
    at: usize,
}

impl<I: Image> Walk<I> {
    /// A walk over all blocks of `image`.
    pub fn new(image: I) -> Self {
        let at = image.base();
        Self { image, at }
    }

    /// A walk over the blocks of `image` from the one at address `at` on.
    pub(crate) fn from(image: I, at: usize) -> Self {
        Self { image, at }
    }

    fn step(&self) -> Result<Block, Corruption> {
        let at = self.at;
        let damaged = Corruption::Header { at };
        if !at.is_multiple_of(UNIT) {
            return Err(damaged);
        }
        let header = self.image.header(at).ok_or(damaged)?;
        header.verify(at, self.image.end(), self.image.key())?;
        let state = if header.is_used() {
            State::Used(header.tag)
        } else {
            State::Free
        };
        Ok(Block {
            at,
            size: header.size as usize,
            state,
        })
    }
}

impl<I: Image> Iterator for Walk<I> {
    type Item = Result<Block, Corruption>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.image.end() {
            return None;
        }
        let block = self.step();
        self.at = match block {
            Ok(block) => block.end(),
            Err(_) => self.image.end(),
        };
        Some(block)
    }
}

impl<I: Image> core::iter::FusedIterator for Walk<I> {}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn bytes_of(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn e08_a_size_of_zero_or_beyond_the_end_ends_the_walk() {
        for size in [0, 16, 32, 47, 49, 56, 128, u64::MAX, 1 << 63] {
            let mut words = [0; 12];
            words[..3].copy_from_slice(&[1, size, 7]);
            let bytes = bytes_of(&words);
            let walk: Vec<_> = Walk::new(Bytes::new(0x1000, &bytes)).collect();
            assert_eq!(
                walk,
                [Err(Corruption::Header { at: 0x1000 })],
                "size {size}"
            );
        }
    }

    #[test]
    fn two_blocks_are_read_back() {
        let mut words = [0; 14];
        words[..3].copy_from_slice(&[1, 64, 7]);
        words[8..11].copy_from_slice(&[0, 48, 0]);
        let bytes = bytes_of(&words);
        let walk: Vec<_> = Walk::new(Bytes::new(0x1000, &bytes))
            .map(Result::unwrap)
            .collect();
        let used = Block {
            at: 0x1000,
            size: 64,
            state: State::Used(Tag::new(7)),
        };
        assert_eq!(
            walk,
            [
                used,
                Block {
                    at: 0x1040,
                    size: 48,
                    state: State::Free
                }
            ]
        );
    }

    proptest! {
        #[test]
        fn e08_a_walk_over_any_bytes_ends_and_stays_inside(
            mut words in prop::collection::vec(0u64..200, 0..200),
            base in (0usize..1 << 40).prop_map(|base| base * 16),
        ) {
            for word in words.iter_mut().step_by(2) {
                *word &= 1;
            }
            let bytes = bytes_of(&words);
            let image = Bytes::new(base, &bytes);
            let blocks: Vec<_> = Walk::new(image).collect();
            prop_assert!(blocks.len() <= bytes.len() / 48 + 1);
            for block in blocks.iter().flatten() {
                prop_assert!(block.at >= base && block.end() <= image.end());
            }
        }
    }
}
