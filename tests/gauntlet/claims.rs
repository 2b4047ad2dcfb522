//! C: sizes, alignments and tags that the caller claims and the block does not have.

use tagheap::{Error, Misuse, SMALLEST, Tag, UNIT};

use crate::support::{Careless, Config, Rig, bytes, layout};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");

stamp!(buffer_and_reserve:
    c08_a_size_is_believed_if_it_rounds_to_the_block,
    c08_an_alignment_the_block_does_not_have_is_refused,
    c10_a_wrong_tag_is_refused,
    g05_a_resize_the_wrong_way_is_refused,
);

/// Sizes that round to the same block cannot be told apart; nor can, where the rest of a split was too
/// small for a block, the sizes in between. All others are refused.
fn c08_a_size_is_believed_if_it_rounds_to_the_block<C: Config>() {
    for (size, slack) in [(1, 0), (16, 0), (100, 0), (100, 16), (100, 32), (512, 32)] {
        for claimed in 0..=size + slack + 3 * SMALLEST {
            let mut rig = Rig::<C>::new(1 << 13);
            // A hole a little larger than the block, so that the block gets the slack.
            let hole = rig.take(B, size + slack);
            rig.take(B, 1);
            rig.free(hole);
            let block = rig.take(A, size);
            let usable = rig.heap.usable_size(block).unwrap();
            assert_eq!(usable, (size + slack).next_multiple_of(UNIT));
            let rounded = claimed.max(1).next_multiple_of(UNIT);
            let fits = rounded <= usable && (!C::SPLITS || usable - rounded < SMALLEST);
            if fits {
                rig.heap.free(block, bytes(claimed)).unwrap();
                rig.live.remove(&block.addr().get());
                rig.check();
                continue;
            }
            let address = block.addr().get();
            let mismatch = Misuse::SizeMismatch {
                address,
                claimed,
                usable,
            };
            let error = rig.refuses(|heap| heap.free(block, bytes(claimed)));
            assert_eq!(error, mismatch.into());
            let larger = bytes(claimed + 1);
            let error = rig.refuses(|heap| heap.enlarge(block, bytes(claimed), larger));
            assert_eq!(error, mismatch.into());
            let error = rig.refuses(|heap| heap.reduce(block, bytes(claimed), bytes(0)));
            assert_eq!(error, mismatch.into());
            let error = rig.refuses(|heap| heap.free_in(A, block, bytes(claimed)));
            assert_eq!(error, mismatch.into());
        }
    }
    // Sizes that no block can have.
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
