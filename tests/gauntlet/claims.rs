//! C: sizes, alignments and tags that the caller claims and the block does not have.

use core::ptr::NonNull;

use tagheap::{Error, Misuse, SMALLEST, Tag, UNIT};

use crate::rig::MOST_SLACK;
use crate::support::{Careless, Config, Rig, bytes, layout};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");

stamp!(buffer_and_reserve:
    c08_the_size_asked_for_is_believed_and_no_other,
    c08_the_size_last_asked_for_is_believed,
    c08_sizes_that_no_block_can_have_are_refused,
    c08_an_alignment_the_block_does_not_have_is_refused,
    c10_a_wrong_tag_is_refused,
    g05_a_resize_the_wrong_way_is_refused,
);

/// Only the size asked for passes, to the byte. A slack of 63 bytes or more, which only a block reused whole
/// can have, stands for itself and more: then any size that leaves as much passes.
fn c08_the_size_asked_for_is_believed_and_no_other<C: Config>() {
    let asked = [(0, 0), (1, 0), (15, 0), (16, 0), (17, 0), (100, 0)];
    let slack = [
        (100, 16),
        (100, 32),
        (512, 32),
        (96, 62),
        (65, 63),
        (97, 96),
    ];
    for (size, slack) in asked.into_iter().chain(slack) {
        let mut rig = Rig::<C>::new(1 << 13);
        // A hole a little larger than the block, so that the block gets the slack.
        let hole = rig.take(B, size + slack);
        rig.take(B, 1);
        rig.free(hole);
        let block = rig.take(A, size);
        claim_every_size(&mut rig, block);
    }
}

fn c08_the_size_last_asked_for_is_believed<C: Config>() {
    let sizes = [0, 1, 16, 33, 64, 100, 101, 140, 300];
    for before in sizes {
        for after in sizes {
            for behind in [0, 48, 96] {
                let mut rig = Rig::<C>::new(1 << 13);
                let block = rig.take(A, before);
                let hole = rig.take(B, behind);
                rig.take(B, 1);
                rig.free(hole);
                let block = rig.resize(block, bytes(after), false).unwrap();
                let same = rig.resize(block, bytes(after), true).unwrap();
                assert_eq!(same, block);
                claim_every_size(&mut rig, block);
            }
        }
    }
}

/// Claims each size that the block might have, the right one last.
fn claim_every_size<C: Config>(rig: &mut Rig<C>, block: NonNull<u8>) {
    let (size, address) = (rig.layout_of(block).size(), block.addr().get());
    let usable = rig.heap.usable_size(block).unwrap();
    let is_exact = usable - size < MOST_SLACK;
    assert!(is_exact || !C::SPLITS, "a split leaves less than that");
    let passes = |claimed| {
        if is_exact {
            claimed == size
        } else {
            claimed <= usable - MOST_SLACK
        }
    };
    assert!(passes(size));
    for claimed in (0..=usable + SMALLEST + UNIT).filter(|claimed| *claimed != size) {
        if passes(claimed) {
            continue;
        }
        let mismatch = Misuse::SizeMismatch {
            address,
            claimed,
            usable,
        };
        let larger = bytes(claimed + 1);
        let near = claimed.abs_diff(size) < 2 || claimed == usable;
        let told = if near {
            [
                rig.refuses(|heap| heap.enlarge(block, bytes(claimed), larger)),
                rig.refuses(|heap| heap.enlarge_zeroed(block, bytes(claimed), larger)),
                rig.refuses(|heap| heap.reduce(block, bytes(claimed), bytes(0))),
                rig.refuses(|heap| heap.free_in(A, block, bytes(claimed))),
            ]
            .to_vec()
        } else {
            Vec::new()
        };
        let told = told
            .into_iter()
            .chain([rig.heap.free(block, bytes(claimed)).unwrap_err()]);
        told.for_each(|error| assert_eq!(error, mismatch.into(), "{claimed} for {size}"));
    }
    rig.check();
    if let Some(other) = (0..usable).find(|claimed| *claimed != size && passes(*claimed)) {
        rig.heap.free(block, bytes(other)).unwrap();
        rig.live.remove(&address);
        rig.check();
    } else {
        rig.free(block);
    }
}

fn c08_sizes_that_no_block_can_have_are_refused<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 13);
    let block = rig.take(A, 100);
    for less in 0..64 {
        let claimed = bytes(isize::MAX as usize - less);
        let error = rig.refuses(|heap| heap.free(block, claimed));
        assert!(
            matches!(error, Error::Misuse(Misuse::SizeMismatch { .. })),
            "{error}"
        );
    }
}

/// An alignment that the address happens to have cannot be told from the one asked for.
fn c08_an_alignment_the_block_does_not_have_is_refused<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 14);
    for n in 0..20 {
        let block = rig.take(A, 16 * n);
        let address = block.addr().get();
        for shift in 0..40 {
            let claimed = 1 << shift;
            let same_size = layout(16 * n, claimed);
            if address.is_multiple_of(claimed) {
                continue;
            }
            assert!(claimed > UNIT);
            let mismatch = Misuse::AlignMismatch { address, claimed };
            let error = rig.refuses(|heap| heap.free(block, same_size));
            assert_eq!(error, mismatch.into());
            let error = rig.refuses(|heap| heap.enlarge(block, same_size, bytes(4000)));
            assert_eq!(error, mismatch.into());
        }
    }
}

fn c10_a_wrong_tag_is_refused<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 12);
    let block = rig.take(A, 100);
    rig.take(B, 100);
    let address = block.addr().get();
    for claimed in [
        B,
        Tag::new(0),
        Tag::new(A.number() + 1),
        Tag::HEAP,
        Tag::FOREIGN,
    ] {
        let tag = A;
        let mismatch = Misuse::TagMismatch {
            address,
            claimed,
            tag,
        };
        let error = rig.refuses(|heap| heap.free_in(claimed, block, bytes(100)));
        assert_eq!(error, mismatch.into());
    }
    rig.retag(block, B);
    let error = rig.refuses(|heap| heap.free_in(A, block, bytes(100)));
    assert!(
        matches!(error, Error::Misuse(Misuse::TagMismatch { .. })),
        "{error}"
    );
    rig.live.remove(&address);
    rig.heap.free_in(B, block, bytes(100)).unwrap();
    rig.check();
}

fn g05_a_resize_the_wrong_way_is_refused<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 13);
    let block = rig.take(A, 100);
    rig.take(B, 1);
    let old = bytes(100);
    for (new, align) in [(101, 1), (5000, 1), (101, 4096), (1 << 40, 1)] {
        let wrong = Misuse::WrongWay { old: 100, new };
        let error = rig.refuses(|heap| heap.reduce(block, old, layout(new, align)));
        assert_eq!(error, wrong.into());
    }
    for (new, align) in [(99, 1), (0, 1), (50, 4096)] {
        let wrong = Misuse::WrongWay { old: 100, new };
        let error = rig.refuses(|heap| heap.enlarge(block, old, layout(new, align)));
        assert_eq!(error, wrong.into());
        let error = rig.refuses(|heap| heap.enlarge_zeroed(block, old, layout(new, align)));
        assert_eq!(error, wrong.into());
    }
}
