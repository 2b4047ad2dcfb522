//! D: releasing tags.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tagheap::{Amount, Bytes, Error, Misuse, Shortage, Table, Tag};

use crate::support::{Careless, Config, Live, Rig, bytes, layout};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");

stamp!(buffer_and_reserve:
    d01_a_released_block_is_told_from_a_freed_one,
    d01_a_released_block_is_told_after_merges_and_regrowth,
    d02_a_tag_without_blocks_releases_nothing,
    d05_tags_and_blocks_beyond_the_indexes_harm_nobody,
    d03_a_second_release_releases_nothing,
    d06_a_release_frees_the_tag_and_nothing_else,
    d06_all_blocks_released_leave_the_root_alone,
    d07_a_predicate_that_panics_leaves_a_whole_heap,
    d07_a_predicate_is_asked_once_for_each_tag_that_holds_blocks,
    release_where_does_not_ask_for_tags_without_blocks,
    release_where_takes_sets_and_ranges,
    retag_moves_a_block_from_one_release_to_another,
    blocks_of_and_stats_add_up,
);

fn released<C: Config>(rig: &mut Rig<C>, gone: &[Live]) {
    for live in gone {
        let address = live.ptr.addr().get();
        let told = Error::from(Misuse::Released { address });
        assert_eq!(rig.refuses(|heap| heap.free(live.ptr, live.layout)), told);
        assert_eq!(
            rig.refuses(|heap| heap.free_in(live.tag, live.ptr, live.layout)),
            told
        );
        assert_eq!(rig.refuses(|heap| heap.tag_of(live.ptr)), told);
        let larger = bytes(live.layout.size() + 1);
        assert_eq!(
            rig.refuses(|heap| heap.enlarge(live.ptr, live.layout, larger)),
            told
        );
        assert!(!rig.heap.contains(live.ptr));
    }
}

fn d01_a_released_block_is_told_from_a_freed_one<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 14);
    for round in 0..8 {
        rig.take([A, B][round % 2], 40 + round);
    }
    let freed = rig.take(B, 40);
    let released_after = rig.take(A, 40);
    rig.take(B, 1);
    let old = rig.free(freed);
    let gone = rig.release_one(A);
    assert!(gone.iter().any(|live| live.ptr == released_after));
    released(&mut rig, &gone);
    let address = freed.addr().get();
    let error = rig.refuses(|heap| heap.free(freed, old));
    assert_eq!(error, Misuse::DoubleFree { address }.into());
}

/// By a sweep; and by a list, which tag `a` has too few blocks for if there are two hundred others.
fn d01_a_released_block_is_told_after_merges_and_regrowth<C: Config>() {
    for others in [0, 200] {
        a_released_block_is_told_after_merges_and_regrowth::<C>(others);
    }
}

fn a_released_block_is_told_after_merges_and_regrowth<C: Config>(others: usize) {
    let mut rig = Rig::<C>::new(1 << 16);
    for _ in 0..others {
        rig.take(Tag::named("other"), 1);
    }
    let first = rig.take(B, 10);
    let gone: Vec<_> = (0..6)
        .flat_map(|round| {
            rig.take(A, 40 + 16 * round);
            rig.take(A, 100);
            let between = rig.take(B, 30);
            (round % 2 == 0).then_some(between)
        })
        .collect();
    let last = rig.take(B, 10);
    let released_blocks = rig.release_one(A);
    released(&mut rig, &released_blocks);
    for ptr in gone {
        // Joined to the released blocks around.
        rig.free(ptr);
        released(&mut rig, &released_blocks);
    }
    rig.free(last);
    rig.free(first);
    rig.release_one(B);
    released(&mut rig, &released_blocks);
    // The row grows again over all of them, with a block that is not written to yet.
    let over = rig.heap.allocate(B, bytes(9000)).unwrap();
    for live in &released_blocks {
        let address = live.ptr.addr().get();
        let told = Err(Misuse::Released { address }.into());
        assert_eq!(rig.heap.free(live.ptr, live.layout), told);
    }
    rig.heap.check().unwrap();
    rig.heap.free(over.cast(), bytes(9000)).unwrap();
    released(&mut rig, &released_blocks);
}

