//! A heap as its bytes tell it: the root block, and all others by a walk.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use tagheap::{Block, Bytes, HEADER, Header, Image, Root, SMALLEST, Tag, Walk};

use crate::memory::Memory;
use crate::tally::{Amounts, Tally, accounts};

/// How long a heap that changes is read again and again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two tries: a change takes less.
const PAUSE: Duration = Duration::from_micros(200);

/// What is read together: where a header stands, a page is filled, and what is behind that may not be.
const PAGE: usize = 4096;

/// A heap.
#[derive(Debug)]
pub(crate) struct Heap {
    /// The address of the first block.
    pub(crate) base: usize,
    /// The address behind the last.
    pub(crate) end: usize,
    /// The address behind the memory that is granted to it.
    pub(crate) limit: u64,
    pub(crate) rule: &'static str,
    /// Changes to the row until then.
    pub(crate) changes: u64,
    /// It changed while it was read, each time: what is told is of no one moment.
    pub(crate) is_torn: bool,
    /// The process ended, or stood still, in the middle of a change.
    pub(crate) is_in_change: bool,
    /// How many blocks.
    pub(crate) count: usize,
    /// Each of them, where they are asked for.
    pub(crate) blocks: Vec<Block>,
    /// What each tag has, and what is free, by bytes, the most first.
    pub(crate) tags: Vec<Amounts>,
    /// Accounts that say otherwise than the row.
    pub(crate) strange: usize,
    pub(crate) damage: Option<Damage>,
}

/// Where no header stands, and what does.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The address.
    pub(crate) at: usize,
    /// The four words there, if there are any.
    pub(crate) words: Option<[u64; 4]>,
    /// The block in front of it, whose holder may have written too far.
    pub(crate) behind: Option<Block>,
}

/// How heaps are read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    memory: &'a Memory,
    /// Whether blocks are asked for, each.
    keeps_blocks: bool,
    /// How long those that change may be read again and again, all of them.
    patience: Duration,
}

/// The row of a heap in some memory, of which one stretch is at hand.
struct Row<'a> {
    memory: &'a Memory,
    base: usize,
    end: usize,
    window: RefCell<(usize, Vec<u8>)>,
}

impl Image for Row<'_> {
    fn base(&self) -> usize {
        self.base
    }

    fn end(&self) -> usize {
        self.end
    }

    fn header(&self, at: usize) -> Option<Header> {
        let (start, bytes) = &mut *self.window.borrow_mut();
        if let Some(header) = Bytes::new(*start, bytes).header(at) {
            return Some(header);
        }
        let end = at.checked_add(HEADER)?.checked_next_multiple_of(PAGE)?;
        bytes.resize(end - at, 0);
        let there = self.memory.read(at as u64, bytes);
        bytes.truncate(there);
        *start = at;
        Bytes::new(at, bytes).header(at)
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(memory: &'a Memory, keeps_blocks: bool) -> Self {
        Self {
            memory,
            keeps_blocks,
            patience: 5 * PATIENCE,
        }
    }

    /// Reads the heap whose root block stands at an address; `None` if it is gone meanwhile.
    pub(crate) fn read(&mut self, at: u64) -> Option<Heap> {
        let root = || {
            let mut bytes = [0; Root::BLOCK];
            self.memory.read(at, &mut bytes);
            Root::decode(at as usize, &bytes)
        };
        let begin = Instant::now();
        let left = self.memory.left();
        loop {
            let before = root()?;
            let mut heap = self.walk(&before);
            heap.is_torn = before.epoch != root()?.epoch;
            let is_steady = !heap.is_torn && !heap.is_in_change;
            if is_steady || !self.memory.is_live || begin.elapsed() > self.patience.min(PATIENCE) {
                // What looks like damage while it changes may be none.
                heap.damage = heap.damage.filter(|_| !heap.is_torn);
                if !is_steady {
                    // Nor has what differs then.
                    heap.trust_accounts();
                }
                if !is_steady && self.memory.is_live {
                    self.patience = self.patience.saturating_sub(begin.elapsed());
                }
                return Some(heap);
            }
            thread::sleep(PAUSE);
            self.memory.read_again(left);
        }
    }

    fn walk(&self, root: &Root) -> Heap {
        let row = Row {
            memory: self.memory,
            base: root.base as usize,
            end: root.end as usize,
            window: RefCell::default(),
        };
        let mut tally = Tally::default();
        let mut blocks = Vec::new();
        let mut count = 0;
        let mut last: Option<Block> = None;
        let mut damage = None;
        for block in Walk::new(&row) {
            match block {
                Ok(block) => {
                    tally.add(&block);
                    if self.keeps_blocks {
                        blocks.push(block);
                    }
                    count += 1;
                    last = Some(block);
                }
                Err(_) => {
                    let at = last.as_ref().map_or(row.base, Block::end);
                    damage = Some(Damage {
                        at,
                        words: row.header(at).map(words),
                        behind: last,
                    });
                }
            }
        }
        let accounts = accounts(self.memory, root);
        let (tags, strange) = tally.with_accounts(accounts, damage.is_none());
        Heap {
            base: row.base,
            end: row.end,
            limit: root.limit,
            rule: if root.coalesces == 1 {
                "split"
            } else {
                "whole"
            },
            changes: root.epoch / 2,
            is_torn: false,
            is_in_change: root.epoch % 2 == 1,
            count,
            blocks,
            tags,
            strange,
            damage,
        }
    }
}

impl Heap {
    fn trust_accounts(&mut self) {
        self.strange = 0;
        for account in self.tags.iter_mut().filter_map(|its| its.account.as_mut()) {
            account.agrees = true;
        }
    }

    /// The address behind what was told of the row.
    pub(crate) fn told_to(&self) -> usize {
        self.damage.as_ref().map_or(self.end, |damage| damage.at)
    }
}

/// The row as it was read, where each block was kept.
impl Image for Heap {
    fn base(&self) -> usize {
        self.base
    }

    /// Up to damage: a walk says what that is of the bytes.
    fn end(&self) -> usize {
        match &self.damage {
            Some(damage) => damage.at.saturating_add(SMALLEST),
            None => self.end,
        }
    }

    fn header(&self, at: usize) -> Option<Header> {
        let nth = self
            .blocks
            .binary_search_by_key(&at, |block| block.at)
            .ok()?;
        let block = self.blocks.get(nth)?;
        Some(Header {
            in_use: u64::from(!block.is_free()),
            size: block.size as u64,
            tag: block.tag().unwrap_or(Tag::FREE),
            slot: 0,
            check: 0,
        })
    }
}

fn words(header: Header) -> [u64; 4] {
    let last = u64::from(header.slot) | u64::from(header.check) << 32;
    [header.in_use, header.size, header.tag.number(), last]
}
