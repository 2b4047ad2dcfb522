//! The row and the accounts, kept by hand: so plain that they are unlikely to be wrong.

use std::alloc::Layout;
use std::collections::BTreeMap;

use tagheap::{HEADER, Root, SMALLEST, Shortage, Tag, UNIT};

use crate::piece::Piece;
use crate::sources::Growth;

/// A block of the row. Free ones have the tag 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) at: usize,
    pub(super) size: usize,
    pub(super) tag: Tag,
    /// What somebody asked for; of free blocks and the heap's own, none.
    pub(super) held: Option<Held>,
}

/// What is known of a block in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) layout: Layout,
    pub(super) id: u32,
    /// How many marks were made before it was allocated.
    pub(super) age: usize,
}

/// Bytes nobody asked for, as far as a header tells them.
const MOST_SLACK: usize = 63;

impl Block {
    pub(super) fn free(at: usize, size: usize) -> Self {
        Self::own(at, size, Tag::FREE)
    }

    /// A block of the heap's own.
    fn own(at: usize, size: usize, tag: Tag) -> Self {
        let held = None;
        Self {
            at,
            size,
            tag,
            held,
        }
    }

    pub(super) fn end(&self) -> usize {
        self.at + self.size
    }

    pub(super) fn is_free(&self) -> bool {
        self.tag == Tag::FREE
    }

    pub(super) fn payload(&self) -> usize {
        self.at + HEADER
    }

    pub(super) fn usable(&self) -> usize {
        self.size - HEADER
    }

    /// What somebody has of it.
    pub(super) fn piece(&self) -> Option<Piece> {
        let Held { layout, id, .. } = self.held?;
        let at = self.payload();
        Some(Piece { at, layout, id })
    }

    /// The size asked for, as far as the heap knows it.
    pub(super) fn requested(&self) -> usize {
        let asked = self.held.map_or(0, |held| held.layout.size());
        self.usable() - (self.usable() - asked).min(MOST_SLACK)
    }

    /// Whether a size passes for the one asked for.
    pub(super) fn passes(&self, size: usize) -> bool {
        let asked = self.held.map_or(0, |held| held.layout.size());
        let is_exact = self.usable() - asked < MOST_SLACK;
        size == self.requested() || (!is_exact && size < self.requested())
    }
}

/// What is counted for a tag beside its blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) allocations: u64,
    pub(super) deallocations: u64,
    pub(super) failures: u64,
    pub(super) largest: usize,
    pub(super) peak: usize,
    pub(super) limit: Option<usize>,
    pub(super) name: String,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: usize,
    /// The free block that it goes into; none beyond the row's end.
    index: Option<usize>,
    /// Bytes left free in front.
    front: usize,
    kept: usize,
    /// Up to where memory was granted when it was looked for.
    limit: usize,
}

/// A heap that only keeps the books.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) splits: bool,
    pub(super) growth: Growth,
    pub(super) has_ledger: bool,
    pub(super) end: usize,
    pub(super) blocks: Vec<Block>,
    pub(super) accounts: BTreeMap<Tag, Account>,
    last_id: u32,
}

impl Model {
    /// A new heap's: its root block alone.
    pub(super) fn new(base: usize, splits: bool, growth: Growth, has_ledger: bool) -> Self {
        let root = Block::own(base, Root::BLOCK, Tag::HEAP);
        Self {
            splits,
            growth,
            has_ledger,
            end: root.end(),
            blocks: vec![root],
            accounts: BTreeMap::new(),
            last_id: 0,
        }
    }

    pub(super) fn held(&self, tag: Tag) -> usize {
        let blocks = self.blocks.iter().filter(|block| block.tag == tag);
        blocks.map(|block| block.size).sum()
    }

    /// Blocks in use by somebody, and their places in the row.
    pub(super) fn in_use(&self) -> impl Iterator<Item = (usize, &Block)> {
        let blocks = self.blocks.iter().enumerate();
        blocks.filter(|(_, block)| block.held.is_some())
    }

    pub(super) fn account(&mut self, tag: Tag) -> &mut Account {
        self.accounts.entry(tag).or_default()
    }

    /// The tag has an account from now on, where there are any.
    pub(super) fn open(&mut self, tag: Tag) {
        if self.has_ledger {
            self.account(tag);
        }
    }

    /// Whether a tag may hold so many bytes more.
    pub(super) fn allows(&self, tag: Tag, more: usize) -> Result<(), Shortage> {
        let limit = self.accounts.get(&tag).and_then(|account| account.limit);
        let held = self.held(tag);
        match limit {
            Some(limit) if held + more > limit => Err(Shortage::Limit { limit, held }),
            _ => Ok(()),
        }
    }

