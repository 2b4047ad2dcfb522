//! What is known of one tag: two cache lines.
//!
//! # Safety
//!
//! Nothing unsafe is done here; all-zero bytes are a valid account, which is of no tag.
#![allow(unsafe_code)]

use core::mem::offset_of;

use crate::ground::table::Plain;
use crate::tags::list::List;
use crate::words::error::Shortage;
use crate::words::size::SMALLEST;
use crate::words::stats::{Amount, Name, TagStats};
use crate::words::tag::Tag;

/// What is known of one tag.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Account {
    pub(crate) tag: Tag,
    // What allocations and deallocations change lies apart, so that no compiler has two of them changed at
    // once: what a processor has just stored in two pieces, it cannot load in one until both are done.
    pub(crate) blocks: usize,
    /// The limit's complement: 0 is none.
    limit: usize,
    pub(crate) bytes: usize,
    pub(crate) peak: usize,
    pub(crate) requested: usize,
    pub(crate) list: List,
    pub(crate) allocations: u64,
    pub(crate) deallocations: u64,
    pub(crate) failures: u64,
    pub(crate) largest: usize,
    pub(crate) name: Name,
}

// What somebody outside knows of it, see `TagStats::decode`.
const _: () = assert!(size_of::<Account>() == 128);
const _: () = assert!(offset_of!(Account, tag) == 0);
const _: () = assert!(offset_of!(Account, allocations) == 64);
const _: () = assert!(offset_of!(Account, name) == 96);

// SAFETY: numbers, a tag, and a name without length.
unsafe impl Plain for Account {}

impl Account {
    pub(crate) fn new(tag: Tag) -> Self {
        Self {
            tag,
            blocks: 0,
            bytes: 0,
            requested: 0,
            peak: 0,
            limit: 0,
            allocations: 0,
            deallocations: 0,
            list: List::default(),
            failures: 0,
            largest: 0,
            name: Name::default(),
        }
    }

    /// The tag gets a block.
    #[inline]
    pub(crate) fn gain_one(&mut self, size: usize, requested: usize) {
        let bytes = size;
        self.gain(Amount { blocks: 1, bytes }, requested);
    }

    /// The tag gets blocks.
    #[inline]
    pub(crate) fn gain(&mut self, amount: Amount, requested: usize) {
        self.blocks += amount.blocks;
        self.bytes += amount.bytes;
        self.requested += requested;
        if self.bytes > self.peak {
            self.peak = self.bytes;
        }
    }

    /// The tag loses a block.
    #[inline]
    pub(crate) fn lose(&mut self, size: usize, requested: usize) {
        self.blocks -= 1;
        self.bytes -= size;
        self.requested -= requested;
    }

    /// Whether its list holds all of its blocks.
    pub(crate) fn is_listed(&self) -> bool {
        self.list.unlisted == 0
    }

    /// Whether its only block is the only entry of its list.
    #[inline]
    pub(crate) fn has_one(&self) -> bool {
        self.blocks == 1 && self.is_listed() && self.list.length() == 1
    }

    /// One of its blocks changes its size and what was asked for.
    pub(crate) fn resize(&mut self, before: (usize, usize), after: (usize, usize)) {
        self.bytes = self.bytes - before.0 + after.0;
        self.requested = self.requested - before.1 + after.1;
        if self.bytes > self.peak {
            self.peak = self.bytes;
        }
    }

    #[inline]
    pub(crate) fn limit(&self) -> Option<usize> {
        (self.limit != 0).then_some(!self.limit)
    }

    /// Whether the tag may hold so many bytes more.
    #[inline]
    pub(crate) fn allows(&self, bytes: usize) -> Result<(), Shortage> {
        match self.limit() {
            Some(limit) if self.bytes.saturating_add(bytes) > limit => {
                let held = self.bytes;
                Err(Shortage::Limit { limit, held })
            }
            _ => Ok(()),
        }
    }

    /// Bytes that it ever held at once, or that a block may have within its limit, whichever free one that is taken from.
    #[inline]
    pub(crate) fn as_before(&self) -> usize {
        let left = (!self.limit).saturating_sub(self.bytes);
        // What is smaller than a block cannot be split off.
        self.peak.min(left.saturating_sub(SMALLEST))
    }

    pub(crate) fn set_limit(&mut self, limit: Option<usize>) {
        self.limit = limit.map_or(0, |limit| !limit);
    }

    pub(crate) fn stats(&self) -> TagStats {
        TagStats {
            tag: self.tag,
            name: self.name,
            blocks: self.blocks,
            bytes: self.bytes,
            requested: self.requested,
            peak: self.peak,
            allocations: self.allocations,
            deallocations: self.deallocations,
            failures: self.failures,
            largest: self.largest,
            limit: self.limit(),
        }
    }
}

impl TagStats {
    /// Bytes of an entry of a heap's accounts, which its [`Root`](crate::Root) tells of.
    pub const ENTRY: usize = size_of::<Account>();

    /// What an entry says of which these are the bytes; `None` if it is of no tag.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<{ Self::ENTRY }>()?;
        let (words, _) = bytes.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let tag = words.next().filter(|tag| *tag != Tag::FREE.number())?;
        let [blocks, limit, held, peak, requested, _, _] =
            [(); 7].map(|()| words.next().unwrap_or(0) as usize);
        let [allocations, deallocations, failures, largest] =
            [(); 4].map(|()| words.next().unwrap_or(0));
        let [name @ .., length] = bytes.last_chunk::<{ Name::CAPACITY + 1 }>()?;
        let name = name.get(..usize::from(*length)).unwrap_or_default();
        Some(Self {
            tag: Tag::new(tag),
            name: str::from_utf8(name).map(Name::new).unwrap_or_default(),
            blocks,
            bytes: held,
            requested,
            peak,
            allocations,
            deallocations,
            failures,
            largest: largest as usize,
            limit: (limit != 0).then_some(!limit),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn an_entry_is_decoded_as_it_was_meant() {
        let mut account = Account::new(Tag::named("level"));
        account.gain_one(1000, 900);
        account.gain_one(3000, 2000);
        account.lose(1000, 900);
        (account.allocations, account.deallocations) = (2, 1);
        (account.failures, account.largest) = (5, 2000);
        for limit in [None, Some(0), Some(1 << 40)] {
            for name in ["", "a level of the game, of 31 bytes"] {
                account.set_limit(limit);
                account.name = Name::new(name);
                let words: [u64; TagStats::ENTRY / 8] = {
                    // SAFETY: numbers all through, without gaps.
                    unsafe { core::mem::transmute(account) }
                };
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                assert_eq!(TagStats::decode(&bytes), Some(account.stats()));
                assert_eq!(TagStats::decode(&bytes[1..]), None, "cut off");
            }
        }
        assert_eq!(TagStats::decode(&[0; TagStats::ENTRY]), None, "of no tag");
    }
}
