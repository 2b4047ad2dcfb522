//! C: pointers that are not what the caller thinks. Each test has a process of its own: what it misuses must
//! not be given to another test in between.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::HashSet;
use std::thread;

use tagheap::{Error, HEADER, Heap, Misuse, Reserve, Tag};

use crate::HEAP;
use crate::careless::{
    free, free_at, free_or, give_null, resize, resize_at, resize_null, resize_or,
};
use crate::support::{
    LARGEST, Piece, alone, bytes, double_free, holding, layout, not_a_block, not_from_here,
    objects, slot_size,
};

const TAG: Tag = Tag::named("misuse");

/// Sizes of slots and of blocks.
const SIZES: [usize; 10] = [
    1,
    16,
    100,
    512,
    1000,
    4096,
    LARGEST,
    LARGEST + 1,
    20_000,
    300_000,
];

/// Every call that takes a pointer refuses it with this error, and nothing changes.
#[track_caller]
fn all_refuse(ptr: NonNull<u8>, claimed: Layout, error: Error) {
    let before = holding(TAG);
    assert_eq!(free(ptr, claimed), Err(error));
    for size in [0, claimed.size(), claimed.size() + 100, 100_000] {
        let new = layout(size, claimed.align());
        assert_eq!(resize(ptr, claimed, new), Err(error), "to {size} bytes");
        assert_eq!(resize_at(ptr, new), Err(error), "to {size} bytes");
        assert_eq!(resize_or(ptr, new), Err(error), "to {size} bytes");
    }
    assert_eq!(free_at(ptr), Err(error));
    assert_eq!(free_or(ptr), Err(error));
    assert_eq!(HEAP.tag_of(ptr), Err(error));
    assert_eq!(HEAP.usable_size(ptr), Err(error));
    assert_eq!(HEAP.requested_size(ptr), Err(error));
    assert_eq!(holding(TAG), before);
}

#[test]
fn c01_c09_a_double_free_is_told_at_once_and_after_others() {
    alone(|| {
        for size in SIZES {
            let pieces: Vec<_> = (0..202)
                .map(|n| Piece::take(TAG, bytes(size), n as u8))
                .collect();
            let first = &pieces[1];
            first.free().unwrap();
            all_refuse(first.start, first.layout, double_free(first.start));
            // Not its neighbours, so that a block's place stays as it is.
            for other in pieces.iter().skip(3).step_by(2) {
                other.assert_whole();
                other.free().unwrap();
                assert_eq!(other.free(), Err(double_free(other.start)));
                assert_eq!(first.free(), Err(double_free(first.start)));
            }
            all_refuse(first.start, first.layout, double_free(first.start));
            pieces.iter().step_by(2).for_each(Piece::assert_whole);
            assert_eq!(objects(TAG), 101);
            pieces.into_iter().step_by(2).for_each(Piece::give_back);
            HEAP.check().unwrap();
        }
    });
}

/// Whatever was given back twice, in whatever order, is handed out once.
#[test]
fn c01_what_was_freed_twice_is_handed_out_once() {
    alone(|| {
        let mut rng = fastrand::Rng::with_seed(1);
        for size in [16, 100, 1000, 4000] {
            for round in 0..50 {
                let count = rng.usize(2..100);
                let take = |n| Piece::take(TAG, bytes(size), n as u8);
                let mut pieces: Vec<_> = (0..count).map(take).collect();
                rng.shuffle(&mut pieces);
                let gone = rng.usize(1..count);
                for piece in &pieces[..gone] {
                    piece.free().unwrap();
                }
                for _ in 0..200 {
                    let piece = &pieces[rng.usize(..gone)];
                    // Its span may be gone.
                    let told = piece.free();
                    assert!(matches!(told, Err(Error::Misuse(_))), "{round}: {told:?}");
                }
                let kept = pieces.split_off(gone);
                let again: Vec<_> = (0..count).map(|n| take(n + 100)).collect();
                let places: HashSet<_> =
                    { kept.iter().chain(&again) }.map(Piece::address).collect();
                assert_eq!(places.len(), kept.len() + again.len());
                kept.into_iter().chain(again).for_each(Piece::give_back);
                assert_eq!(objects(TAG), 0);
            }
        }
    });
}

