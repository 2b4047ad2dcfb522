//! Snapshots, and what became of the numbers between two.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use tagheap::{Changes, Error, Placement, Rule, Shortage, Source, Tag, TagChange, TagStats};

use super::numbers::Numbers;
use super::rig::{Rig, TAGS};

/// Tags that a snapshot has room for: more than a program has.
const ROOM: usize = 16;

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    /// Notes the numbers, and looks what became of those noted last.
    pub(super) fn snapshot(&mut self) {
        let mut room = [TagStats::none(Tag::FREE); ROOM];
        let stats = self.heap.snapshot(&mut room).unwrap().to_vec();
        let tags: Vec<Tag> = stats.iter().map(|stats| stats.tag).collect();
        assert_eq!(tags, self.tags());
        if let Some(less) = tags.len().checked_sub(1) {
            let error = self.heap.snapshot(&mut room[..less]).unwrap_err();
            let lacks_room = |cause| matches!(cause, Shortage::Tags { room, .. } if room == less);
            let is_lack = matches!(error, Error::OutOfMemory(lacking) if lacks_room(lacking.cause));
            assert!(is_lack, "{error}");
        }
        let numbers = self.numbers();
        if let Some((before, of_before)) = &self.noted {
            let changes = Changes::between(before, &stats);
            let wanted = |tag| numbers[&tag].since(of_before[&tag]);
            assert_changes(&changes, wanted);
        }
        self.noted = Some((stats, numbers));
    }

    /// The tags of which something is known, in their order.
    fn tags(&self) -> Vec<Tag> {
        if self.model.has_ledger {
            return self.model.accounts.keys().copied().collect();
        }
        let holders = self.model.in_use().map(|(_, block)| block.tag);
        BTreeSet::from_iter(holders).into_iter().collect()
    }
}

fn assert_changes(changes: &Changes<'_, TagStats>, wanted: impl Fn(Tag) -> Numbers) {
    let mut by_tag: Vec<TagChange> = changes.by_tag().collect();
    for tag in TAGS {
        let change = changes.of(tag);
        let found = Numbers {
            blocks: change.blocks,
            bytes: change.bytes,
            requested: change.requested,
            allocations: change.allocations,
            deallocations: change.deallocations,
            failures: change.failures,
        };
        assert_eq!(found, wanted(tag), "{tag}");
        let is_listed = by_tag.iter().any(|change| change.tag == tag);
        assert_eq!(is_listed, found != Numbers::default(), "{tag}");
    }
    by_tag.sort_by_key(|change| (Reverse(change.bytes), change.tag));
    let by_growth: Vec<TagChange> = changes.by_growth().collect();
    assert_eq!(by_tag, by_growth);
    assert_eq!(changes.to_string().lines().count(), by_growth.len() + 2);
}
