//! Questions to a heap, and its check of itself.

use core::fmt::Display;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::heap::table::Tabulated;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::draw::Drawing;
use crate::words::error::{Corruption, Error};
use crate::words::stats::{Amount, Forecast, Stats};
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

    /// Whose the block at `ptr` is. O(1). Where no payload starts there, the 32 bytes in front of it are read all the same,
    /// whoever holds them.
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

    /// Bytes that were asked for in the block at `ptr`: the size of its layout. O(1).
    ///
    /// Of a block reused for 63 bytes less than its payload or more, as happens under
    /// [`Whole`](crate::Whole), it is the payload less 63.
    ///
    /// # Errors
    ///
    /// As for [`tag_of`](Heap::tag_of).
    pub fn requested_size(&self, ptr: NonNull<u8>) -> Result<usize, Error> {
        Ok(self.row.holder(ptr.addr().get())?.requested())
    }

    /// What a release of `tag` would free, and where the row would end then; nothing is done. Of a tag of the heap's
    /// own that is nothing, and where it ends now. O(blocks).
    ///
    /// # Errors
    ///
    /// [`Corruption`] if a header is damaged.
    pub fn would_release(&self, tag: Tag) -> Result<Forecast, Corruption> {
        let mut amount = Amount::default();
        let mut end = self.base();
        for block in self.walk() {
            let block = block?;
            if block.tag() == Some(tag) && !tag.is_reserved() {
                amount.add(&block);
            } else if !block.is_free() {
                end = block.end();
            }
        }
        Ok(Forecast {
            amount,
            end: if R::SPLITS { end } else { self.end() },
        })
    }

    /// Whose block keeps the row's end from falling: the last one in use. `None` if that is the heap's own: the root
    /// block, or a fence around memory of somebody else. Under [`Whole`](crate::Whole), where the end never falls, the
    /// last one in use all the same. O(blocks).
    ///
    /// # Errors
    ///
    /// [`Corruption`] if a header is damaged.
    pub fn pinned_by(&self) -> Result<Option<Tag>, Corruption> {
        let mut last = None;
        for block in self.walk() {
            last = block?.tag().or(last);
        }
        Ok(last.filter(|tag| !tag.is_reserved()))
    }

    /// Checks everything: that the memory is still there, the root block, every header, and the
    /// invariants H1 to H6. O(blocks).
    ///
    /// # Errors
    ///
    /// The first [`Corruption`] found.
    pub fn check(&self) -> Result<(), Corruption> {
        self.source.frontier()?;
        self.root.check(&self.row, self.ledger.place())?;
        let mut stats = Stats::default();
        let mut before_is_free = false;
        for block in self.walk() {
            let block = block?;
            let is_last = block.end() == self.end();
            if R::SPLITS && block.is_free() && (before_is_free || is_last) {
                return Err(Corruption::Uncoalesced { at: block.at });
            }
            if !self.placement.agrees(&block, R::SPLITS) {
                return Err(Corruption::Index { at: block.at });
            }
            stats.add(&block);
            before_is_free = block.is_free();
        }
        if self
            .placement
            .count()
            .is_some_and(|count| count != stats.free.blocks)
        {
            return Err(Corruption::Index { at: self.base() });
        }
        self.check_accounts(stats.used)
    }

    /// Every list holds blocks of its tag, as many, as large, and for as much asked for, as the account says, and
    /// the accounts together have `used` blocks and bytes: so they have exactly these (H6). No peak is exceeded.
    fn check_accounts(&self, used: Amount) -> Result<(), Corruption> {
        if !self.ledger.is_on() {
            return Ok(());
        }
        let mut sum = Amount::default();
        for account in self.ledger.accounts() {
            let mut listed = Amount::default();
            let mut requested = 0;
            for place in 0..account.list.length() {
                if let Some(block) = self.listed(account, place)? {
                    listed.blocks += 1;
                    listed.bytes += block.size();
                    requested += block.requested();
                }
            }
            let counted = Amount {
                blocks: account.blocks,
                bytes: account.bytes,
            };
            let blocks = listed.blocks + account.list.unlisted as usize;
            let all_listed = (listed, requested) == (counted, account.requested);
            if blocks != counted.blocks
                || (account.is_listed() && !all_listed)
                || account.bytes > account.peak
            {
                return Err(Corruption::Account { tag: account.tag });
            }
            sum.blocks += counted.blocks;
            sum.bytes += counted.bytes;
        }
        if sum == used && self.ledger.blocks() == used.blocks {
            Ok(())
        } else {
            Err(Corruption::Account { tag: Tag::HEAP })
        }
    }

    /// Refuses a row with any damaged header.
    pub(super) fn verify_headers(&self) -> Result<(), Corruption> {
        self.walk().try_for_each(|block| block.map(|_| ()))
    }

    /// A picture of the row in text: each block as its tag and bytes, free ones in brackets. O(blocks) to print.
    #[must_use = "a picture that nobody prints"]
    pub fn drawing(&self) -> impl Display + '_ {
        Drawing(&self.row)
    }

    /// A table in text: blocks, bytes and payload of each tag that holds any, and its name where it has one; then what
    /// is free. O(blocks + tags) to print.
    ///
    /// ```
    /// # use core::alloc::Layout;
    /// # use tagheap::{Heap, Reserve, Tag};
    /// # let mut heap = Heap::new(Reserve::new()?)?;
    /// heap.allocate(Tag::named("level"), Layout::new::<[u8; 400]>())?;
    /// heap.allocate(Tag::new(7), Layout::new::<[u8; 96]>())?;
    /// heap.set_name(Tag::new(7), "second renderer")?;
    /// let table = [
    ///     "tag                    blocks        bytes      payload  name",
    ///     "(heap)                      1          128           96",
    ///     "level                       1          432          400",
    ///     "7                           1          128           96  second renderer",
    ///     "(free)                      0            0            0",
    /// ];
    /// assert_eq!(heap.table().to_string(), table.join("\n"));
    /// # Ok::<(), tagheap::Error>(())
    /// ```
    ///
    /// In a [`Buffer`](crate::Buffer) too small for a ledger as [`Table`](crate::Table), which makes one of the row alone.
    #[must_use = "a table that nobody prints"]
    pub fn table(&self) -> impl Display + '_ {
        Tabulated(self)
    }
}