fn d02_a_tag_without_blocks_releases_nothing<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 13);
    for _ in 0..2 {
        let before = rig.image();
        let none = Amount::default();
        for tag in [
            B,
            Tag::new(1),
            Tag::new(u64::MAX - 16),
            Tag::new(A.number() + 1),
        ] {
            assert_eq!(rig.heap.release_tag(tag), Ok(none));
            assert_eq!(rig.heap.stats_of(tag).map(|stats| stats.amount()), Ok(none));
        }
        assert_eq!(rig.heap.release_if(|_| false), Ok(none));
        assert_eq!(rig.image(), before);
        let hole = rig.take(A, 100);
        rig.take(A, 100);
        rig.free(hole);
    }
}

/// Where the memory for indexes is bounded, a tag too many is refused, and a block too many is in no list.
fn d05_tags_and_blocks_beyond_the_indexes_harm_nobody<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 16);
    let mark = rig.heap.mark();
    let refused = loop {
        let tag = Tag::new(1 + rig.live.len() as u64);
        if let Err(error) = rig.attempt(|rig| rig.allocate(tag, bytes(1))) {
            break error;
        }
    };
    rig.contents();
    let tags = rig.live.len();
    // A reservation's indexes grow; its row is full then.
    let is_bounded = rig.heap.end() + 4096 < rig.heap.base() + (1 << 16);
    let Error::OutOfMemory(refused) = refused else {
        panic!("{refused}")
    };
    assert_eq!(refused.cause == Shortage::Index, is_bounded);
    if is_bounded {
        let some = *rig.live.values().next().unwrap();
        rig.refuses(|heap| heap.retag(some.ptr, refused.tag));
        rig.refuses(|heap| heap.merge(some.tag, refused.tag));
        rig.refuses(|heap| heap.set_limit(refused.tag, Some(1)));
    }
    // One forgotten makes room for one new.
    let first = Tag::new(1);
    rig.release_one(first);
    rig.heap.forget(first);
    rig.take(refused.tag, 1);
    // Far more blocks of one tag than a list of them would have room for.
    rig.release(|tag| tag != Tag::new(2));
    while rig.heap.allocate(Tag::new(2), bytes(1)).is_ok() {}
    rig.heap.check().unwrap();
    let blocks = rig.heap.stats_of(Tag::new(2)).unwrap().blocks;
    assert!(blocks > tags || !is_bounded);
    let image = rig.image();
    match rig.heap.release_after(Tag::new(2), mark) {
        Ok(amount) => assert_eq!(amount.blocks, blocks),
        Err(error) => {
            assert!(is_bounded && rig.image() == image);
            assert!(
                matches!(error, Error::OutOfMemory(error) if error.cause == Shortage::Index),
                "{error}"
            );
            assert_eq!(rig.heap.release_tag(Tag::new(2)).unwrap().blocks, blocks);
        }
    }
    rig.forget(|_| true);
}

fn d03_a_second_release_releases_nothing<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 13);
    for round in 0..10 {
        rig.take([A, B][round % 2], 50);
    }
    assert_eq!(rig.release_one(A).len(), 5);
    let before = rig.image();
    assert_eq!(rig.heap.release_tag(A), Ok(Amount::default()));
    assert_eq!(rig.image(), before);
}

fn d06_a_release_frees_the_tag_and_nothing_else<C: Config>() {
    let mut random = fastrand::Rng::with_seed(6);
    for round in 0..30 {
        let mut rig = Rig::<C>::new(1 << 18);
        // With many tags the first go by their lists, with few by a sweep.
        let tags = 1 + random.u64(0..24);
        for _ in 0..random.usize(1..150) {
            let tag = Tag::new(1 + random.u64(0..tags));
            let wanted = layout(random.usize(0..400), 1 << random.u32(0..7));
            rig.allocate(tag, wanted).unwrap();
            if random.u8(0..4) == 0 {
                let index = random.usize(0..rig.live.len());
                let live = *rig.live.values().nth(index).unwrap();
                rig.free(live.ptr);
            }
        }
        let mut order: Vec<_> = (1..=tags).map(Tag::new).collect();
        random.shuffle(&mut order);
        for tag in order {
            let in_all = rig.live.len();
            let wanted = rig.live.values().filter(|live| live.tag == tag).count();
            let gone = rig.release_one(tag);
            assert_eq!(
                (gone.len(), rig.live.len()),
                (wanted, in_all - wanted),
                "{round}"
            );
        }
        assert!(!C::SPLITS || rig.heap.end() - rig.heap.base() == 128);
    }
}

