//! A heap as its bytes tell it: the root block, and all others by a walk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tagheap::{Block, Bytes, Header, Image, Root, SMALLEST, State, Tag, TagStats, Walk};

use crate::memory::Memory;

/// How long a heap that changes is read again and again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two tries: a change takes less.
const PAUSE: Duration = Duration::from_micros(200);

/// Accounts that are read at most: what says that there are more is no root block.
const MOST: usize = 1 << 24;

/// Bytes that are read together.
const WINDOW: usize = 16 << 10;

/// A heap.
#[derive(Debug, Serialize)]
pub(crate) struct Heap {
    /// The address of the first block.
    pub(crate) base: u64,
    /// The address behind the last.
    pub(crate) end: u64,
    /// The address behind the memory that is granted to it.
    pub(crate) limit: u64,
    pub(crate) rule: &'static str,
    /// Changes to the row until then.
    pub(crate) changes: u64,
    /// It changed while it was read, each time: what is told is of no one moment.
    pub(crate) is_torn: bool,
    /// The process ended, or stood still, in the middle of a change.
    pub(crate) is_in_change: bool,
    #[serde(serialize_with = "told::blocks")]
    pub(crate) blocks: Vec<Block>,
    /// What each tag has, and what is free, by bytes, the most first.
    pub(crate) tags: Vec<Amounts>,
    pub(crate) damage: Option<Damage>,
}

/// Blocks of one tag, or free ones.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Amounts {
    #[serde(serialize_with = "told::state")]
    pub(crate) tag: State,
    pub(crate) blocks: usize,
    pub(crate) bytes: usize,
    pub(crate) payload: usize,
    /// Bytes of the largest.
    pub(crate) largest: usize,
    /// What the heap knows of the tag besides, if it has an account.
    pub(crate) account: Option<Account>,
}

/// What a heap knows of a tag, and no block says.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Account {
    /// What it is called besides; empty unless somebody said so.
    pub(crate) name: String,
    pub(crate) requested: usize,
    pub(crate) peak: usize,
    pub(crate) allocations: u64,
    pub(crate) deallocations: u64,
    pub(crate) failures: u64,
    pub(crate) limit: Option<usize>,
}

/// Where no header stands, and what does.
#[derive(Debug, Serialize)]
pub(crate) struct Damage {
    /// The address.
    pub(crate) at: usize,
    /// The four words there, if there are any.
    pub(crate) words: Option<[u64; 4]>,
    /// The block in front of it, whose holder may have written too far.
    #[serde(serialize_with = "told::block")]
    pub(crate) behind: Option<Block>,
}

/// How what is decoded looks in JSON.
mod told {
    use serde::{Serialize, Serializer};
    use tagheap::{Block, State};

    #[derive(Serialize)]
    struct Told {
        at: usize,
        size: usize,
        /// None of a free block.
        tag: Option<String>,
        number: Option<u64>,
    }

    fn tell(block: &Block) -> Told {
        Told {
            at: block.at,
            size: block.size,
            tag: block.tag().map(|tag| tag.to_string()),
            number: block.tag().map(|tag| tag.number()),
        }
    }

    pub(super) fn blocks<S: Serializer>(blocks: &[Block], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(blocks.iter().map(tell))
    }

    pub(super) fn block<S: Serializer>(block: &Option<Block>, to: S) -> Result<S::Ok, S::Error> {
        block.as_ref().map(tell).serialize(to)
    }

    pub(super) fn state<S: Serializer>(state: &State, to: S) -> Result<S::Ok, S::Error> {
        match state {
            State::Free => to.serialize_none(),
            State::Used(tag) => to.serialize_str(&tag.to_string()),
        }
    }
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
        let mut window = self.window.borrow_mut();
        if let Some(header) = Bytes::new(window.0, &window.1).header(at) {
            return Some(header);
        }
        let mut bytes = vec![0; WINDOW];
        let there = self.memory.read(at as u64, &mut bytes);
        bytes.truncate(there);
        *window = (at, bytes);
        Bytes::new(window.0, &window.1).header(at)
    }
}

