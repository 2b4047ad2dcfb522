//! What is known of one tag: two cache lines.
//!
//! # Safety
//!
//! Nothing unsafe is done here; all-zero bytes are a valid account.
#![allow(unsafe_code)]

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

const _: () = assert!(size_of::<Account>() == 128);

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