fn d06_all_blocks_released_leave_the_root_alone<C: Config>() {
    let mut rig = Rig::<C>::new(C::MANY * 64 + 4096);
    for n in 0..C::MANY {
        let tag = Tag::new(1 + n as u64 % 3);
        rig.heap.allocate(tag, bytes(n % 17)).unwrap();
    }
    let stats = rig.heap.stats().unwrap();
    assert_eq!(stats.used.blocks, C::MANY);
    assert_eq!(rig.heap.release_if(|_| true), Ok(stats.used));
    rig.check();
    let left = rig.heap.stats().unwrap();
    let whole = if C::SPLITS { 0 } else { C::MANY };
    assert_eq!((left.used.blocks, left.free.blocks), (0, whole));
    assert_eq!(left.own.blocks, 1);
}

fn d07_a_predicate_that_panics_leaves_a_whole_heap<C: Config>() {
    for fuse in 0..12 {
        let mut rig = Rig::<C>::new(1 << 14);
        for n in 0..12 {
            rig.take(Tag::new(1 + n as u64), 20 * n);
        }
        let hole = rig.live.values().nth(5).unwrap().ptr;
        rig.free(hole);
        let mut calls = 0;
        let mut picked = BTreeSet::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            rig.heap.release_if(|tag| {
                // Not `panic!`, which would print.
                if calls == fuse {
                    std::panic::resume_unwind(Box::new(()));
                }
                calls += 1;
                let pick = calls % 3 > 0;
                if pick {
                    picked.insert(tag);
                }
                pick
            })
        }));
        assert_eq!(outcome.is_err(), fuse < 11);
        if outcome.is_err() && rig.has_ledger() {
            // It is asked before anything goes.
            picked.clear();
        }
        let gone = rig.forget(|tag| picked.contains(&tag));
        released(&mut rig, &gone);
        rig.take(A, 5);
        rig.release(|_| true);
    }
}

fn d07_a_predicate_is_asked_once_for_each_tag_that_holds_blocks<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 20);
    // One more than a word has bits.
    let tags: Vec<_> = (1..=65).map(Tag::new).collect();
    for &tag in tags.iter().chain(&tags) {
        rig.take(tag, 30);
    }
    for keep in [1, 2, 3, 0] {
        let asked = core::cell::RefCell::new(Vec::new());
        let mut known: Vec<_> = rig.live.values().map(|live| live.tag).collect();
        let picks = |tag: Tag| keep == 0 || tag.number() % 4 == keep;
        let released = rig.heap.release_if(|tag| {
            asked.borrow_mut().push(tag);
            picks(tag)
        });
        if rig.has_ledger() {
            asked.borrow_mut().sort_unstable();
            known.sort_unstable();
            known.dedup();
        }
        let asked = asked.into_inner();
        assert_eq!(
            asked, known,
            "once a block, in the row's order, without a ledger"
        );
        let gone = rig.forget(picks);
        assert_eq!(released.unwrap().blocks, gone.len());
        rig.check();
        rig.contents();
    }
}

/// A walk over few blocks is shorter than a look at all the tags.
fn release_where_does_not_ask_for_tags_without_blocks<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 20);
    for tag in (1..60).map(Tag::new) {
        let block = rig.take(tag, 30);
        rig.free(block);
    }
    for tag in [A, B, A] {
        rig.take(tag, 30);
    }
    assert_eq!(rig.release(|tag| tag.number() < 100).len(), 0);
    assert_eq!(rig.release(|tag| tag == A).len(), 2);
    assert_eq!(rig.live.len(), 1);
}

