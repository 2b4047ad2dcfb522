//! E and D06: a release that meets damage frees nothing; one that does not, all of the tag's and nothing else.

use tagheap::{Amount, Block, Corruption, Error, HEADER, Mark, Tag};

use crate::support::{Careless, Config, Ground, HeapOf, Rig, Shaken};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");
const OTHER: Tag = Tag::named("c");

stamp!(shaken:
    e01_a_release_frees_all_or_nothing,
    e01_so_does_one_of_a_single_block,
    e01_so_does_one_of_many_blocks,
    e01_one_since_a_mark_meets_young_blocks_only,
    e01_so_does_one_of_few_left_of_many,
    d06_what_ends_the_row_goes_with_its_end,
);

/// Blocks of tag `a` that have free blocks in front, behind, around, and between two.
const FEW: &[usize] = &[5, 17, 29, 41, 53, 54, 65, 67];

/// Those that are freed then.
const FREED: &[usize] = &[9, 16, 30, 40, 42, 52, 66];

/// A block without free neighbours, with one in front, behind, with both, and the last of the row.
const ONES: [usize; 5] = [20, 10, 15, 41, 71];

/// Blocks of tag `b`, but for some of tag `a`, and for some that are free.
struct Plan<'a> {
    blocks: usize,
    of_a: &'a [usize],
    freed: &'a [usize],
    /// Which is the first behind the mark.
    marked: usize,
}

/// What a plan makes.
struct Row<C: Config> {
    rig: Rig<C>,
    mark: Mark,
    /// Where the first behind the mark stands.
    marked: usize,
}

impl Plan<'_> {
    fn row<C: Config<Ground: Shaken>>(&self) -> Row<C> {
        let mut rig = Rig::<C>::new(self.blocks * 200);
        let mut mark = rig.heap.mark();
        let mut blocks = Vec::new();
        for n in 0..self.blocks {
            if n == self.marked {
                mark = rig.heap.mark();
            }
            let tag = if self.of_a.contains(&n) { A } else { B };
            blocks.push(rig.take(tag, 20 + n % 5 * 16));
        }
        for n in self.freed {
            rig.free(blocks[*n]);
        }
        let marked = blocks[self.marked].addr().get() - HEADER;
        Row { rig, mark, marked }
    }
}

fn few(of_a: &[usize]) -> Plan<'_> {
    Plan {
        blocks: 72,
        of_a,
        freed: FREED,
        marked: 0,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Release,
    ReleaseSince,
    ReleaseWhere,
    Merge,
}

fn go<C: Config>(heap: &mut HeapOf<C>, way: Way, mark: Mark) -> Result<Amount, Error> {
    match way {
        Way::Release => heap.release_tag(A),
        Way::ReleaseSince => heap.release_after(A, mark),
        Way::ReleaseWhere => heap.release_if(|tag| tag == A),
        Way::Merge => heap.merge(A, OTHER),
    }
}

/// Whether a release of some blocks, or a merge, which asks nothing about neighbours, meets the header of one, given by
/// its index.
fn meets<C: Config>(
    way: Way,
    rig: &Rig<C>,
    blocks: &[Block],
    index: usize,
    goes: impl Fn(&Block) -> bool + Copy,
) -> bool {
    if !rig.has_ledger() {
        return true;
    }
    if way == Way::Merge {
        return goes(&blocks[index]);
    }
    let last = blocks.iter().rposition(goes).unwrap();
    let adjoins =
        (index > 0 && goes(&blocks[index - 1])) || blocks.get(index + 1).is_some_and(goes);
    match (C::SPLITS, rig.is_indexed()) {
        (false, _) => goes(&blocks[index]),
        (true, true) => goes(&blocks[index]) || (blocks[index].is_free() && adjoins),
        // The block in front of each is looked for from the base, the one behind is asked itself.
        (true, false) => index <= last + 1,
    }
}

/// All the ways in which the blocks of a tag go.
const WAYS: [Way; 4] = [
    Way::Release,
    Way::ReleaseSince,
    Way::ReleaseWhere,
    Way::Merge,
];

fn e01_a_release_frees_all_or_nothing<C: Config<Ground: Shaken>>() {
    let [missed, met] = frees_all_or_nothing::<C>(&few(FEW), &WAYS, true);
    let has_ledger = few(FEW).row::<C>().rig.has_ledger();
    assert!(met >= 3 * FEW.len() && (met > 72 || has_ledger));
    assert_eq!(missed > 0, has_ledger);
}

fn e01_so_does_one_of_a_single_block<C: Config<Ground: Shaken>>() {
    for one in ONES {
        let [_, met] = frees_all_or_nothing::<C>(&few(&[one]), &WAYS, true);
        let has_ledger = few(&[one]).row::<C>().rig.has_ledger();
        assert!(met >= 3 && (met > 72 || has_ledger));
    }
}

/// Of more than are looked at in one go, with a free block behind each.
fn e01_so_does_one_of_many_blocks<C: Config<Ground: Shaken>>() {
    let of_a: Vec<_> = (0..200).map(|n| n * 12 + 1).collect();
    let freed: Vec<_> = of_a.iter().map(|n| n + 1).collect();
    let plan = Plan {
        blocks: 2400,
        of_a: &of_a,
        freed: &freed,
        marked: 0,
    };
    let ways = [Way::Release, Way::ReleaseWhere];
    let [_, met] = frees_all_or_nothing::<C>(&plan, &ways, false);
    assert!(met >= 2 * of_a.len() && (met >= 4 * of_a.len() || !C::SPLITS));
}