impl Heap {
    /// Reads the one whose root block stands at an address; `None` if it is gone meanwhile.
    pub(crate) fn read(memory: &Memory, at: u64) -> Option<Self> {
        let root = || {
            let mut bytes = [0; Root::BLOCK];
            memory.read(at, &mut bytes);
            Root::decode(at as usize, &bytes)
        };
        let begin = Instant::now();
        loop {
            let before = root()?;
            let mut heap = Self::walk(memory, &before);
            heap.is_torn = before.epoch != root()?.epoch;
            let is_steady = !heap.is_torn && !heap.is_in_change;
            if is_steady || !memory.is_live || begin.elapsed() > PATIENCE {
                // What looks like damage while it changes may be none.
                heap.damage = heap.damage.filter(|_| !heap.is_torn);
                return Some(heap);
            }
            thread::sleep(PAUSE);
        }
    }

    fn walk(memory: &Memory, root: &Root) -> Self {
        let row = Row {
            memory,
            base: root.base as usize,
            end: root.end as usize,
            window: RefCell::default(),
        };
        let mut blocks: Vec<Block> = Vec::new();
        let mut damage = None;
        for block in Walk::new(&row) {
            match block {
                Ok(block) => blocks.push(block),
                Err(_) => {
                    let at = blocks.last().map_or(row.base, Block::end);
                    let header = row.header(at);
                    damage = Some(Damage {
                        at,
                        words: header.map(words),
                        behind: blocks.last().copied(),
                    });
                }
            }
        }
        Self {
            base: root.base,
            end: root.end,
            limit: root.limit,
            rule: if root.coalesces == 1 {
                "split"
            } else {
                "whole"
            },
            changes: root.epoch / 2,
            is_torn: false,
            is_in_change: root.epoch % 2 == 1,
            tags: amounts(&blocks, &accounts(memory, root)),
            blocks,
            damage,
        }
    }
}

/// The accounts that the root block tells of, as far as they can be read.
fn accounts(memory: &Memory, root: &Root) -> Vec<TagStats> {
    let entries = usize::try_from(root.entries).unwrap_or(0).min(MOST);
    let mut bytes = vec![0; entries * TagStats::ENTRY];
    let there = memory.read(root.accounts, &mut bytes);
    let entries = bytes
        .get(..there)
        .unwrap_or_default()
        .chunks(TagStats::ENTRY);
    entries.filter_map(TagStats::decode).collect()
}

/// The row as it was read.
impl Image for Heap {
    fn base(&self) -> usize {
        self.base as usize
    }

    /// Up to damage: a walk says what that is of the bytes.
    fn end(&self) -> usize {
        match &self.damage {
            Some(damage) => damage.at + SMALLEST,
            None => self.end as usize,
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

/// What tags have, those that had something before, too.
fn amounts(blocks: &[Block], accounts: &[TagStats]) -> Vec<Amounts> {
    let nothing = |tag| Amounts {
        tag,
        blocks: 0,
        bytes: 0,
        payload: 0,
        largest: 0,
        account: None,
    };
    let mut by_tag: BTreeMap<Option<Tag>, Amounts> = BTreeMap::new();
    for known in accounts {
        let account = Account {
            name: known.name.to_string(),
            requested: known.requested,
            peak: known.peak,
            allocations: known.allocations,
            deallocations: known.deallocations,
            failures: known.failures,
            limit: known.limit,
        };
        let amounts = Amounts {
            account: Some(account),
            ..nothing(State::Used(known.tag))
        };
        by_tag.insert(Some(known.tag), amounts);
    }
    for block in blocks {
        let amounts = by_tag.entry(block.tag()).or_insert(nothing(block.state));
        amounts.blocks += 1;
        amounts.bytes += block.size;
        amounts.payload += block.usable();
        amounts.largest = amounts.largest.max(block.size);
    }
    let mut all: Vec<_> = by_tag.into_values().collect();
    let peak = |amounts: &Amounts| amounts.account.as_ref().map_or(0, |account| account.peak);
    all.sort_by_key(|amounts| core::cmp::Reverse((amounts.bytes, peak(amounts))));
    all
}
