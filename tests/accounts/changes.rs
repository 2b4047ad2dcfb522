//! What became of numbers between two snapshots, against books of what happened in between.

use core::ptr::NonNull;
use std::collections::BTreeMap;

use fastrand::Rng;
use tagheap::{
    Buffer, Changes, Error, Heap, OutOfMemory, Reserve, Shortage, Source, Tag, TagChange, TagStats,
};

use crate::{A, B, C, bytes, heap, heap_in, take};

const TAGS: u64 = 9;

/// What happened to a tag since the first snapshot; what it holds, and held then.
#[derive(Clone, Copy, Default)]
struct Happened {
    counts: [u64; 3],
    /// As far as it happened after the tag was forgotten.
    anew: Option<[u64; 3]>,
    held: [isize; 3],
    had: [isize; 3],
    /// What its counters were at the first snapshot.
    counted: [u64; 3],
}

struct Books<S: Source> {
    heap: Heap<S>,
    random: Rng,
    live: Vec<(NonNull<u8>, usize, Tag)>,
    tags: BTreeMap<Tag, Happened>,
}

impl<S: Source> Books<S> {
    fn new(source: S, seed: u64) -> Self {
        Self {
            heap: Heap::new(source).unwrap(),
            random: Rng::with_seed(seed),
            live: Vec::new(),
            tags: BTreeMap::new(),
        }
    }

    /// One of allocations, deallocations and failures happens, so often.
    fn count(&mut self, tag: Tag, what: usize, times: u64) {
        let happened = self.tags.entry(tag).or_default();
        happened.counts[what] += times;
        if let Some(anew) = &mut happened.anew {
            anew[what] += times;
        }
    }

    /// What a tag holds: blocks, bytes, and bytes asked for, by a look at each.
    fn held(&self, tag: Tag) -> [isize; 3] {
        let mut held = [0; 3];
        for (ptr, size, _) in self.live.iter().filter(|live| live.2 == tag) {
            let bytes = self.heap.usable_size(*ptr).unwrap() + 32;
            held = [
                held[0] + 1,
                held[1] + bytes as isize,
                held[2] + *size as isize,
            ];
        }
        held
    }

    fn step(&mut self) {
        let [tag, other] = [(); 2].map(|()| Tag::new(self.random.u64(1..=TAGS)));
        let size = self.random.usize(..600);
        let some = (!self.live.is_empty()).then(|| self.random.usize(..self.live.len()));
        match (self.random.u8(..100), some) {
            (0..3, _) => {
                // SAFETY: the books use the blocks no more.
                let gone = unsafe { self.heap.release(tag) }.unwrap().blocks;
                self.live.retain(|live| live.2 != tag);
                self.count(tag, 1, gone as u64);
            }
            (3..6, _) => {
                self.heap.merge(tag, other).unwrap();
                let moved = self.live.iter_mut().filter(|live| live.2 == tag);
                moved.for_each(|live| live.2 = other);
            }
            (6..16, _) => {
                self.heap.forget(tag);
                if self.held(tag) == [0; 3] {
                    self.tags.entry(tag).or_default().anew = Some([0; 3]);
                }
            }
            (16..20, _) => self.heap.reset_peak(tag),
            (20..30, _) => {
                self.heap.allocate(tag, bytes(1 << 46)).unwrap_err();
                self.count(tag, 2, 1);
            }
            (30..36, Some(index)) => {
                self.heap.retag(self.live[index].0, tag).unwrap();
                self.live[index].2 = tag;
            }
            (36..46, Some(index)) => {
                let (ptr, old, tag) = self.live[index];
                if size >= old {
                    // SAFETY: the books own the block.
                    let grown = unsafe { self.heap.grow(ptr, bytes(old), bytes(size)) };
                    let Ok(grown) = grown else {
                        return self.count(tag, 2, 1);
                    };
                    self.live[index] = (grown.cast(), size, tag);
                }
            }
            (46..75, Some(index)) => {
                let (ptr, size, tag) = self.live.swap_remove(index);
                // SAFETY: as above.
                unsafe { self.heap.deallocate(ptr, bytes(size)) }.unwrap();
                self.count(tag, 1, 1);
            }
            _ => match self.heap.allocate(tag, bytes(size)) {
                Ok(block) => {
                    self.live.push((block.cast(), size, tag));
                    self.count(tag, 0, 1);
                }
                Err(_) => self.count(tag, 2, 1),
            },
        }
    }

    /// From here on everything is noted.
    fn begin(&mut self) {
        self.tags.clear();
        for tag in (1..=TAGS).map(Tag::new) {
            let had = self.held(tag);
            let stats = self.heap.stats_of(tag).unwrap();
            let happened = self.tags.entry(tag).or_default();
            happened.had = had;
            happened.counted = [stats.allocations, stats.deallocations, stats.failures];
        }
    }