    /// Bytes of the block that a request needs.
    pub(super) fn wanted(layout: Layout) -> usize {
        layout.size().max(1).next_multiple_of(UNIT) + HEADER
    }

    /// Where a request goes, if memory is granted up to `limit`; or why it goes nowhere.
    pub(super) fn find(&self, tag: Tag, layout: Layout, limit: usize) -> Result<Place, Shortage> {
        let wanted = Self::wanted(layout);
        if wanted > isize::MAX as usize {
            return Err(Shortage::TooLarge);
        }
        let align = layout.align().max(UNIT);
        let free = self.blocks.iter().enumerate();
        for (index, block) in free.filter(|(_, block)| block.is_free()) {
            let front = front(block.at, align);
            if front + wanted > block.size || (!self.splits && front > 0) {
                continue;
            }
            let whole = block.size - front;
            let is_cut = self.splits && whole - wanted >= SMALLEST;
            let kept = if is_cut { wanted } else { whole };
            self.allows(tag, kept)?;
            return Ok(Place {
                at: block.at + front,
                index: Some(index),
                front,
                kept,
                limit,
            });
        }
        self.allows(tag, wanted)?;
        self.beyond(wanted, align, limit)
    }

    /// A place at the row's end, or behind what others have there.
    fn beyond(&self, wanted: usize, align: usize, limit: usize) -> Result<Place, Shortage> {
        let place = |start| {
            let front = front(start, align);
            Place {
                at: start + front,
                index: None,
                front,
                kept: wanted,
                limit,
            }
        };
        let next = place(self.end);
        if next.at + wanted <= limit {
            return Ok(next);
        }
        let next = place(self.growth.overtaken(limit).unwrap_or(self.end));
        let is_granted = self.growth.grants(next.at + wanted);
        is_granted.then_some(next).ok_or(Shortage::Refused)
    }

    /// Puts a request's block there, and answers it.
    pub(super) fn put(&mut self, place: Place, tag: Tag, layout: Layout, age: usize) -> Block {
        self.last_id += 1;
        let id = self.last_id;
        let block = Block {
            at: place.at,
            size: place.kept,
            tag,
            held: Some(Held { layout, id, age }),
        };
        match place.index {
            Some(index) => self.put_into(index, place.front, block),
            None => self.put_behind(place, block),
        }
        self.note_peak(tag);
        block
    }

    fn put_into(&mut self, index: usize, front: usize, block: Block) {
        let whole = self.blocks.remove(index);
        let before = Block::free(whole.at, front);
        let behind = Block::free(block.end(), whole.end() - block.end());
        let parts = [before, block, behind];
        let parts = parts.into_iter().filter(|part| part.size > 0);
        self.blocks.splice(index..index, parts);
    }

    fn put_behind(&mut self, place: Place, block: Block) {
        let start = block.at - place.front;
        if start != self.end {
            self.fence(place.limit, start);
        }
        if place.front > 0 {
            self.blocks.push(Block::free(start, place.front));
        }
        self.end = block.end();
        self.blocks.push(block);
    }

    /// A block around what others have between two addresses.
    fn fence(&mut self, from: usize, to: usize) {
        let from = from / UNIT * UNIT;
        if from - self.end >= SMALLEST {
            self.blocks.push(Block::free(self.end, from - self.end));
            self.end = from;
        }
        let fence = Block::own(self.end, to - self.end, Tag::FOREIGN);
        self.blocks.push(fence);
    }

    pub(super) fn note_peak(&mut self, tag: Tag) {
        let held = self.held(tag);
        let account = self.account(tag);
        account.peak = account.peak.max(held);
    }

    /// Joins free blocks that touch, and shortens the row by one at its end.
    pub(super) fn coalesce(&mut self) {
        if !self.splits {
            return;
        }
        let mut joined: Vec<Block> = Vec::with_capacity(self.blocks.len());
        for block in self.blocks.drain(..) {
            match joined.last_mut() {
                Some(last) if last.is_free() && block.is_free() => last.size += block.size,
                _ => joined.push(block),
            }
        }
        if let Some(last) = joined.pop_if(|last| last.is_free()) {
            self.end = last.at;
        }
        self.blocks = joined;
    }

    /// Frees blocks, without joining them.
    pub(super) fn free(&mut self, index: usize) {
        let block = &mut self.blocks[index];
        *block = Block::free(block.at, block.size);
    }
}

/// Bytes left free in front of a block so that its payload is aligned: none, or enough for a block.
fn front(start: usize, align: usize) -> usize {
    if (start + HEADER).is_multiple_of(align) {
        return 0;
    }
    (start + HEADER + SMALLEST).next_multiple_of(align) - HEADER - start
}