/// Those in front of the mark stay as they are, damaged or not.
fn e01_one_since_a_mark_meets_young_blocks_only<C: Config<Ground: Shaken>>() {
    for marked in [30, 54, 60] {
        let plan = Plan { marked, ..few(FEW) };
        let has_indexes = plan.row::<C>().rig.ground.has_indexes();
        let [missed, met] = frees_all_or_nothing::<C>(&plan, &[Way::ReleaseSince], true);
        let young = FEW.iter().filter(|n| **n >= marked).count();
        assert_eq!((missed > 0, met >= young), (has_indexes, has_indexes));
    }
}

/// Its list has holes for the most part, so it goes by a walk, which meets every header.
fn e01_so_does_one_of_few_left_of_many<C: Config<Ground: Shaken>>() {
    let mut rig = Rig::<C>::new(1 << 16);
    let other = rig.take(B, 100);
    let blocks: Vec<_> = (0..300).map(|n| rig.take(A, 20 + n % 5 * 16)).collect();
    for (n, block) in blocks.iter().enumerate() {
        if n % 50 != 49 {
            rig.free(*block);
        }
    }
    let at = other.addr().get() - HEADER;
    let whole = rig.read(at, HEADER);
    let mut damaged = whole.clone();
    damaged[9] ^= 1;
    rig.write(at, &damaged);
    let damage = Error::from(Corruption::Header { at });
    assert_eq!(rig.leaves(|heap| heap.release_tag(A)), Err(damage));
    rig.write(at, &whole);
    rig.check();
    assert_eq!(rig.release_one(A).len(), 6);
    rig.check();
    rig.contents();
}

/// Whether it is most of the row or little, and whether or not a free block is in front of it.
fn d06_what_ends_the_row_goes_with_its_end<C: Config<Ground: Shaken>>() {
    for (others, is_free_in_front) in [(3000, false), (3000, true), (3, false), (3, true)] {
        let mut rig = Rig::<C>::new(1 << 19);
        let end = rig.heap.end();
        let others: Vec<_> = (0..others).map(|n| rig.take(B, 20 + n % 5 * 16)).collect();
        let before = rig.heap.end();
        for n in 0..200 {
            rig.take(A, 20 + n % 7 * 16);
        }
        let after = rig.heap.end();
        if is_free_in_front {
            rig.free(*others.last().unwrap());
        }
        assert_eq!(rig.release_one(A).len(), 200);
        let fell_to = match others.as_slice() {
            [.., last] if is_free_in_front => last.addr().get() - HEADER,
            _ => before,
        };
        assert_eq!(rig.heap.end(), if C::SPLITS { fell_to } else { after });
        rig.check();
        rig.contents();
        rig.release_one(B);
        assert_eq!(rig.heap.end(), if C::SPLITS { end } else { after });
    }
}

/// Counts the releases that did not meet damage, which `misses` lets happen, and those that did.
fn frees_all_or_nothing<C: Config<Ground: Shaken>>(
    plan: &Plan<'_>,
    ways: &[Way],
    misses: bool,
) -> [usize; 2] {
    let mut random = fastrand::Rng::with_seed(61);
    let Row {
        mut rig,
        mut mark,
        mut marked,
    } = plan.row::<C>();
    let count = rig.blocks().len();
    let mut outcomes = [0, 0];
    for way in ways.iter().copied() {
        if way == Way::ReleaseSince && !rig.ground.has_indexes() {
            continue;
        }
        for index in 0..count {
            let blocks = rig.blocks();
            let goes = |block: &Block| {
                block.tag() == Some(A) && (way != Way::ReleaseSince || block.at >= marked)
            };
            let meets = meets(way, &rig, &blocks, index, goes);
            if !(meets || misses) {
                continue;
            }
            let at = blocks[index].at;
            let whole = rig.read(at, HEADER);
            let mut damaged = whole.clone();
            damaged[random.usize(0..HEADER)] ^= 1 << random.u8(0..8);
            let before = rig.heap.stats_of(A).unwrap();
            rig.write(at, &damaged);
            let answer = rig.leaves(|heap| go::<C>(heap, way, mark));
            assert_eq!(rig.read(at, HEADER), damaged, "{way:?} wrote to {at:#x}");
            assert_eq!(
                rig.heap.check().is_err(),
                answer.is_err() || !is_gone(&rig, at)
            );
            rig.write(at, &whole);
            outcomes[usize::from(meets)] += 1;
            if meets {
                let damage = Error::from(Corruption::Header { at });
                assert_eq!(answer, Err(damage), "{way:?}, {:?}", blocks[index]);
                assert_eq!(rig.heap.stats_of(A), Ok(before));
                rig.check();
                rig.contents();
                continue;
            }
            let amount = answer.unwrap_or_else(|error| panic!("{way:?}: {error}, {index}"));
            let gone: Vec<_> = blocks.iter().copied().filter(goes).collect();
            assert_eq!(amount.blocks, gone.len());
            assert_eq!(amount.bytes, gone.iter().map(|block| block.size).sum());
            if way == Way::Merge {
                rig.live
                    .values_mut()
                    .filter(|live| live.tag == A)
                    .for_each(|live| live.tag = OTHER);
                rig.check();
                rig.contents();
            } else {
                rig.live
                    .retain(|payload, _| gone.iter().all(|block| block.payload() != *payload));
                rig.check();
                rig.contents();
            }
            rig.take(B, 10);
            Row { rig, mark, marked } = plan.row::<C>();
        }
    }
    outcomes
}

/// Whether address `at` is behind the row's end now.
fn is_gone<C: Config>(rig: &Rig<C>, at: usize) -> bool {
    at >= rig.heap.end()
}