    fn end(&mut self) {
        for tag in (1..=TAGS).map(Tag::new) {
            let held = self.held(tag);
            self.tags.entry(tag).or_default().held = held;
        }
    }

    fn run(mut self, has_ledger: bool) {
        for round in 0..60 {
            (0..self.random.usize(..80)).for_each(|_| self.step());
            let mut rooms = [[TagStats::default(); 20]; 2];
            let [before, after] = &mut rooms;
            let before = self.heap.snapshot(before).unwrap();
            self.begin();
            (0..self.random.usize(..[6, 120][round % 2])).for_each(|_| self.step());
            self.end();
            let after = self.heap.snapshot(after).unwrap();
            let changes = Changes::between(before, after);
            for (tag, happened) in &self.tags {
                agrees(changes.of(*tag), happened, *tag, has_ledger);
            }
            in_its_orders(changes);
        }
        self.heap.check().unwrap();
    }
}

#[track_caller]
fn agrees(change: TagChange, happened: &Happened, tag: Tag, has_ledger: bool) {
    let grown = [0, 1, 2].map(|what| happened.held[what] - happened.had[what]);
    assert_eq!([change.blocks, change.bytes, change.requested], grown);
    assert_eq!(change.tag, tag);
    let told = [change.allocations, change.deallocations, change.failures];
    match happened.anew {
        _ if !has_ledger => assert_eq!(told, [0; 3]),
        None => assert_eq!(told, happened.counts),
        Some(anew) => {
            let fell = anew
                .iter()
                .zip(happened.counted)
                .any(|(now, then)| *now < then);
            let counted = [0, 1, 2].map(|what| anew[what].wrapping_sub(happened.counted[what]));
            // A smaller largest allocation tells, too.
            assert!(told == anew || (!fell && told == counted), "{change:?}");
        }
    }
}

/// Each tag that changed once, in the order of tags and in that of growth.
fn in_its_orders(changes: Changes<'_, TagStats>) {
    let mut by_tag: Vec<_> = changes.by_tag().collect();
    assert!(by_tag.is_sorted_by_key(|change| change.tag));
    for change in &by_tag {
        assert_eq!(*change, changes.of(change.tag));
        let none = TagStats::none(change.tag);
        assert_ne!((change.name, *change), (change.name, none.since(&none)));
    }
    by_tag.sort_by_key(|change| -change.bytes);
    assert_eq!(changes.by_growth().collect::<Vec<_>>(), by_tag);
    let table = changes.to_string();
    assert_eq!(table.lines().count(), by_tag.len() + 2, "{table}");
}

#[test]
fn changes_are_what_happened() {
    for seed in 0..40 {
        Books::new(Reserve::new().unwrap(), seed).run(true);
        let buffer = |length| Buffer::new(vec![0; length].leak());
        Books::new(buffer(150 << 10), seed).run(true);
        Books::new(buffer(40 << 10), seed).run(false);
    }
}

#[test]
fn many_tags_come_in_the_order_of_their_growth() {
    let mut heap = heap();
    let mut random = Rng::with_seed(7);
    let mut rooms = [
        vec![TagStats::default(); 1000],
        vec![TagStats::default(); 1000],
    ];
    let [before, after] = &mut rooms;
    let old: Vec<_> = (1..700)
        .map(|tag| (take(&mut heap, Tag::new(tag), 100), tag))
        .collect();
    let before = heap.snapshot(before).unwrap();
    for (block, tag) in old {
        if tag % 3 == 0 {
            // SAFETY: the block is the test's.
            unsafe { heap.deallocate(block, bytes(100)) }.unwrap();
        }
    }
    for tag in (1..1000).filter(|tag| tag % 2 == 0) {
        take(&mut heap, Tag::new(tag), random.usize(..9) * 100);
    }
    let changes = Changes::between(before, heap.snapshot(after).unwrap());
    in_its_orders(changes);
    let changed = (1..1000).filter(|tag| tag % 2 == 0 || (*tag < 700 && tag % 3 == 0));
    assert_eq!(changes.by_growth().count(), changed.count());
}

