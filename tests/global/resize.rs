//! G05: memory grown and shrunk from every size to every other.

use core::alloc::Layout;

use tagheap::{Error, Misuse, Tag, scope};

use crate::HEAP;
use crate::careless::{face, free_at, resize, resize_at, resize_or};
use crate::support::{Piece, assert_filled, bytes, holding, layout, objects, slot_size};

const SIZES: [usize; 18] = [
    0,
    1,
    16,
    17,
    100,
    128,
    129,
    1000,
    1024,
    1025,
    4096,
    7169,
    8191,
    8192,
    8193,
    20_000,
    100_000,
    1 << 20,
];

/// Memory moves or stays, with its bytes and tag; what lies beside it is untouched.
#[test]
fn g05_from_every_size_to_every_other() {
    const TAG: Tag = Tag::named("g05");
    const OTHER: Tag = Tag::named("g05 o");
    for align in [1, 16, 32, 4096, 1 << 14] {
        for from in SIZES {
            for to in SIZES {
                let around = Piece::take(TAG, layout(from, align), 0xaa);
                let mut piece = Piece::take(TAG, layout(from, align), 0x11);
                let behind = Piece::take(TAG, layout(from, align), 0xbb);
                let before = piece.address();
                let align_to = if to % 2 == 0 { align } else { 64 };
                scope(OTHER, || piece.resize(layout(to, align_to))).unwrap();
                assert_eq!((objects(TAG), objects(OTHER)), (3, 0));
                assert_eq!(HEAP.tag_of(piece.start), Ok(TAG));
                let (old, new) = (slot_size(layout(from, align)), slot_size(piece.layout));
                if old.is_some() && old == new {
                    assert_eq!(piece.address(), before, "a slot that has the bytes stays");
                }
                [around, piece, behind]
                    .into_iter()
                    .for_each(Piece::give_back);
            }
        }
    }
    assert_eq!((objects(TAG), holding(TAG).bytes), (0, 0));
}

#[test]
fn g05_by_the_global_allocators_face() {
    const TAG: Tag = Tag::named("g05 f");
    for align in [1, 16, 64, 4096, 1 << 14] {
        for from in SIZES {
            for to in SIZES {
                let piece = Piece::take(TAG, layout(from, align), 0x22);
                let moved = face::realloc(piece.start, piece.layout, to).unwrap();
                piece.assert_moved(moved, from.min(to));
                assert_eq!((objects(TAG), HEAP.tag_of(moved)), (1, Ok(TAG)));
                Piece::of(moved, layout(to, align), 3).give_back();
            }
        }
    }
    assert_eq!(objects(TAG), 0);
}

#[test]
fn g05_by_whoever_knows_an_address_and_no_layout() {
    const TAG: Tag = Tag::named("g05 a");
    for align in [1, 16, 64, 4096, 1 << 14] {
        for from in SIZES {
            for to in SIZES {
                let piece = Piece::take(TAG, layout(from, align), 0x33);
                let told = HEAP.requested_size(piece.start).unwrap();
                assert_eq!(told, slot_size(piece.layout).unwrap_or(from));
                // All that is told may be used, and stays.
                let piece = Piece::of(piece.start, bytes(told), 0x44);
                // In one of the ways that there are.
                let moved = match to % 2 {
                    0 => resize_at(piece.start, layout(to, 16)).unwrap(),
                    _ => resize_or(piece.start, layout(to, 16)).unwrap().unwrap(),
                };
                piece.assert_moved(moved, told.min(to));
                assert!(moved.addr().get().is_multiple_of(16));
                assert_eq!((objects(TAG), HEAP.tag_of(moved)), (1, Ok(TAG)));
                free_at(moved).unwrap();
                assert_eq!(objects(TAG), 0);
            }
        }
    }
}

#[test]
fn g05_a_vec_keeps_its_tag_where_it_grows_outside_the_scope() {
    const TAG: Tag = Tag::named("g05 v");
    let mut words = scope(TAG, || Vec::with_capacity(1));
    for word in 0..10_000_u32 {
        words.push(word);
        assert_eq!(objects(TAG), 1);
    }
    assert!(words.iter().copied().eq(0..10_000));
    words.truncate(3);
    words.shrink_to_fit();
    assert_eq!((objects(TAG), words.as_slice()), (1, [0, 1, 2].as_slice()));
    drop(words);
    assert_eq!(objects(TAG), 0);
}

#[test]
fn g05_the_wrong_way_is_told() {
    const TAG: Tag = Tag::named("g05 w");
    for size in [100, 10_000] {
        let piece = Piece::take(TAG, bytes(size), 1);
        // SAFETY: refused.
        let grown = unsafe { HEAP.grow(piece.start, bytes(size), bytes(size - 1)) };
        let (old, new) = (size, size - 1);
        assert_eq!(grown, Err(Misuse::WrongWay { old, new }.into()));
        // SAFETY: refused.
        let shrunk = unsafe { HEAP.shrink(piece.start, bytes(size), bytes(size + 1)) };
        let new = size + 1;
        assert_eq!(shrunk, Err(Misuse::WrongWay { old, new }.into()));
        piece.give_back();
    }
}

/// Where there is no memory the old one stays, to the byte.
#[test]
fn b14_g05_a_refusal_leaves_memory_as_it_is() {
    const TAG: Tag = Tag::named("b14");
    const LIMITED: Tag = Tag::named("b14 l");
    HEAP.set_limit(LIMITED, Some(2 << 20)).unwrap();
    for size in [1, 100, 8192, 8193, 100_000] {
        for align in [1, 64] {
            let old = layout(size, align);
            let [piece, limited] = [TAG, LIMITED].map(|tag| Piece::take(tag, old, 0x33));
            // What is kept at hand goes before anything is refused.
            HEAP.trim().unwrap();
            let before = [TAG, LIMITED].map(|tag| holding(tag).held.amount());
            let is_refused = |piece: &Piece, tag, new: Layout| {
                let error = resize(piece.start, piece.layout, new).unwrap_err();
                assert!(
                    matches!(error, Error::OutOfMemory(lacking) if lacking.tag == tag),
                    "{error}"
                );
                assert_eq!(face::realloc(piece.start, piece.layout, new.size()), None);
                assert_filled(piece.start, size, 0x33);
            };
            for huge in [1 << 40, isize::MAX as usize - 4096] {
                is_refused(&piece, TAG, layout(huge, align));
            }
            is_refused(&limited, LIMITED, layout(2 << 20, align));
            assert_eq!([TAG, LIMITED].map(|tag| holding(tag).held.amount()), before);
            [piece, limited].into_iter().for_each(Piece::give_back);
        }
    }
    assert_eq!((objects(TAG), objects(LIMITED)), (0, 0));
}
