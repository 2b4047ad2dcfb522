//! D: tags released, with all that is under them.

use tagheap::{Amount, Error, Global, HEADER, Misuse, Tag, scope};

use crate::HEAP;
use crate::careless::{face, free, take, try_take};
use crate::support::{
    LARGEST, Piece, alone, blocks, bytes, double_free, holding, layout, not_a_block, objects,
};

/// Releases a tag under which nobody uses anything.
fn release(tag: Tag) -> Result<Amount, Error> {
    // SAFETY: nobody does.
    unsafe { HEAP.release(tag) }
}

const BOOKS: Tag = Tag::named("tagheap");

#[test]
fn d02_d03_a_tag_without_blocks_has_nothing_to_release() {
    const TAG: Tag = Tag::named("d02");
    assert_eq!(release(Tag::named("d02 none")), Ok(Amount::default()));
    for size in [10, 100_000] {
        take(TAG, bytes(size));
        assert_eq!(release(TAG).unwrap().blocks, 1);
        assert_eq!(release(TAG), Ok(Amount::default()));
        assert_eq!((objects(TAG), blocks(TAG)), (0, 0));
    }
    let piece = Piece::take(TAG, bytes(10), 1);
    piece.give_back();
    assert_eq!(release(TAG).unwrap().blocks, 1, "a span kept for the next");
    assert_eq!(release(TAG), Ok(Amount::default()));
}

#[test]
fn d04_the_heaps_own_tags_are_refused() {
    let reserved = [
        Tag::FREE,
        Tag::HEAP,
        Tag::FOREIGN,
        Tag::new(u64::MAX - 15),
        BOOKS,
    ];
    for tag in reserved {
        let error = Misuse::ReservedTag { tag }.into();
        assert_eq!(release(tag), Err(error));
        for limit in [Some(0), Some(usize::MAX), None] {
            assert_eq!(HEAP.set_limit(tag, limit), Err(error));
        }
        for layout in [bytes(0), bytes(1), bytes(LARGEST + 1), layout(64, 64)] {
            let Err(Error::Misuse(Misuse::ReservedTag { tag: named })) = try_take(tag, layout)
            else {
                panic!("{layout:?} was served under {tag:x}");
            };
            assert_eq!(named, tag);
        }
    }
    // The one below them is anybody's.
    let tag = Tag::new(u64::MAX - 16);
    Piece::take(tag, bytes(10), 1).give_back();
}

#[test]
fn d01_what_went_with_its_tag_is_not_freed_again() {
    const TAG: Tag = Tag::named("d01");
    const BEHIND: Tag = Tag::named("d01 kept");
    alone(|| {
        for size in [1, 16, 100, 1000, LARGEST, LARGEST + 1, 300_000] {
            let pieces: Vec<_> = (0..20).map(|n| Piece::take(TAG, bytes(size), n)).collect();
            // The row goes on behind them.
            take(BEHIND, bytes(300_000));
            release(TAG).unwrap();
            for piece in &pieces {
                let at = piece.start;
                let error = piece.free().unwrap_err();
                let address = piece.address();
                let told = [
                    Misuse::Released { address }.into(),
                    not_a_block(at),
                    double_free(at),
                    Misuse::NotFromHere { address }.into(),
                ];
                assert!(told.contains(&error), "{error}");
                assert_eq!(HEAP.tag_of(at), Err(error));
            }
            // Where a block started the whole truth is told.
            let first = pieces.iter().min_by_key(|piece| piece.address()).unwrap();
            let address = first.address();
            assert_eq!(first.free(), Err(Misuse::Released { address }.into()));
            assert_eq!((objects(TAG), blocks(TAG)), (0, 0));
            // Again in use: what is not in use yet is told.
            let again: Vec<_> = (0..10).map(|n| Piece::take(TAG, bytes(size), n)).collect();
            let held = |piece: &Piece| again.iter().any(|other| other.start == piece.start);
            for piece in pieces.iter().filter(|piece| !held(piece)) {
                piece.free().unwrap_err();
            }
            again.into_iter().for_each(Piece::give_back);
        }
        HEAP.check().unwrap();
    });
}

