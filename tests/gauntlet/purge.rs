//! Pages inside free blocks go back to the kernel, and nothing else.

use std::collections::BTreeSet;

use tagheap::{Block, Corruption, HEADER, Misuse, Reserve, Source, Tag};

use crate::support::{Careless, Config, Reserved, Rig, Shaken, bytes};

stamp!(buffer_and_reserve: a_purge_changes_nothing_that_is_in_use);
stamp!(shaken:
    a_purge_changes_nothing_whatever_becomes_of_the_pages,
    a_purge_refuses_damage_and_gives_nothing_back,
);
stamp!(reserve:
    a_purge_gives_back_each_page_that_nobody_uses,
    a_late_free_in_a_purged_page_is_refused,
);

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");
const PAGE: usize = 4096;

/// Blocks of up to three pages, nine of ten of them freed again.
fn scatter<C: Config>(rig: &mut Rig<C>, random: &mut fastrand::Rng, count: usize) {
    let taken: Vec<_> = (0..count)
        .map(|_| rig.take(A, random.usize(..3 * PAGE)))
        .collect();
    for ptr in taken {
        if random.u8(..10) > 0 {
            rig.free(ptr);
        }
    }
}

/// Two heaps do the same, one of them purges besides: they place alike.
fn a_purge_changes_nothing_that_is_in_use<C: Config>() {
    let mut random = fastrand::Rng::with_seed(7);
    let room = 2_000_000;
    let (mut purged, mut other) = (Rig::<C>::new(room), Rig::<C>::new(room));
    for _ in 0..6 {
        let seed = random.u64(..);
        let of = |rig: &mut Rig<C>| scatter(rig, &mut fastrand::Rng::with_seed(seed), 60);
        of(&mut purged);
        of(&mut other);
        purged.heap.purge().unwrap();
        purged.check();
        purged.contents();
        let size = random.usize(..3 * PAGE);
        let zeroed = |rig: &mut Rig<C>| {
            let at = rig.allocate_zeroed(B, bytes(size)).unwrap();
            at.addr().get() - rig.heap.base()
        };
        assert_eq!(zeroed(&mut purged), zeroed(&mut other));
    }
    let places = |rig: &Rig<C>| {
        let base = rig.heap.base();
        let blocks = rig.blocks().into_iter();
        let places: Vec<_> = blocks.map(|block| (block.at - base, block.state)).collect();
        places
    };
    assert_eq!(places(&purged), places(&other));
}

/// A source that destroys every byte it is given back.
fn a_purge_changes_nothing_whatever_becomes_of_the_pages<C: Config<Ground: Shaken>>() {
    let mut random = fastrand::Rng::with_seed(8);
    let mut rig = Rig::<C>::new(1_000_000);
    let mut given = 0;
    for round in 0..8 {
        scatter(&mut rig, &mut random, 30);
        if round % 2 == 0 {
            rig.ground.stepped().intrude(5000);
        }
        given += rig.heap.purge().unwrap();
        rig.check();
        rig.contents();
        assert!(rig.ground.stepped().foreign_is_untouched());
    }
    assert!(given > 200_000, "{given}");
    rig.release(|_| true);
}

fn a_purge_refuses_damage_and_gives_nothing_back<C: Config<Ground: Shaken>>() {
    let mut rig = Rig::<C>::new(1_000_000);
    let holes: Vec<_> = (0..3)
        .map(|_| {
            let hole = rig.take(A, 2 * PAGE);
            rig.take(B, 1);
            hole
        })
        .collect();
    for hole in &holes {
        rig.free(*hole);
    }
    for hole in holes {
        let at = hole.addr().get() - HEADER;
        let whole = rig.read(at, HEADER);
        rig.write(at + 8, &[whole[8] ^ 0x10]);
        let image = rig.image();
        let refused = rig.heap.purge().unwrap_err();
        assert!(matches!(refused, Corruption::Header { at: damaged } if damaged == at));
        assert!(rig.image() == image, "nothing was given back");
        rig.write(at, &whole);
    }
    assert!(rig.heap.purge().unwrap() >= 6 * PAGE);
}