#[test]
fn a_snapshot_changes_no_number_and_says_when_it_has_no_room() {
    let mut rest = [TagStats::default(); 4];
    for mut heap in [heap_in(200 << 10), heap_in(4096)] {
        assert_eq!(heap.snapshot(&mut rest[..0]), Ok(&[] as &[TagStats]));
        for tag in [C, A, B, A] {
            take(&mut heap, tag, 10);
        }
        let (row, free) = (heap.drawing().to_string(), heap.stats());
        for length in 0..=4 {
            let told = heap.snapshot(&mut rest[..length]);
            if length >= 3 {
                let wanted = [A, B, C].map(|tag| heap.stats_of(tag).unwrap());
                assert_eq!(told, Ok(&wanted[..]));
                continue;
            }
            let Err(Error::OutOfMemory(OutOfMemory { cause, size, .. })) = told else {
                panic!("{told:?}");
            };
            let Shortage::Tags { room, tags } = cause else {
                panic!("{cause}");
            };
            assert_eq!(room, length);
            assert!(tags == 3 || (tags == length + 1 && heap.tags().count() == 0));
            assert_eq!(size, tags * size_of::<TagStats>());
        }
        assert_eq!((heap.drawing().to_string(), heap.stats()), (row, free));
    }
}

#[test]
fn what_is_merged_or_forgotten_in_between_is_told() {
    let mut heap = heap();
    let mut rooms = [[TagStats::default(); 8]; 3];
    let [first, second, third] = &mut rooms;
    let block = take(&mut heap, A, 100);
    take(&mut heap, A, 20);
    take(&mut heap, C, 16);
    heap.set_name(C, "third").unwrap();
    heap.reset_peak(A);
    let first = heap.snapshot(first).unwrap();
    heap.merge(A, B).unwrap();
    // SAFETY: nobody uses the block.
    unsafe { heap.release(C) }.unwrap();
    heap.forget(C);
    let second = heap.snapshot(second).unwrap();
    let changes = Changes::between(first, second);
    let moved = [(A, -2, 0), (B, 2, 0), (C, -1, 0)];
    for (tag, blocks, allocations) in moved {
        let change = changes.of(tag);
        assert_eq!((change.blocks, change.allocations), (blocks, allocations));
        assert_eq!(change.deallocations, 0, "forgotten, or none");
    }
    let table = changes.to_string();
    let words: Vec<Vec<&str>> = { table.lines().skip(1) }
        .map(|line| line.split_whitespace().collect())
        .collect();
    let wanted = [
        ["b", "+2", "+208", "+120", "0", "0", "0"],
        ["third", "-1", "-48", "-16", "0", "0", "0"],
        ["a", "-2", "-208", "-120", "0", "0", "0"],
        ["(all)", "-1", "-48", "-16", "0", "0", "0"],
    ];
    assert_eq!(words, wanted, "{table}");

    // SAFETY: the block is the test's.
    unsafe { heap.deallocate_in(B, block, bytes(100)) }.unwrap();
    heap.forget(A);
    take(&mut heap, A, 10);
    let third = heap.snapshot(third).unwrap();
    // It counted two, and one since it was forgotten.
    let change = Changes::between(second, third).of(A);
    assert_eq!((change.blocks, change.allocations), (1, 1));
    assert_eq!(Changes::between(third, third).by_growth().count(), 0);
    let back = Changes::between(third, second).of(B);
    assert_eq!((back.blocks, back.requested), (1, 100));
}

/// Of a tag that was forgotten, where its counters do not tell.
#[test]
fn a_smaller_largest_allocation_tells_that_a_tag_was_forgotten() {
    let mut heap = heap();
    let mut took_and_gave = |size| {
        let block = take(&mut heap, A, size);
        // SAFETY: the block is the test's.
        unsafe { heap.deallocate(block, bytes(size)) }.unwrap();
        let stats = heap.stats_of(A).unwrap();
        heap.forget(A);
        stats
    };
    let earlier = took_and_gave(100);
    let smaller = took_and_gave(99).since(&earlier);
    assert_eq!((smaller.allocations, smaller.deallocations), (1, 1));
    let as_large = took_and_gave(100).since(&earlier);
    assert_eq!(
        (as_large.allocations, as_large.deallocations),
        (0, 0),
        "as was said"
    );
}

/// Nobody is told of what is in another order, but nothing goes wrong.
#[test]
fn numbers_in_any_order_do_no_harm() {
    let mut random = Rng::with_seed(3);
    for _ in 0..2000 {
        let mut some = || {
            let number = |random: &mut Rng| random.usize(..) >> random.u32(..64);
            let one = |random: &mut Rng| TagStats {
                blocks: number(random),
                bytes: number(random),
                requested: number(random),
                allocations: number(random) as u64,
                deallocations: number(random) as u64,
                failures: number(random) as u64,
                ..TagStats::none(Tag::new(random.u64(..90)))
            };
            let count = random.usize(..150);
            (0..count).map(|_| one(&mut random)).collect::<Vec<_>>()
        };
        let (earlier, later) = (some(), some());
        let changes = Changes::between(&earlier, &later);
        assert!(changes.by_tag().count() <= earlier.len() + later.len());
        assert!(changes.to_string().lines().count() <= earlier.len() + later.len() + 2);
    }
}
