//! A heap in JSON.

use serde::{Serialize, Serializer};
use tagheap::{Block, HEADER, State, Tag, TagStats};

use crate::heap::{Damage, Heap};
use crate::tally::{Account, Amounts};

/// All of a heap.
#[derive(Debug, Serialize)]
pub(crate) struct Told<'a> {
    base: usize,
    end: usize,
    limit: u64,
    rule: &'a str,
    changes: u64,
    is_torn: bool,
    is_in_change: bool,
    #[serde(serialize_with = "each_block")]
    blocks: &'a [Block],
    #[serde(serialize_with = "each_tag")]
    tags: &'a [Amounts],
    /// Accounts that say otherwise than the row.
    strange_accounts: usize,
    damage: Option<ToldDamage>,
}

impl<'a> Told<'a> {
    pub(crate) fn new(heap: &'a Heap) -> Self {
        Self {
            base: heap.base,
            end: heap.end,
            limit: heap.limit,
            rule: heap.rule,
            changes: heap.changes,
            is_torn: heap.is_torn,
            is_in_change: heap.is_in_change,
            blocks: &heap.blocks,
            tags: &heap.tags,
            strange_accounts: heap.strange,
            damage: heap.damage.as_ref().map(ToldDamage::new),
        }
    }
}

#[derive(Debug, Serialize)]
struct ToldBlock {
    at: usize,
    size: usize,
    /// None of a free block.
    tag: Option<String>,
    number: Option<u64>,
}

impl From<&Block> for ToldBlock {
    fn from(block: &Block) -> Self {
        Self {
            at: block.at,
            size: block.size,
            tag: block.tag().map(|tag| tag.to_string()),
            number: block.tag().map(Tag::number),
        }
    }
}

#[derive(Debug, Serialize)]
struct ToldTag<'a> {
    /// None of what is free.
    tag: Option<String>,
    number: Option<u64>,
    blocks: usize,
    bytes: usize,
    payload: usize,
    largest: usize,
    account: Option<ToldAccount<'a>>,
}

impl<'a> From<&'a Amounts> for ToldTag<'a> {
    fn from(its: &'a Amounts) -> Self {
        let tag = match its.tag {
            State::Free => None,
            State::Used(tag) => Some(tag),
        };
        Self {
            tag: tag.map(|tag| tag.to_string()),
            number: tag.map(Tag::number),
            blocks: its.amount.blocks,
            bytes: its.amount.bytes,
            payload: its.amount.bytes - its.amount.blocks * HEADER,
            largest: its.largest,
            account: its.account.as_ref().map(ToldAccount::from),
        }
    }
}

/// What no block says.
#[derive(Debug, Serialize)]
struct ToldAccount<'a> {
    name: &'a str,
    requested: usize,
    peak: usize,
    allocations: u64,
    deallocations: u64,
    failures: u64,
    limit: Option<usize>,
    agrees: bool,
}

impl<'a> From<&'a Account> for ToldAccount<'a> {
    fn from(account: &'a Account) -> Self {
        let TagStats {
            name,
            requested,
            peak,
            allocations,
            deallocations,
            failures,
            limit,
            ..
        } = &account.stats;
        Self {
            name: name.as_str(),
            requested: *requested,
            peak: *peak,
            allocations: *allocations,
            deallocations: *deallocations,
            failures: *failures,
            limit: *limit,
            agrees: account.agrees,
        }
    }
}

#[derive(Debug, Serialize)]
struct ToldDamage {
    at: usize,
    /// None where they are not in this memory.
    words: Option<[u64; 4]>,
    behind: Option<ToldBlock>,
}

impl ToldDamage {
    fn new(damage: &Damage) -> Self {
        Self {
            at: damage.at,
            words: damage.words,
            behind: damage.behind.as_ref().map(ToldBlock::from),
        }
    }
}

fn each_block<S: Serializer>(blocks: &&[Block], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(blocks.iter().map(ToldBlock::from))
}

fn each_tag<S: Serializer>(tags: &&[Amounts], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(tags.iter().map(ToldTag::from))
}
