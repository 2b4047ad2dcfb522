//! A: requests of every size and alignment.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::HashSet;

use fastrand::Rng;
use tagheap::{Error, Tag, scope};
use tagheap_trace::soak;

use crate::HEAP;
use crate::careless::{face, free, take, try_take};
use crate::support::{
    LARGEST, Piece, alone, assert_filled, blocks, bytes, holding, layout, objects, slot_size,
};

#[test]
fn a01_a02_no_bytes_get_memory_of_their_own() {
    const TAG: Tag = Tag::named("a01");
    let taken: Vec<_> = (0..1 << 16).map(|_| take(TAG, bytes(0))).collect();
    let distinct: HashSet<_> = taken.iter().collect();
    assert_eq!((distinct.len(), objects(TAG)), (1 << 16, 1 << 16));
    taken.iter().for_each(|ptr| free(*ptr, bytes(0)).unwrap());
    assert_eq!(objects(TAG), 0);
}

#[test]
fn a02_values_without_bytes_never_come_to_the_heap() {
    const TAG: Tag = Tag::named("a02");
    scope(TAG, || {
        Box::leak(Box::new(()));
        vec![(); 1000].leak();
        Vec::<u64>::new().leak();
        Box::leak(String::new().into_boxed_str());
    });
    assert_eq!((objects(TAG), holding(TAG).held.allocations), (0, 0));
}

#[test]
fn a03_sizes_to_4096_at_alignments_to_4096() {
    const TAG: Tag = Tag::named("a03");
    let mut rng = Rng::with_seed(3);
    for align in (0..=12).map(|power| 1 << power) {
        let sizes = 0..=4096;
        let mut pieces: Vec<_> = sizes
            .map(|size| Piece::take(TAG, layout(size, align), (size % 251) as u8))
            .collect();
        assert_eq!(objects(TAG), 4097);
        for piece in &pieces {
            let usable = HEAP.usable_size(piece.start).unwrap();
            assert_eq!(Some(usable), slot_size(piece.layout));
            assert!(usable >= piece.layout.size());
            assert_eq!(HEAP.tag_of(piece.start), Ok(TAG));
        }
        rng.shuffle(&mut pieces);
        pieces.into_iter().for_each(Piece::give_back);
        assert_eq!(objects(TAG), 0);
    }
    HEAP.check().unwrap();
}

#[test]
fn a04_a05_more_than_there_can_be() {
    const TAG: Tag = Tag::named("a04");
    const MOST: usize = isize::MAX as usize;
    let kept = Piece::take(TAG, bytes(100), 7);
    let before = holding(TAG);
    for align in [1, 8, 16, 32, 64, 4096, 1 << 16, 1 << 21, 1 << 40] {
        for less in (0..100).chain([1000, 4096, 1 << 16, 1 << 20, 1 << 40]) {
            let Ok(layout) = Layout::from_size_align(MOST - (align - 1) - less, align) else {
                continue;
            };
            let error = try_take(TAG, layout).unwrap_err();
            let Error::OutOfMemory(lacking) = error else {
                panic!("{error}");
            };
            assert_eq!(
                (lacking.tag, lacking.size, lacking.align),
                (TAG, layout.size(), align)
            );
            assert_eq!(scope(TAG, || face::alloc(layout)), None);
            assert_eq!(scope(TAG, || face::alloc_zeroed(layout)), None);
            if align == 1 {
                assert_eq!(face::realloc(kept.start, kept.layout, layout.size()), None);
            }
        }
    }
    for size in (0..100).map(|less| usize::MAX - less) {
        assert_eq!(face::realloc(kept.start, kept.layout, size), None);
    }
    let after = holding(TAG);
    assert_eq!((before.objects, before.bytes), (after.objects, after.bytes));
    assert_eq!(before.held.amount(), after.held.amount());
    kept.give_back();
}

#[test]
fn a07_alignments_as_far_as_there_are() {
    const TAG: Tag = Tag::named("a07");
    for power in 0..=24 {
        let layouts = [0, 1, 100, LARGEST, 50_000].map(|size| layout(size, 1 << power));
        let pieces = layouts.map(|layout| Piece::take(TAG, layout, power));
        pieces.into_iter().for_each(Piece::give_back);
    }
    assert_eq!(objects(TAG), 0);
    alone(|| {
        for power in 25..63 {
            match Piece::try_take(TAG, layout(1, 1 << power), power) {
                Ok(piece) => piece.give_back(),
                Err(Error::OutOfMemory(_)) => assert!(power > 35, "2^{power}"),
                Err(other) => panic!("{other}"),
            }
        }
        HEAP.check().unwrap();
    });
}

/// Zeroed memory, which was zero.
fn take_zeroed(tag: Tag, layout: Layout) -> Piece {
    let start = scope(tag, || face::alloc_zeroed(layout)).unwrap();
    assert_filled(start, layout.size(), 0);
    Piece::of(start, layout, 0xff)
}