fn release_where_takes_sets_and_ranges<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 15);
    let names = ["req/1", "req/2", "reqs", "level", "z", "re"];
    for round in 0..60 {
        rig.take(Tag::named(names[round % names.len()]), 10 * round);
    }
    // A prefix is one range of tags.
    let range = Tag::named("req/")..Tag::named("req0");
    assert_eq!(rig.release(|tag| range.contains(&tag)).len(), 20);
    let set = [Tag::named("z"), Tag::named("re"), Tag::named("not used")];
    assert_eq!(rig.release(|tag| set.contains(&tag)).len(), 20);
    assert_eq!(rig.release(|tag| tag > Tag::named("level")).len(), 10);
    assert_eq!(rig.live.len(), 10);
}

fn retag_moves_a_block_from_one_release_to_another<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 14);
    let blocks: Vec<_> = (0..20).map(|n| rig.take(A, 10 * n)).collect();
    for &ptr in blocks.iter().step_by(3) {
        rig.retag(ptr, B);
        assert_eq!(rig.heap.tag_of(ptr), Ok(B));
        rig.retag(ptr, B);
    }
    rig.retag(blocks[3], A);
    rig.contents();
    assert_eq!(rig.release_one(A).len(), 14);
    assert_eq!(rig.live.len(), 6);
    // Under its new tag a block still frees and resizes as it did.
    let grown = rig.resize(blocks[6], bytes(500), false).unwrap();
    assert_eq!(rig.heap.tag_of(grown), Ok(B));
    rig.free(blocks[9]);
    assert_eq!(rig.release_one(B).len(), 5);
}

fn blocks_of_and_stats_add_up<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 16);
    let mut random = fastrand::Rng::with_seed(99);
    for round in 0..300 {
        let tag = Tag::new(1 + random.u64(0..4));
        rig.allocate(tag, layout(random.usize(0..200), 1 << random.u32(0..8)))
            .unwrap();
        if rig.live.len() > 30 {
            let live = *rig.live.values().nth(random.usize(0..30)).unwrap();
            rig.free(live.ptr);
        }
        if round % 10 > 0 {
            continue;
        }
        let stats = rig.heap.stats().unwrap();
        assert_eq!(stats.row, rig.heap.end() - rig.heap.base());
        assert_eq!(
            stats.used.bytes + stats.free.bytes + stats.own.bytes,
            stats.row
        );
        assert!(stats.granted >= stats.row);
        assert_eq!((stats.own.blocks, stats.own.bytes), (1, 128));
        let free = rig.blocks().into_iter().filter(|block| block.is_free());
        assert_eq!(
            stats.largest_free,
            free.map(|block| block.size).max().unwrap_or(0)
        );
        let mut used = Amount::default();
        for tag in (1..=4).map(Tag::new) {
            let blocks: Vec<_> = rig.heap.blocks_of(tag).map(Result::unwrap).collect();
            let live = rig.live.values().filter(|live| live.tag == tag);
            let known: Vec<_> = live.map(|live| live.ptr.addr().get()).collect();
            let found: Vec<_> = blocks.iter().map(|block| block.payload()).collect();
            assert_eq!(found, known);
            let amount = rig.heap.stats_of(tag).unwrap().amount();
            assert_eq!(amount.blocks, blocks.len());
            assert_eq!(amount.bytes, blocks.iter().map(|block| block.size).sum());
            let payload: usize = blocks.iter().map(|block| block.usable()).sum();
            assert_eq!(amount.payload(), payload);
            used.blocks += amount.blocks;
            used.bytes += amount.bytes;
        }
        assert_eq!(stats.used, used);
    }
    let table = rig.heap.table().to_string();
    assert_eq!(table.lines().count(), 1 + 1 + 4 + 1, "{table}");
    // What the books say, the row does, where there are books.
    let row = Table(Bytes::new(rig.heap.base(), &rig.image())).to_string();
    let sorted = |table: &str| {
        let mut lines: Vec<_> = table.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&table), sorted(&row));
}
