//! T: blocks of sizes around the largest that an index tells in one number, and of thousands of times that.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{Directory, Heap, Key, Placement, Reserve, Rule, Scan, Split, Tag, Whole};

use crate::careless::Careless;

/// Bytes from which on a leaf of the directory does not tell a block's size.
const LARGE: usize = 131_056;

const TAG: Tag = Tag::new(1);

struct Held {
    at: [NonNull<u8>; 2],
    layout: Layout,
}

fn heap<R: Rule, P: Placement>(rule: R, placement: P) -> Heap<Reserve, R, P> {
    Heap::with(Reserve::new().unwrap(), rule, placement, Key::FIXED).unwrap()
}

fn size(random: &mut fastrand::Rng) -> usize {
    match random.u8(..6) {
        0 => LARGE - 128 + random.usize(0..256),
        1 => random.usize(1..4 * LARGE),
        2 => random.usize(1..8) << random.usize(17..24),
        _ => random.usize(1..=600),
    }
}

/// A heap with a directory and one that scans do the same, and the directory is true after each step.
fn placed_as_by_a_scan<R: Rule + Copy>(rule: R, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut directed, mut scanned) = (heap(rule, Directory::new()), heap(rule, Scan));
    let mut held: Vec<Held> = Vec::new();
    for step in 0..3000 {
        let layout = Layout::from_size_align(
            size(&mut random),
            if random.u8(..10) == 0 { 4096 } else { 16 },
        );
        let layout = layout.unwrap();
        let one = (!held.is_empty()).then(|| random.usize(0..held.len()));
        match (random.u8(..8), one) {
            (0..4, Some(one)) if held.len() > 40 || random.bool() => {
                let Held { at, layout } = held.swap_remove(one);
                directed.free(at[0], layout).unwrap();
                scanned.free(at[1], layout).unwrap();
            }
            (4, Some(one)) => {
                let Held { at, layout: old } = &mut held[one];
                let new = Layout::from_size_align(layout.size(), old.align()).unwrap();
                *at = if new.size() > old.size() {
                    [
                        directed.enlarge(at[0], *old, new).unwrap(),
                        scanned.enlarge(at[1], *old, new).unwrap(),
                    ]
                } else {
                    [
                        directed.reduce(at[0], *old, new).unwrap(),
                        scanned.reduce(at[1], *old, new).unwrap(),
                    ]
                };
                *old = new;
            }
            _ => held.push(Held {
                at: [
                    directed.allocate(TAG, layout).unwrap().cast(),
                    scanned.allocate(TAG, layout).unwrap().cast(),
                ],
                layout,
            }),
        }
        for Held { at, .. } in &held {
            let offset = |base, at: NonNull<u8>| at.addr().get() - base;
            let offsets = (
                offset(directed.base(), at[0]),
                offset(scanned.base(), at[1]),
            );
            assert_eq!(offsets.0, offsets.1, "seed {seed}, step {step}");
        }
        directed.check().unwrap();
    }
    directed.release_tag(TAG).unwrap();
    directed.check().unwrap();
}

#[test]
fn t01_large_blocks_are_placed_as_by_a_scan() {
    for seed in 0..8 {
        placed_as_by_a_scan(Split, seed);
        placed_as_by_a_scan(Whole, seed);
    }
}