/// Others' memory, small and large, between that of the tag: untouched, byte for byte.
#[test]
fn d06_a_release_leaves_others_alone() {
    const TAGS: [Tag; 3] = [
        Tag::named("d06 a"),
        Tag::named("d06 b"),
        Tag::named("d06 c"),
    ];
    let mut rng = fastrand::Rng::with_seed(6);
    for round in 0..6 {
        let mut kept = Vec::new();
        let mut per_tag = [0; 3];
        for number in 0..20_000 {
            let of = rng.usize(..3);
            let size = match rng.u8(..100) {
                0 => rng.usize(..60_000),
                _ => rng.usize(..500),
            };
            let piece = Piece::take(TAGS[of], bytes(size), number as u8);
            per_tag[of] += 1;
            if of > 0 {
                kept.push((of, piece));
            }
        }
        for (tag, count) in TAGS.into_iter().zip(per_tag) {
            assert_eq!(objects(tag), count);
        }
        let before = [1, 2].map(|of| holding(TAGS[of]));
        let held = holding(TAGS[0]).held.amount();
        assert!(held.blocks > 40, "many spans and blocks");
        assert_eq!(release(TAGS[0]), Ok(held));
        assert_eq!([1, 2].map(|of| holding(TAGS[of])), before);
        assert_eq!((objects(TAGS[0]), blocks(TAGS[0])), (0, 0));
        // As good as new, at once.
        let again: Vec<_> = (0..3000)
            .map(|n| Piece::take(TAGS[0], bytes(n % 700), round))
            .collect();
        assert_eq!(objects(TAGS[0]), 3000);
        kept.iter().for_each(|(_, piece)| piece.assert_whole());
        again.into_iter().for_each(Piece::give_back);
        for (of, piece) in kept {
            piece.give_back();
            per_tag[of] -= 1;
        }
        assert_eq!(per_tag[1..], [0, 0]);
        assert_eq!(TAGS.map(objects), [0; 3]);
    }
    HEAP.check().unwrap();
}

#[test]
fn d06_what_threads_have_under_a_tag_goes_too() {
    const TAG: Tag = Tag::named("d06 t");
    let sizes = [10, 200, 3000, 30_000];
    let take_all = || sizes.map(|size| Piece::take(TAG, bytes(size), 1));
    let (go, gone) = (std::sync::Barrier::new(4), std::sync::Barrier::new(4));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                take_all();
                go.wait();
                gone.wait();
                // This thread's stock is as good as new.
                let pieces = take_all();
                pieces.into_iter().for_each(Piece::give_back);
            });
        }
        go.wait();
        assert_eq!(objects(TAG), 12);
        assert_eq!(release(TAG).unwrap().blocks, 12);
        assert_eq!((objects(TAG), blocks(TAG)), (0, 0));
        gone.wait();
    });
    assert_eq!(objects(TAG), 0);
}

/// Released inside the tag's scope, from where requests go on.
#[test]
fn d07_a_release_inside_the_tags_own_scope() {
    const TAG: Tag = Tag::named("d07");
    const INNER: Tag = Tag::named("d07 in");
    scope(TAG, || {
        for round in 0..100 {
            let sizes = [10, 200, 3000, 30_000];
            let first = sizes.map(|size| HEAP.allocate(bytes(size)).unwrap());
            // Given back, so that they are at hand for the next.
            for (at, size) in first.into_iter().zip(sizes).take(round % 4) {
                free(at.cast(), bytes(size)).unwrap();
            }
            release(TAG).unwrap();
            assert_eq!((objects(TAG), blocks(TAG)), (0, 0));
            // Another tag's stock may be one that has no spans: this thread's at hand is none such.
            let inner = Piece::take(INNER, bytes(10), 2);
            let pieces =
                sizes.map(|size| Piece::of(face::alloc(bytes(size)).unwrap(), bytes(size), 3));
            assert_eq!((objects(TAG), objects(INNER)), (4, 1));
            inner.assert_whole();
            pieces.into_iter().for_each(Piece::give_back);
            inner.give_back();
        }
    });
    assert_eq!((objects(TAG), objects(INNER)), (0, 0));
    assert_eq!(
        HEAP.tag_of(take(Global::UNTAGGED, bytes(HEADER))),
        Ok(Global::UNTAGGED)
    );
}

/// Memory of another tag that grows meanwhile: its new place is none of the scope's.
#[test]
fn d07_a_resize_of_anothers_after_a_release_inside_the_scope() {
    const TAG: Tag = Tag::named("d07 own");
    const OTHER: Tag = Tag::named("d07 othe");
    alone(|| {
        let theirs = std::thread::spawn(|| Piece::take(OTHER, bytes(10), 7));
        let mut theirs = theirs.join().unwrap();
        scope(TAG, || {
            HEAP.allocate(bytes(10)).unwrap();
            release(TAG).unwrap();
            theirs.resize(bytes(1000)).unwrap();
            let mine = HEAP.allocate(bytes(1000)).unwrap().cast();
            assert_eq!(HEAP.tag_of(theirs.start), Ok(OTHER));
            assert_eq!(HEAP.tag_of(mine), Ok(TAG));
            free(mine, bytes(1000)).unwrap();
        });
        theirs.give_back();
        assert_eq!((objects(TAG), objects(OTHER)), (0, 0));
    });
}
