//! What became of numbers between any two snapshots, in order or not.

use std::cmp::Reverse;

use tagheap::{Changes, Name, Tag, TagStats};

use crate::input::Input;

/// Tags of a snapshot at most.
const TAGS: usize = 90;

fn snapshot(input: &mut Input) -> Vec<TagStats> {
    let count = input.below(TAGS);
    let is_sorted = input.byte() & 3 > 0;
    let mut snapshot: Vec<TagStats> = (0..count).map(|_| stats(input)).collect();
    if is_sorted {
        snapshot.sort_by_key(|stats| stats.tag);
        snapshot.dedup_by_key(|stats| stats.tag);
    }
    snapshot
}

fn stats(input: &mut Input) -> TagStats {
    let number = u64::from(input.byte()) << (input.byte() % 56);
    let mut stats = TagStats::none(Tag::new(number));
    stats.blocks = input.number() as usize;
    stats.bytes = input.number() as usize;
    stats.requested = input.number() as usize;
    stats.peak = input.number() as usize;
    stats.allocations = input.number();
    stats.deallocations = input.number();
    stats.failures = input.number();
    stats.largest = input.number() as usize;
    if input.byte().is_multiple_of(8) {
        let letters = [input.byte(), input.byte()];
        stats.name = Name::new(&String::from_utf8_lossy(&letters));
    }
    stats
}

pub(super) fn between_two(input: &mut Input) {
    let (before, after) = (snapshot(input), snapshot(input));
    let changes = Changes::between(&before, &after);
    let most = before.len() + after.len();
    let by_growth: Vec<_> = changes.by_growth().take(most + 1).collect();
    assert!(by_growth.len() <= most, "it does not end");
    assert_eq!(changes.to_string().lines().count(), by_growth.len() + 2);
    let is_sorted = |stats: &[TagStats]| stats.is_sorted_by(|one, next| one.tag < next.tag);
    if is_sorted(&before) && is_sorted(&after) {
        let mut by_tag: Vec<_> = changes.by_tag().collect();
        for change in &by_tag {
            assert_eq!(changes.of(change.tag), *change);
        }
        by_tag.sort_by_key(|change| (Reverse(change.bytes), change.tag));
        assert_eq!(by_tag, by_growth);
    }
    for stats in before.iter().chain(&after) {
        assert!(!stats.amount().to_string().is_empty());
        assert_eq!(stats.since(&TagStats::none(stats.tag)).tag, stats.tag);
    }
}