/// Who gives it back first and who again, of the thread that allocated it and two others.
#[test]
fn c01_a_double_free_by_other_threads() {
    alone(|| {
        for size in [16, 100, 5000] {
            // Others in the span, in use: it stays.
            let kept = [(); 3].map(|()| Piece::take(TAG, bytes(size), 9));
            for collects in [false, true] {
                for (first, second) in [(0, 1), (1, 0), (1, 1), (1, 2), (0, 0)] {
                    let piece = Piece::take(TAG, bytes(size), 5);
                    let by = |who| match who {
                        0 => piece.free(),
                        _ => thread::scope(|scope| scope.spawn(|| piece.free()).join().unwrap()),
                    };
                    by(first).unwrap();
                    if collects {
                        HEAP.trim().unwrap();
                    }
                    assert_eq!(
                        by(second),
                        Err(double_free(piece.start)),
                        "{first} {second}"
                    );
                    assert_eq!(by(first), Err(double_free(piece.start)));
                    all_refuse(piece.start, piece.layout, double_free(piece.start));
                    assert_eq!(objects(TAG), 3);
                }
            }
            kept.into_iter().for_each(Piece::give_back);
        }
    });
}

#[test]
fn c03_an_interior_pointer_is_not_a_block() {
    alone(|| {
        for size in SIZES {
            let pieces = [1, 2, 3].map(|byte| Piece::take(TAG, bytes(size), byte));
            let usable = HEAP.usable_size(pieces[1].start).unwrap();
            for offset in [1, 8, 16, 32, 48, usable / 2, usable - 16, usable - 1] {
                if !(1..usable).contains(&offset) {
                    continue;
                }
                let inside = pieces[1]
                    .start
                    .map_addr(|at| at.checked_add(offset).unwrap());
                all_refuse(inside, bytes(size), not_a_block(inside));
                all_refuse(inside, bytes(1), not_a_block(inside));
            }
            pieces.into_iter().for_each(Piece::give_back);
        }
    });
}

/// Behind the last slot of a span, and in the header behind that.
#[test]
fn c03_what_is_behind_the_last_slot_is_not_a_block() {
    alone(|| {
        for size in (1..=LARGEST).filter(|size| slot_size(bytes(*size)) == Some(*size)) {
            let first = Piece::take(TAG, bytes(size), 1);
            let span = first.address() & !0xffff;
            let slots = (65_536 - HEADER) / size;
            for offset in (slots * size..65_536).step_by(16) {
                let at = first
                    .start
                    .map_addr(|_| (span + offset).try_into().unwrap());
                all_refuse(at, bytes(size), not_a_block(at));
            }
            // Slots that nobody had yet.
            let last = first
                .start
                .map_addr(|_| (span + (slots - 1) * size).try_into().unwrap());
            all_refuse(last, bytes(size), double_free(last));
            first.give_back();
        }
    });
}

/// As C has it, whatever the layout.
#[test]
fn c04_null_is_nothing_to_give_back() {
    alone(|| {
        let kept = Piece::take(TAG, bytes(10), 1);
        let before = holding(TAG);
        for size in [0, 1, 100, LARGEST, LARGEST + 1, 1 << 40] {
            for align in [1, 64, 1 << 14] {
                give_null(layout(size, align));
                assert!(resize_null(layout(size, align), 200).is_null());
            }
        }
        assert_eq!(holding(TAG), before);
        kept.give_back();
    });
}

#[test]
fn c05_c09_wild_pointers_are_not_from_here() {
    static BYTES: [u64; 100] = [7; 100];
    alone(|| {
        // The heap is there, and has a table of spans.
        let kept = [10, 100_000].map(|size| Piece::take(TAG, bytes(size), 1));
        let other = Heap::new(Reserve::new().unwrap());
        let mut other = other.unwrap();
        let of_other = other.allocate(TAG, bytes(100)).unwrap().cast::<u8>();
        let on_stack = [0_u64; 10];
        // SAFETY: a page of our own, wherever there is room.
        let mapped = unsafe {
            let (access, kind) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            libc::mmap(core::ptr::null_mut(), 1 << 20, access, kind, -1, 0)
        };
        // SAFETY: asks for a piece of the C library's.
        let of_libc = unsafe { libc::malloc(100) };
        let near = |offset: isize| kept[1].address().wrapping_add_signed(offset);
        let addresses = [
            1,
            16,
            0xffff_8000_0000_1000,
            0xffff_ffff_ff60_0000,
            0x0000_8000_0000_0000,
            0xdead_beef_dead_beef,
            usize::MAX,
            usize::MAX - 15,
            near(1 << 32),
            near(-(1 << 32)),
            near(-(1 << 45)),
            on_stack.as_ptr().addr(),
            BYTES.as_ptr().addr(),
            (free as *const ()).addr(),
            mapped.addr(),
            of_libc.addr(),
            of_other.addr().get(),
        ];
        for address in addresses {
            let wild = NonNull::without_provenance(address.try_into().unwrap());
            for size in [1, 100, LARGEST, 100_000] {
                all_refuse(wild, bytes(size), not_from_here(wild));
            }
            all_refuse(wild, layout(64, 64), not_from_here(wild));
        }
        kept.into_iter().for_each(Piece::give_back);
    });
}