#[test]
fn a08_zeroed_memory_is_zero_whoever_wrote_there() {
    const TAG: Tag = Tag::named("a08");
    let sizes = [
        1, 16, 17, 100, 1000, 1024, 4096, LARGEST, 8193, 40_000, 200_000,
    ];
    for align in [1, 16, 64, 4096] {
        let mut rng = Rng::with_seed(8);
        let mut pieces = Vec::new();
        for _round in 0..30 {
            for size in sizes {
                let piece = match rng.bool() {
                    true => Piece::take(TAG, layout(size, align), 0xff),
                    false => take_zeroed(TAG, layout(size, align)),
                };
                pieces.push(piece);
            }
            while pieces.len() > 20 {
                let place = rng.usize(..pieces.len());
                pieces.swap_remove(place).give_back();
            }
        }
        pieces.into_iter().for_each(Piece::give_back);
    }
    assert_eq!(objects(TAG), 0);
    let zeroes = scope(TAG, || vec![0_u8; 5000]);
    assert!(zeroes.iter().all(|byte| *byte == 0));
}

#[test]
fn a10_values_of_strict_alignment() {
    fn grows<T: Copy + Default + PartialEq + core::fmt::Debug + From<u8>>(tag: Tag) {
        let is_aligned = |ptr: *const T| ptr.addr().is_multiple_of(align_of::<T>());
        scope(tag, || {
            let boxed = Box::new(T::from(1));
            assert!(is_aligned(&raw const *boxed));
            let mut values = Vec::new();
            for number in 0..300 {
                values.push(T::from(number as u8));
                assert!(is_aligned(values.as_ptr()));
            }
            values.truncate(7);
            values.shrink_to_fit();
            assert!(is_aligned(values.as_ptr()));
            let expected: Vec<_> = (0..7).map(T::from).collect();
            assert_eq!(values, expected);
        });
        assert_eq!(objects(tag), 0);
    }
    macro_rules! strict {
        ($($align:literal),*) => { $({
            #[derive(Clone, Copy, Debug, Default, PartialEq)]
            #[repr(align($align))]
            struct Strict(u8);
            impl From<u8> for Strict {
                fn from(byte: u8) -> Self {
                    Self(byte)
                }
            }
            grows::<Strict>(Tag::named("a10"));
        })* };
    }
    strict!(1, 2, 8, 16, 32, 64, 128, 1024, 4096, 8192, 16384);
}

#[test]
fn a11_many_objects_freed_in_every_order() {
    const TAG: Tag = Tag::named("a11");
    // Ten million where a long run is wanted.
    let many = soak().map_or(200_000_usize, |_| 10_000_000);
    let mut rng = Rng::with_seed(11);
    for size in [1, 24, 64] {
        let slot = slot_size(bytes(size)).unwrap();
        let spans = many.div_ceil(65_504 / slot);
        for order in 0..4 {
            let mut taken: Vec<_> = (0..many).map(|_| take(TAG, bytes(size))).collect();
            let held = holding(TAG);
            assert_eq!((held.objects, held.bytes), (many, many * slot));
            assert!(held.held.blocks <= spans + 3, "{held}");
            match order {
                0 => {}
                1 => taken.reverse(),
                2 => rng.shuffle(&mut taken),
                _ => {
                    let odd = taken.iter().skip(1).step_by(2);
                    taken = taken.iter().step_by(2).chain(odd).copied().collect();
                }
            }
            taken
                .iter()
                .for_each(|ptr| free(*ptr, bytes(size)).unwrap());
            assert_eq!(objects(TAG), 0);
            assert!(
                blocks(TAG) <= 3,
                "empty spans go, but for one of each class"
            );
        }
    }
}

#[test]
fn a12_one_byte_around_every_class() {
    const TAG: Tag = Tag::named("a12");
    let edges: HashSet<_> = (1..=LARGEST)
        .filter_map(|size| slot_size(bytes(size)))
        .collect();
    assert_eq!(edges.len(), 56);
    for align in [1, 16, 32] {
        for size in edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]) {
            let asked = layout(size, align);
            let pieces: Vec<_> = (0..40).map(|n| Piece::take(TAG, asked, n)).collect();
            let usable: NonNull<u8> = pieces[0].start;
            let usable = HEAP.usable_size(usable).unwrap();
            match slot_size(asked) {
                Some(slot) => assert_eq!(usable, slot),
                None => assert!((size..size + 64).contains(&usable)),
            }
            assert_eq!(holding(TAG).bytes, 40 * slot_size(asked).unwrap_or(size));
            pieces.into_iter().for_each(Piece::give_back);
        }
    }
    assert_eq!(objects(TAG), 0);
}
