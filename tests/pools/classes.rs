//! Slots in several sizes: which class serves, what becomes of the rest, and the numbers by class.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::*;

use crate::{in_buffer, in_reserve};

const TAG: Tag = Tag::new(7);

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn used<H: Share, const N: usize>(pool: &Classes<H, N>) -> [usize; N] {
    core::array::from_fn(|class| pool.usage_of(class).unwrap().used)
}

fn cause(answer: Result<NonNull<[u8]>, Error>) -> Shortage {
    match answer {
        Err(Error::OutOfMemory(error)) => error.cause,
        other => panic!("{other:?}"),
    }
}

/// Every size and alignment goes to the smallest class that has both, whatever the order of the classes.
#[test]
fn the_smallest_class_that_fits_serves() {
    // Aligned to 16, 4096, 4, 8, 32, and 1.
    let sizes = [(48, 9), (8192, 9), (100, 9), (8, 9), (96, 9), (1, 9)];
    let aligns = [16, 4096, 4, 8, 32, 1];
    in_reserve(|heap| {
        let pool = Classes::new(Pool::new(heap, TAG), sizes, WhenFull::Borrow).unwrap();
        for size in [
            0, 1, 2, 7, 8, 9, 47, 48, 49, 96, 97, 100, 101, 4096, 8192, 8193,
        ] {
            for align in (0..=13).map(|power| 1 << power) {
                let layout = layout(size, align);
                let fits = |class: &usize| sizes[*class].0 >= size && aligns[*class] >= align;
                let expected = (0..6).filter(fits).min_by_key(|class| sizes[*class].0);
                let answer = pool.allocate(layout);
                let Some(class) = expected else {
                    let most = (0..6).filter(|class| sizes[*class].0 >= size);
                    let lacking = match most.map(|class| aligns[class]).max() {
                        Some(most) => Shortage::Overaligned { most },
                        None => Shortage::Oversized { most: 8192 },
                    };
                    assert_eq!(cause(answer), lacking, "{layout:?}");
                    continue;
                };
                let piece = answer.unwrap();
                assert!(piece.addr().get().is_multiple_of(align) && piece.len() == size);
                let mut wanted = [0; 6];
                wanted[class] = 1;
                assert_eq!(used(&pool), wanted, "{layout:?}");
                // SAFETY: handed out for this layout.
                unsafe { pool.deallocate(piece.cast(), layout) }.unwrap();
                assert_eq!(used(&pool), [0; 6]);
            }
        }
        pool.check().unwrap();
    });
}

/// A full class refuses, or borrows from the next larger one and then the next but one.
#[test]
fn full_classes_refuse_or_borrow() {
    in_buffer(|heap| {
        let sizes = [(16, 2), (64, 1), (32, 2)];
        let small = layout(10, 2);
        let pool = Classes::new(Pool::new(heap, TAG), sizes, WhenFull::Refuse).unwrap();
        pool.allocate(small).unwrap();
        pool.allocate(small).unwrap();
        let full = Shortage::Full { total: 2, used: 2 };
        assert_eq!(cause(pool.allocate(small)), full);
        assert_eq!(used(&pool), [2, 0, 0]);
        let failures = |class| pool.usage_of(class).unwrap().failures;
        assert_eq!((failures(0), failures(1), failures(2)), (1, 0, 0));
        assert_eq!(pool.usage().unwrap().failures, 1);
        drop(pool);

        let mut pool = Classes::new(Pool::new(heap, TAG), sizes, WhenFull::Borrow).unwrap();
        let mut pieces = Vec::new();
        for wanted in [[1, 0, 0], [2, 0, 0], [2, 0, 1], [2, 0, 2], [2, 1, 2]] {
            pieces.push(pool.allocate(small).unwrap().cast::<u8>());
            assert_eq!(used(&pool), wanted);
        }
        let full = Shortage::Full { total: 5, used: 5 };
        assert_eq!(cause(pool.allocate(small)), full);
        let full = Shortage::Full { total: 1, used: 1 };
        assert_eq!(cause(pool.allocate(layout(64, 1))), full);
        // What was borrowed goes back where it came from; the smallest serves first again.
        for (piece, wanted) in [(4, [2, 0, 2]), (0, [1, 0, 2]), (2, [1, 0, 1])] {
            // SAFETY: handed out for this layout.
            unsafe { pool.deallocate(pieces[piece], small) }.unwrap();
            assert_eq!(used(&pool), wanted);
        }
        assert_eq!(pool.allocate(small).unwrap().cast(), pieces[0]);
        let usage = pool.usage().unwrap();
        assert_eq!((usage.used, usage.total, usage.peak), (3, 5, 5));
        assert_eq!(pool.usage_of(3), None);
        pool.check().unwrap();
        pool.reset().unwrap();
        assert_eq!(used(&pool), [0, 0, 0]);
        assert_eq!(pool.usage_of(0).unwrap().peak, 2);
        pool.check().unwrap();
    });
}

