//! What tags have: by the blocks of a row, and by what the heap knows of them besides.

use std::cmp::Reverse;
use std::collections::HashMap;

use tagheap::{Amount, Block, Root, State, Tag, TagStats};

use crate::memory::Memory;

/// Accounts that are read at most: what says that there are more is no root block.
const MOST: usize = 1 << 24;

/// Accounts that are read together.
const TOGETHER: usize = 128;

/// Blocks of one tag, or free ones.
#[derive(Clone, Debug)]
pub(crate) struct Amounts {
    pub(crate) tag: State,
    pub(crate) amount: Amount,
    /// Bytes of the largest block.
    pub(crate) largest: usize,
    /// What the heap knows of the tag besides, if it has an account.
    pub(crate) account: Option<Account>,
}

/// What a heap knows of a tag.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) stats: TagStats,
    /// Whether it says the same of the tag's blocks as the row does. Its other numbers may be as wrong where not.
    pub(crate) agrees: bool,
}

impl Amounts {
    fn none(tag: State) -> Self {
        Self {
            tag,
            amount: Amount::default(),
            largest: 0,
            account: None,
        }
    }

    /// What the tag is called besides; empty unless somebody said so.
    pub(crate) fn name(&self) -> &str {
        let account = self.account.as_ref();
        account.map_or("", |account| account.stats.name.as_str())
    }

    /// The most that it held, as far as that is known.
    pub(crate) fn peak(&self) -> Option<usize> {
        let account = self.account.as_ref().filter(|account| account.agrees)?;
        Some(account.stats.peak)
    }
}

/// Amounts by tag.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    amounts: Vec<Amounts>,
    places: HashMap<Option<Tag>, usize>,
}

impl Tally {
    pub(crate) fn add(&mut self, block: &Block) {
        let its = self.of(block.state);
        if let Some(its) = its {
            its.amount.blocks += 1;
            its.amount.bytes += block.size;
            its.largest = its.largest.max(block.size);
        }
    }

    fn of(&mut self, state: State) -> Option<&mut Amounts> {
        let tag = match state {
            State::Free => None,
            State::Used(tag) => Some(tag),
        };
        let place = *self.places.entry(tag).or_insert(self.amounts.len());
        if place == self.amounts.len() {
            self.amounts.push(Amounts::none(state));
        }
        self.amounts.get_mut(place)
    }

    /// What tags have, those that had something before, too, the most first; and how many accounts say otherwise than the
    /// blocks of a row. Of one that was not walked to its end an account may say more.
    pub(crate) fn with_accounts(
        mut self,
        accounts: impl Iterator<Item = TagStats>,
        is_whole: bool,
    ) -> (Vec<Amounts>, usize) {
        let mut strange = 0;
        for stats in accounts {
            let place = self.places.get(&Some(stats.tag)).copied();
            let held = place.and_then(|place| self.amounts.get(place));
            let is_first = held.is_none_or(|held| held.account.is_none());
            let held = held.map_or(Amount::default(), |held| held.amount);
            let said = stats.amount();
            let is_enough = said.blocks >= held.blocks && said.bytes >= held.bytes;
            let is_so = if is_whole { said == held } else { is_enough };
            let agrees = is_so && stats.peak >= said.bytes;
            strange += usize::from(!agrees);
            // What says that a tag has blocks that are nowhere is rather no account than a wrong one.
            if stats.tag.is_reserved() || !is_first || (!agrees && held.blocks == 0) {
                continue;
            }
            if let Some(its) = self.of(State::Used(stats.tag)) {
                its.account = Some(Account { stats, agrees });
            }
        }
        let mut all = self.amounts;
        all.sort_unstable_by_key(|its| {
            let tag = match its.tag {
                State::Free => Tag::FREE,
                State::Used(tag) => tag,
            };
            (Reverse((its.amount.bytes, its.peak())), tag)
        });
        (all, strange)
    }
}

/// The accounts that the root block tells of, as far as they can be read: behind the last begins what was never written.
pub(crate) fn accounts<'a>(
    memory: &'a Memory,
    root: &Root,
) -> impl Iterator<Item = TagStats> + use<'a> {
    let entries = usize::try_from(root.entries).map_or(MOST, |entries| entries.min(MOST));
    let start = root.accounts;
    let stretches = (0..entries).step_by(TOGETHER).map_while(move |first| {
        let at = start.checked_add((first * TagStats::ENTRY) as u64)?;
        let mut bytes = vec![0; TOGETHER.min(entries - first) * TagStats::ENTRY];
        let there = memory.read(at, &mut bytes);
        bytes.truncate(there);
        (there > 0).then_some(bytes)
    });
    let entries = stretches.flat_map(|bytes| {
        let entries = bytes.chunks(TagStats::ENTRY).map(TagStats::decode);
        entries.collect::<Vec<_>>()
    });
    entries.map_while(|entry| entry)
}
