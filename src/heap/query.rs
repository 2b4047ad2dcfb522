//! Questions to a heap, and its check of itself.

use core::fmt::Display;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::draw::{Drawing, Table};
use crate::words::error::{Corruption, Error};
use crate::words::stats::{Amount, Stats};
use crate::words::tag::Tag;
use crate::words::walk::{Block, Image, Walk};

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Address of the first block, the root block.
    pub fn base(&self) -> usize {
        self.row.base()
    }

    /// Address behind the last block.
    pub fn end(&self) -> usize {
        self.row.end()
    }

    /// Whose the block at `ptr` is. O(1).
    ///
    /// # Errors
    ///
    /// [`Misuse`](crate::Misuse) if no block's payload starts at `ptr`, [`Corruption`] if its header is
    /// damaged.
    pub fn tag_of(&self, ptr: NonNull<u8>) -> Result<Tag, Error> {
        Ok(self.row.holder(ptr.addr().get())?.tag())
    }

    /// Bytes of payload of the block at `ptr`: at least what was asked for. O(1).
    ///
    /// # Errors
    ///
    /// As for [`tag_of`](Heap::tag_of).
    pub fn usable_size(&self, ptr: NonNull<u8>) -> Result<usize, Error> {
        Ok(self.row.holder(ptr.addr().get())?.usable())
    }

    /// Whether the payload of a block that somebody holds starts at `ptr`. O(1) where it does.
    pub fn contains(&self, ptr: NonNull<u8>) -> bool {
        self.row.holder(ptr.addr().get()).is_ok()
    }

    /// All blocks in the order of their addresses, the root block first. Ends at the first damage.
    pub fn walk(&self) -> Walk<impl Image + '_> {
        Walk::new(&self.row)
    }

    /// The blocks under `tag` in the order of their addresses. O(blocks of the heap) for all of them.
    pub fn blocks_of(&self, tag: Tag) -> impl Iterator<Item = Result<Block, Corruption>> + '_ {
        self.walk().filter(move |block| match block {
            Ok(block) => block.tag() == Some(tag),
            Err(_) => true,
        })
    }

    /// Numbers about the whole heap. O(blocks).
    ///
    /// # Errors
    ///
    /// [`Corruption`] if a header is damaged.
    pub fn stats(&self) -> Result<Stats, Corruption> {
        let mut stats = Stats {
            row: self.end() - self.base(),
            granted: self.row.limit() - self.base(),
            ..Stats::default()
        };
        for block in self.walk() {
            stats.add(&block?);
        }
        Ok(stats)
    }

    /// Blocks and bytes (headers included) under `tag`. O(blocks of the heap).
    ///
    /// # Errors
    ///
    /// [`Corruption`] if a header is damaged.
    pub fn stats_of(&self, tag: Tag) -> Result<Amount, Corruption> {
        let mut amount = Amount::default();
        for block in self.blocks_of(tag) {
            amount.add(&block?);
        }
        Ok(amount)
    }

    /// Checks everything: that the memory is still there, the root block, every header, and the
    /// invariants H1 to H5. O(blocks).
    ///
    /// # Errors
    ///
    /// The first [`Corruption`] found.
    pub fn check(&self) -> Result<(), Corruption> {
        self.source.frontier()?;
        self.root.check(&self.row)?;
        let mut free = 0;
        let mut before_is_free = false;
        for block in self.walk() {
            let block = block?;
            let is_last = block.end() == self.end();
            if R::SPLITS && block.is_free() && (before_is_free || is_last) {
                return Err(Corruption::Uncoalesced { at: block.at });
            }
            if !self.placement.agrees(&block) {
                return Err(Corruption::Index { at: block.at });
            }
            free += usize::from(block.is_free());
            before_is_free = block.is_free();
        }
        match self.placement.count() {
            Some(count) if count != free => Err(Corruption::Index { at: self.base() }),
            _ => Ok(()),
        }
    }

    /// Refuses a row with any damaged header.
    pub(super) fn verify_headers(&self) -> Result<(), Corruption> {
        self.walk().try_for_each(|block| block.map(|_| ()))
    }

    /// A picture of the row in text: each block as its tag and bytes, free ones in brackets.
    pub fn drawing(&self) -> impl Display + '_ {
        Drawing(&self.row)
    }

    /// A table in text: blocks, bytes and payload by tag.
    pub fn table(&self) -> impl Display + '_ {
        Table(&self.row)
    }
}