/// The pages from the base to the limit that are in memory.
fn resident<C: Config>(rig: &Rig<C>) -> BTreeSet<usize> {
    let base = rig.heap.base();
    let pages = base / PAGE..(base + rig.heap.stats().unwrap().granted).div_ceil(PAGE);
    let mut answer = vec![0_u8; pages.len()];
    let start = core::ptr::without_provenance_mut(pages.start * PAGE);
    // SAFETY: asks about mapped pages, and writes a byte for each.
    let done = unsafe { libc::mincore(start, pages.len() * PAGE, answer.as_mut_ptr()) };
    assert_eq!(done, 0);
    pages
        .zip(answer)
        .filter(|(_, is)| is & 1 == 1)
        .map(|(page, _)| page)
        .collect()
}

/// The pages that a block needs: all of them if it is in use, that of its header if not.
fn needed(block: &Block) -> impl Iterator<Item = usize> {
    let end = if block.is_free() {
        block.at + HEADER
    } else {
        block.end()
    };
    block.at / PAGE..end.div_ceil(PAGE)
}

fn a_purge_gives_back_each_page_that_nobody_uses<C: Config<Ground = Reserved>>() {
    let mut random = fastrand::Rng::with_seed(9);
    let mut rig = Rig::<C>::new(1 << 24);
    // One that its leaf tells the size of, and one that it does not.
    let large = [100_000, 1_000_000].map(|size| {
        let ptr = rig.take(A, size);
        rig.take(B, 1);
        ptr
    });
    scatter(&mut rig, &mut random, 200);
    for ptr in large {
        rig.free(ptr);
    }
    rig.check();
    let before = resident(&rig);
    let (end, granted) = (rig.heap.end(), rig.heap.stats().unwrap().granted);
    let given = rig.heap.purge().unwrap();

    let blocks = rig.blocks();
    let needed: BTreeSet<_> = blocks.iter().flat_map(needed).collect();
    assert_eq!(
        resident(&rig),
        before.intersection(&needed).copied().collect()
    );
    let inside = |block: &Block| {
        let from = (block.at + HEADER).next_multiple_of(PAGE);
        let to = if block.end() == end {
            rig.heap.base() + granted
        } else {
            block.end()
        };
        (to / PAGE * PAGE).saturating_sub(from)
    };
    let free: usize = blocks
        .iter()
        .filter(|block| block.is_free())
        .map(inside)
        .sum();
    let ends_in_use = blocks.last().is_some_and(|block| !block.is_free());
    let beyond = rig.heap.base() + granted - end.next_multiple_of(PAGE);
    assert_eq!(given, free + if ends_in_use { beyond } else { 0 });
    assert!(given > 1_500_000, "{given}");
    rig.contents();
}

fn a_late_free_in_a_purged_page_is_refused<C: Config<Ground = Reserved>>() {
    let mut rig = Rig::<C>::new(1 << 20);
    let first = rig.take(A, 3 * PAGE);
    let second = rig.take(A, 3 * PAGE);
    rig.take(B, 1);
    let old = rig.free(first);
    rig.free(second);
    assert!(rig.heap.purge().unwrap() > 0);
    let address = second.addr().get();
    let lost = if C::SPLITS {
        Misuse::NotABlock { address }
    } else {
        Misuse::DoubleFree { address }
    };
    let address = first.addr().get();
    for (late, misuse) in [(first, Misuse::DoubleFree { address }), (second, lost)] {
        assert_eq!(rig.refuses(|heap| heap.free(late, old)), misuse.into());
    }
    rig.take(A, 5 * PAGE);
}

/// Of a huge page that is taken apart, the kernel keeps all: only whole ones are given.
#[test]
fn a_reservation_in_huge_pages_gives_whole_ones() {
    const HUGE: usize = 512 * PAGE;
    let mut source = Reserve::with_capacity(16 * HUGE).unwrap().in_huge_pages();
    let base = source.limit();
    source.extend(base, base + 8 * HUGE).unwrap();
    let page = base.next_multiple_of(HUGE);
    for (from, to, given) in [
        (page + 1, page + 2 * HUGE - 1, 0),
        (page + 1, page + 2 * HUGE, HUGE),
        (page, page + 3 * HUGE + PAGE, 3 * HUGE),
        (page + PAGE, page + PAGE, 0),
    ] {
        // SAFETY: nobody uses any of it.
        assert_eq!(unsafe { source.purge(from, to) }, given);
    }
}