/// The heap's own books are blocks in the row, too, and nobody's: whatever size is claimed, and wherever one starts.
#[test]
fn c05_the_heaps_own_books_are_not_blocks() {
    const BOOKS: Tag = Tag::named("tagheap");
    alone(|| {
        let kept = Piece::take(TAG, bytes(10), 1);
        let books = holding(BOOKS);
        assert!(books.objects > 0);
        let at = |address: usize| NonNull::without_provenance(address.try_into().unwrap());
        let is_here =
            |address: &usize| HEAP.tag_of(at(*address)) != Err(not_from_here(at(*address)));
        // The row begins with them, in front of the first span.
        let addresses = (1..kept.address() / 16).map(|units| kept.address() - 16 * units);
        let base = addresses.take_while(is_here).last().unwrap();
        for address in (base..base + 65_536).step_by(16) {
            let at = at(address);
            let tag = HEAP.tag_of(at);
            assert_ne!(tag, Ok(BOOKS));
            assert_eq!(HEAP.usable_size(at).is_ok(), tag.is_ok());
            if tag.is_ok() {
                // What the harness holds.
                continue;
            }
            for size in (64..=LARGEST).step_by(64) {
                let told = free(at, bytes(size)).unwrap_err();
                assert!(matches!(told, Error::Misuse(_)), "{told}");
                resize(at, bytes(size), bytes(size + 1)).unwrap_err();
            }
        }
        assert_eq!(holding(BOOKS), books);
        kept.give_back();
    });
}

#[test]
fn c07_a_header_forged_in_a_payload_does_not_pass() {
    alone(|| {
        for size in [1000, 10_000] {
            let [one, two] = [1, 2].map(|byte| Piece::take(TAG, bytes(size), byte));
            let large = Piece::take(TAG, bytes(10_000), 3);
            // SAFETY: there is a header in front of a block.
            let header = unsafe { large.start.cast::<[u64; HEADER / 8]>().sub(1) };
            // SAFETY: as above; nobody writes there meanwhile.
            let header = unsafe { header.read() };
            // SAFETY: in the middle of ours.
            let middle = unsafe { two.start.cast::<[u64; HEADER / 8]>().add(4) };
            // SAFETY: as above.
            unsafe { middle.write(header) };
            // SAFETY: in the middle of ours.
            let forged = unsafe { two.start.add(5 * HEADER) };
            all_refuse(forged, bytes(10_000), not_a_block(forged));
            let refilled = Piece::of(two.start, two.layout, 2);
            [one, refilled, large]
                .into_iter()
                .for_each(Piece::give_back);
        }
    });
}

#[test]
fn c08_a_size_of_another_class_is_told() {
    const TAG: Tag = Tag::named("c08");
    for size in (1..=LARGEST).filter(|size| slot_size(bytes(*size)) == Some(*size)) {
        let piece = Piece::take(TAG, bytes(size), 1);
        let (address, usable) = (piece.address(), size);
        for claimed in [
            0,
            1,
            size / 2,
            size - 16,
            size + 1,
            2 * size,
            LARGEST + 1,
            1 << 40,
        ] {
            if slot_size(bytes(claimed)) == Some(size) {
                continue;
            }
            let mismatch = Misuse::SizeMismatch {
                address,
                claimed,
                usable,
            };
            assert_eq!(free(piece.start, bytes(claimed)), Err(mismatch.into()));
            let resized = resize(piece.start, bytes(claimed), bytes(claimed + 10));
            assert_eq!(resized, Err(mismatch.into()));
        }
        let claimed = 2 * (1 << address.trailing_zeros());
        let mismatch = Misuse::AlignMismatch { address, claimed };
        assert_eq!(
            free(piece.start, layout(size, claimed)),
            Err(mismatch.into())
        );
        assert_eq!((objects(TAG), holding(TAG).bytes), (1, size));
        piece.give_back();
    }
    let large = Piece::take(TAG, bytes(20_000), 1);
    for claimed in [0, 1, 100, LARGEST, 10_000, 20_100, 1 << 40] {
        let refused = free(large.start, bytes(claimed));
        let is_told = matches!(refused, Err(Error::Misuse(Misuse::SizeMismatch { .. })));
        assert!(is_told, "{claimed}: {refused:?}");
    }
    large.give_back();
    assert_eq!(objects(TAG), 0);
}