/// A class takes back its own pieces only by their own size.
#[test]
fn pieces_are_found_by_address() {
    in_buffer(|heap| {
        let sizes = [(16, 3), (64, 3)];
        let pool = Classes::new(Pool::new(heap, TAG), sizes, WhenFull::Refuse).unwrap();
        let small = pool.allocate(layout(16, 1)).unwrap().cast::<u8>();
        let large = pool.allocate(layout(60, 1)).unwrap().cast::<u8>();
        let address = small.addr().get();
        let mismatch = Misuse::SizeMismatch {
            address,
            claimed: 60,
            usable: 16,
        };
        // SAFETY: must be refused.
        let refused = unsafe { pool.deallocate(small, layout(60, 1)) };
        assert_eq!(refused, Err(mismatch.into()));
        // SAFETY: in the piece; must be refused.
        let inside = unsafe { large.add(16) };
        // SAFETY: must be refused.
        let refused = unsafe { pool.deallocate(inside, layout(16, 1)) };
        let address = inside.addr().get();
        assert_eq!(refused, Err(Misuse::NotABlock { address }.into()));
        // SAFETY: the piece is ours.
        let grown = unsafe { pool.grow(small, layout(16, 1), layout(17, 1)) }.unwrap();
        assert_eq!((used(&pool), grown.len()), ([0, 2], 17));
        // SAFETY: the piece is ours.
        let grown = unsafe { pool.grow(large, layout(60, 1), layout(64, 64)) }.unwrap();
        assert_eq!((used(&pool), grown.cast()), ([0, 2], large), "in place");
        pool.check().unwrap();
    });
}

/// Whichever class has no room, nothing is left behind; no class at all is a pool that refuses.
#[test]
fn all_or_nothing() {
    for room in (0..4000).step_by(48) {
        let mut bytes = vec![0; 600 + room];
        let heap = LocalHeap::new(Heap::new(Buffer::new(&mut bytes)).unwrap());
        let made = Classes::new(
            Pool::new(&heap, TAG),
            [(16, 10), (64, 20), (128, 12)],
            WhenFull::Refuse,
        );
        let room = made.is_ok();
        match made {
            Ok(pool) => pool.check().unwrap(),
            Err(refused) => assert!(matches!(refused, Error::OutOfMemory(_))),
        }
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0, "{room}");
        heap.look(|heap| heap.check()).unwrap().unwrap();
    }
    in_buffer(|heap| {
        let huge = [(16, 1), (usize::MAX / 2, 3)];
        let refused = Classes::new(Pool::new(heap, TAG), huge, WhenFull::Refuse).map(drop);
        assert!(
            matches!(refused, Err(Error::OutOfMemory(error)) if error.cause == Shortage::TooLarge)
        );
        let many = [(16, 1), (64, usize::MAX / 64)];
        let refused = Classes::new(Pool::new(heap, TAG), many, WhenFull::Refuse).map(drop);
        assert!(
            matches!(refused, Err(Error::OutOfMemory(error)) if error.cause == Shortage::TooLarge)
        );
        let none = Classes::new(Pool::new(heap, TAG), [], WhenFull::Refuse).unwrap();
        assert_eq!(
            cause(none.allocate(layout(0, 1))),
            Shortage::Oversized { most: 0 }
        );
        let empty = Classes::new(Pool::new(heap, TAG), [(8, 0)], WhenFull::Borrow).unwrap();
        assert_eq!(
            cause(empty.allocate(layout(0, 1))),
            Shortage::Full { total: 0, used: 0 }
        );
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
    });
}
