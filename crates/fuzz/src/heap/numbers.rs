//! The whole row, and every number that the heap tells, against the model.

use std::collections::{BTreeMap, BTreeSet};

use tagheap::{Bytes, Drawing, Placement, Rule, Source, Table, Tag, Walk};

use super::model::Block;
use super::rig::{Rig, TAGS};
use crate::memory;
use crate::piece::Piece;

/// What a tag holds, and what was counted for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) blocks: isize,
    pub(super) bytes: isize,
    pub(super) requested: isize,
    pub(super) allocations: u64,
    pub(super) deallocations: u64,
    pub(super) failures: u64,
}

impl Numbers {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            blocks: self.blocks - before.blocks,
            bytes: self.bytes - before.bytes,
            requested: self.requested - before.requested,
            allocations: self.allocations - before.allocations,
            deallocations: self.deallocations - before.deallocations,
            failures: self.failures - before.failures,
        }
    }
}

/// Bytes of a row up to which its text and its copy are looked at, too.
const SHORT: usize = 1 << 14;

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    /// What the model knows of each tag. Where nothing is counted, the counts are 0.
    pub(super) fn numbers(&self) -> BTreeMap<Tag, Numbers> {
        let mut numbers: BTreeMap<Tag, Numbers> = TAGS.map(|tag| (tag, Numbers::default())).into();
        for (tag, numbers) in &mut numbers {
            for (_, block) in self.model.in_use().filter(|(_, block)| block.tag == *tag) {
                numbers.blocks += 1;
                numbers.bytes += block.size as isize;
                numbers.requested += block.requested() as isize;
            }
            if let (Some(account), true) = (self.model.accounts.get(tag), self.model.has_ledger) {
                numbers.allocations = account.allocations;
                numbers.deallocations = account.deallocations;
                numbers.failures = account.failures;
            }
        }
        numbers
    }

    /// The heap is what the model says. While it is damaged on purpose, `damage` looks at it instead.
    pub(super) fn compare(&self) {
        if !self.damage.is_empty() {
            return;
        }
        if let Err(damage) = self.heap.check() {
            panic!("{damage}\n{}", self.heap.drawing());
        }
        self.compare_row();
        self.compare_accounts();
        self.compare_sums();
        self.compare_forecasts();
        if self.heap.end() - self.heap.base() < SHORT {
            self.compare_copy();
        }
    }

    fn compare_row(&self) {
        let row = self.heap.walk().map(|block| {
            let block = block.unwrap();
            (block.at, block.size, block.tag().unwrap_or(Tag::FREE))
        });
        let wanted = self.model.blocks.iter();
        let wanted = wanted.map(|block| (block.at, block.size, block.tag));
        assert!(row.eq(wanted), "{}\n{:x?}", self.heap.drawing(), self.model);
        assert_eq!(self.heap.end(), self.model.end);
        for (_, block) in self.model.in_use() {
            block.piece().inspect(Piece::assert_edges);
        }
    }

    fn compare_accounts(&self) {
        for (tag, wanted) in self.numbers() {
            let stats = self.heap.stats_of(tag).unwrap();
            let found = Numbers {
                blocks: stats.blocks as isize,
                bytes: stats.bytes as isize,
                requested: stats.requested as isize,
                allocations: stats.allocations,
                deallocations: stats.deallocations,
                failures: stats.failures,
            };
            assert_eq!(found, wanted, "{tag}");
            if !self.model.has_ledger {
                continue;
            }
            let account = self.model.accounts.get(&tag).cloned().unwrap_or_default();
            assert_eq!(
                (stats.largest, stats.peak, stats.limit, stats.name.as_str()),
                (account.largest, account.peak, account.limit, &*account.name),
                "{tag}"
            );
        }
    }

    fn compare_sums(&self) {
        let stats = self.heap.stats().unwrap();
        assert_eq!(
            stats.used.bytes + stats.free.bytes + stats.own.bytes,
            stats.row
        );
        assert_eq!(stats.row, self.model.end - self.heap.base());
        assert_eq!(stats.used.blocks, self.model.in_use().count());
        let free = self.model.blocks.iter().filter(|block| block.is_free());
        let largest = free.map(|block| block.size).max();
        assert_eq!(stats.largest_free, largest.unwrap_or(0));
    }

    fn compare_forecasts(&self) {
        let used = || self.model.blocks.iter().filter(|block| !block.is_free());
        let last = used().next_back().filter(|last| last.held.is_some());
        assert_eq!(self.heap.pinned_by(), Ok(last.map(|last| last.tag)));
        let numbers = self.numbers();
        for tag in [TAGS[0], TAGS[6]] {
            let forecast = self.heap.would_release(tag).unwrap();
            let stay = used().filter(|block| block.tag != tag);
            let end = if R::SPLITS {
                stay.map(Block::end).max().unwrap_or(self.heap.base())
            } else {
                self.model.end
            };
            let amount = forecast.amount;
            assert_eq!(
                (amount.blocks as isize, amount.bytes as isize, forecast.end),
                (numbers[&tag].blocks, numbers[&tag].bytes, end),
                "{tag}"
            );
        }
    }

    /// Who has only a copy of the row sees in it what the heap does.
    fn compare_copy(&self) {
        let copy = memory::copy(self.heap.base(), self.heap.end() - self.heap.base());
        let image = Bytes::new(self.heap.base(), &copy);
        assert!(Walk::new(image).eq(self.heap.walk()));
        assert_eq!(Drawing(image).to_string(), self.heap.drawing().to_string());
        let used = self.model.blocks.iter().filter(|block| !block.is_free());
        let holders: BTreeSet<Tag> = used.map(|block| block.tag).collect();
        for table in [self.heap.table().to_string(), Table(image).to_string()] {
            assert_eq!(table.lines().count(), 2 + holders.len(), "{table}");
        }
    }
}
