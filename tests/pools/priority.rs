//! Slots by importance: every level for itself, or from less important ones when it has none left.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::*;

use crate::{in_buffer, in_reserve};

const TAG: Tag = Tag::new(7);

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn used<H: Share>(pool: &Priority<H>) -> [usize; 4] {
    Level::ALL.map(|level| pool.usage_of(level).used)
}

fn cause(answer: Result<NonNull<[u8]>, Error>) -> Shortage {
    match answer {
        Err(Error::OutOfMemory(error)) => error.cause,
        other => panic!("{other:?}"),
    }
}

/// What the document that this kind follows gives each level, as it stands there.
#[test]
fn levels_are_as_large_as_in_their_source() {
    let critical = (32, 64);
    let normal = (128, 32);
    let large = (1024, 8);
    let temporary = (256, 16);
    assert_eq!(Level::SIZES, [critical, normal, large, temporary]);
    let levels = [
        Level::Critical,
        Level::Normal,
        Level::Large,
        Level::Temporary,
    ];
    assert_eq!(Level::ALL, levels);
    in_buffer(|heap| {
        let pool = Priority::new(Pool::new(heap, TAG), WhenFull::Refuse).unwrap();
        assert_eq!(
            levels.map(|level| pool.usage_of(level).total),
            [64, 32, 8, 16]
        );
    });
}

/// By default every level has the slots that are promised, of the sizes promised.
#[test]
fn levels_have_their_slots() {
    in_buffer(|heap| {
        let pool = Priority::new(Pool::new(heap, TAG), WhenFull::Refuse).unwrap();
        for (level, (size, count)) in Level::ALL.into_iter().zip(Level::SIZES) {
            for used in 0..count {
                assert_eq!(pool.usage_of(level).used, used);
                let piece = pool.allocate_at(level, layout(size, size)).unwrap();
                assert!(piece.addr().get().is_multiple_of(size) && piece.len() == size);
            }
            let full = Shortage::Full {
                total: count,
                used: count,
            };
            assert_eq!(cause(pool.allocate_at(level, layout(1, 1))), full);
            let oversized = Shortage::Oversized { most: size };
            assert_eq!(
                cause(pool.allocate_at(level, layout(size + 1, 1))),
                oversized
            );
            let overaligned = Shortage::Overaligned { most: size };
            assert_eq!(
                cause(pool.allocate_at(level, layout(1, 2 * size))),
                overaligned
            );
            assert_eq!(pool.usage_of(level).failures, 3);
        }
        let usage = pool.usage().unwrap();
        assert_eq!((usage.used, usage.total, usage.failures), (120, 120, 12));
        pool.check().unwrap();
    });
}

/// Every level borrows from less important ones only, the next first, and only slots that are large enough.
#[test]
fn levels_borrow_downwards() {
    in_buffer(|heap| {
        let sizes = [(32, 1), (128, 1), (1024, 1), (256, 1)];
        let borrowing =
            || Priority::with_sizes(Pool::new(heap, TAG), sizes, WhenFull::Borrow).unwrap();
        let programs: [(Level, usize, &[[usize; 4]]); 5] = [
            (
                Level::Critical,
                32,
                &[[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]],
            ),
            (
                Level::Normal,
                128,
                &[[0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]],
            ),
            (Level::Large, 257, &[[0, 0, 1, 0]]),
            (Level::Large, 256, &[[0, 0, 1, 0], [0, 0, 1, 1]]),
            (Level::Temporary, 1, &[[0, 0, 0, 1]]),
        ];
        for (level, size, steps) in programs {
            let pool = borrowing();
            let mut pieces = Vec::new();
            for wanted in steps {
                pieces.push(pool.allocate_at(level, layout(size, 1)).unwrap());
                assert_eq!(used(&pool), *wanted, "{level:?}");
            }
            let (total, used) = (steps.len(), steps.len());
            let full = Shortage::Full { total, used };
            assert_eq!(cause(pool.allocate_at(level, layout(size, 1))), full);
            for piece in pieces {
                // SAFETY: handed out for this layout.
                unsafe { pool.deallocate(piece.cast(), layout(size, 1)) }.unwrap();
            }
            assert_eq!(pool.usage().unwrap().used, 0);
            pool.check().unwrap();
        }
        let pool = borrowing();
        let oversized = Shortage::Oversized { most: 32 };
        assert_eq!(
            cause(pool.allocate_at(Level::Critical, layout(33, 1))),
            oversized
        );
    });
}

/// Values go into a level through its view, live as long as the pool is borrowed, and go back.
#[test]
fn views_are_pools() {
    in_reserve(|heap| {
        let mut pool = Priority::new(Pool::new(heap, TAG), WhenFull::Refuse).unwrap();
        for (place, level) in Level::ALL.into_iter().enumerate() {
            let view = pool.at(level);
            let number = view.alloc(5_u64).unwrap();
            let owned = pool.at(level).own_str("ciao").unwrap();
            *number += 1;
            assert_eq!((*number, &*owned), (6, "ciao"));
            let mut wanted = [0; 4];
            wanted[place] = 2;
            assert_eq!(used(&pool), wanted);
            assert_eq!(view.usage().unwrap(), pool.usage_of(level));
            assert_eq!(view.contains(NonNull::from(number).cast()), Ok(true));
            drop(owned);
            assert_eq!(pool.usage_of(level).used, 1);
            // A piece grows into slots of the view's level.
            let size = Level::SIZES[place].0;
            let piece = pool.at(Level::Critical).allocate(layout(20, 4)).unwrap();
            // SAFETY: the piece is ours.
            let grown = unsafe { view.grow(piece.cast(), layout(20, 4), layout(size, 4)) }.unwrap();
            assert_eq!(grown.len(), size);
            assert_eq!(pool.usage_of(level).used, 2);
            view.check().unwrap();
            pool.reset().unwrap();
            assert_eq!(used(&pool), [0; 4]);
        }
        pool.alloc(1_u8).unwrap();
        assert_eq!(used(&pool), [0, 0, 0, 1], "without a level: temporary");
        assert!(Level::Critical < Level::Temporary && Level::ALL.is_sorted());
    });
}

/// A view of a level holds collections.
#[test]
fn views_hold_collections() {
    in_buffer(|heap| {
        let pool = Priority::new(Pool::new(heap, TAG), WhenFull::Refuse).unwrap();
        let mut numbers = api2_04::vec::Vec::new_in(pool.at(Level::Large));
        numbers.extend(0..256_u32);
        assert_eq!((numbers.len(), used(&pool)), (256, [0, 0, 1, 0]));
        assert!(numbers.try_reserve(1).is_err());
        drop(numbers);
        assert_eq!(used(&pool), [0; 4]);
    });
}

/// With pooling switched off a view's pieces are the heap's blocks too.
#[test]
fn views_pass_through() {
    in_buffer(|heap| {
        let pool = Pool::new(heap, TAG).pass_through(true);
        let pool = Priority::new(pool, WhenFull::Refuse).unwrap();
        let view = pool.at(Level::Critical);
        let large = view.own([0_u8; 5000]).unwrap();
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 1);
        assert_eq!(view.usage().unwrap().used, 5000);
        drop(large);
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
    });
}
