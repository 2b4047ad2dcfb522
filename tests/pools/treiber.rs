//! What is special to slots without a lock; what they share with every kind is the battery's.

use core::alloc::Layout;
use core::cell::Cell;

use tagheap::{
    Corruption, Error, Fixed, Kind, LockFree, Misuse, OutOfMemory, Pool, Share, Shortage, Tag,
    Usage,
};

use crate::threads::TAG;
use crate::{in_buffer, in_reserve};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn the_last_given_back_is_the_first_handed_out() {
    in_buffer(|heap| {
        let kind = LockFree::new(Pool::new(heap, TAG), layout(24, 8), 5).unwrap();
        let slots: Vec<_> = (0..5)
            .map(|_| kind.allocate(layout(24, 8)).unwrap())
            .collect();
        assert!(
            slots
                .windows(2)
                .all(|two| two[1].addr().get() - two[0].addr().get() == 24)
        );
        for order in [[0, 1, 2, 3, 4], [4, 2, 0, 1, 3]] {
            for at in order {
                // SAFETY: handed out for this layout.
                unsafe { kind.deallocate(slots[at].cast(), layout(24, 8)) }.unwrap();
            }
            for at in order.into_iter().rev() {
                assert_eq!(
                    kind.allocate(layout(24, 8)).unwrap().addr(),
                    slots[at].addr()
                );
            }
        }
    });
}

#[test]
fn slots_are_counted_exactly() {
    in_buffer(|heap| {
        let mut kind = LockFree::new(Pool::new(heap, TAG), layout(10, 4), 7).unwrap();
        assert_eq!(kind.slot(), layout(10, 4));
        let mut wanted = kind.usage().unwrap();
        assert_eq!((wanted.total, wanted.used), (7, 0));
        let mut pieces = Vec::new();
        let mut first = None;
        for take in [7, 8, 3] {
            for _ in 0..take {
                if let Ok(piece) = kind.allocate(layout(10, 4)) {
                    first.get_or_insert(piece.addr());
                    pieces.push(piece.cast::<u8>());
                    wanted.allocations += 1;
                    wanted.used += 1;
                } else {
                    wanted.failures += 1;
                }
                wanted.peak = wanted.peak.max(wanted.used);
                assert_eq!(kind.usage().unwrap(), wanted);
            }
            for piece in pieces.drain(..) {
                // SAFETY: handed out for this layout.
                unsafe { kind.deallocate(piece, layout(10, 4)) }.unwrap();
                wanted.deallocations += 1;
                wanted.used -= 1;
                assert_eq!(kind.usage().unwrap(), wanted);
            }
            kind.check().unwrap();
        }
        kind.allocate(layout(1, 1)).unwrap();
        kind.reset().unwrap();
        let (allocations, deallocations) = (wanted.allocations + 1, wanted.deallocations + 1);
        assert_eq!(
            kind.usage().unwrap(),
            Usage {
                allocations,
                deallocations,
                ..wanted
            }
        );
        let again = kind.allocate(layout(1, 1)).unwrap();
        assert_eq!(Some(again.addr()), first, "the first slot is on top");
        kind.check().unwrap();
    });
}

#[test]
fn what_fits_no_slot_is_refused_by_name() {
    in_buffer(|heap| {
        let kind = LockFree::new(Pool::new(heap, TAG), layout(10, 4), 1).unwrap();
        let refused = |size, align, cause| {
            let tag = TAG;
            let lacking = OutOfMemory {
                tag,
                size,
                align,
                cause,
            };
            assert_eq!(kind.allocate(layout(size, align)), Err(lacking.into()));
        };
        refused(11, 1, Shortage::Oversized { most: 10 });
        refused(1, 8, Shortage::Overaligned { most: 4 });
        let piece = kind.allocate(layout(3, 2)).unwrap().cast();
        refused(10, 4, Shortage::Full { total: 1, used: 1 });
        // SAFETY: handed out for this layout.
        let grown = unsafe { kind.grow(piece, layout(3, 2), layout(10, 4)) };
        assert_eq!(grown.unwrap().cast(), piece);
        // SAFETY: handed out for this layout.
        let refused = unsafe { kind.grow(piece, layout(10, 4), layout(11, 4)) };
        assert!(matches!(refused, Err(Error::OutOfMemory(error)) if error.size == 11));
        assert_eq!(kind.usage().unwrap().failures, 4);

        let address = piece.addr().get();
        // SAFETY: within the slot.
        let interior = unsafe { piece.add(4) };
        // SAFETY: the end of the slot and of the pool's memory.
        let behind = unsafe { piece.add(12) };
        let too_large = Misuse::SizeMismatch {
            address,
            claimed: 11,
            usable: 10,
        };
        let too_strict = Misuse::AlignMismatch {
            address,
            claimed: 8,
        };
        let at = |offset| address + offset;
        let wrong = [
            (piece, layout(11, 1), too_large),
            (piece, layout(1, 8), too_strict),
            (interior, layout(1, 1), Misuse::NotABlock { address: at(4) }),
            (
                behind,
                layout(1, 1),
                Misuse::NotFromHere { address: at(12) },
            ),
        ];
        for (ptr, layout, error) in wrong {
            // SAFETY: the pool must notice.
            let freed = unsafe { kind.deallocate(ptr, layout) };
            assert_eq!(freed, Err(error.into()));
            // SAFETY: the pool must notice.
            let grown = unsafe { kind.grow(ptr, layout, layout) };
            assert_eq!(grown, Err(error.into()));
        }
        // SAFETY: handed out for this layout.
        unsafe { kind.deallocate(piece, layout(10, 4)) }.unwrap();
        // SAFETY: the pool must notice.
        let shrunk = unsafe { kind.shrink(piece, layout(10, 4), layout(5, 4)) };
        assert_eq!(shrunk, Err(Misuse::DoubleFree { address }.into()));
    });
}

#[test]
fn there_are_as_many_slots_as_asked_for() {
    in_reserve(|heap| {
        for (slot, slots) in [
            (layout(0, 1), 3),
            (layout(1, 1), 1),
            (layout(8, 64), 10),
            (layout(100, 1), 0),
        ] {
            let kind = LockFree::new(Pool::new(heap, TAG), slot, slots).unwrap();
            for _ in 0..slots {
                let piece = kind.allocate(slot).unwrap();
                assert!(piece.addr().get().is_multiple_of(slot.align()));
                assert_eq!(kind.contains(piece.cast()), Ok(true));
            }
            let full = Shortage::Full {
                total: slots,
                used: slots,
            };
            assert!(
                matches!(kind.allocate(slot), Err(Error::OutOfMemory(error)) if error.cause == full)
            );
            kind.check().unwrap();
        }
        const MOST: usize = (1 << 24) - 1;
        let kind = LockFree::new(Pool::new(heap, TAG), layout(1, 1), MOST).unwrap();
        assert_eq!(kind.usage().unwrap().total, MOST);
        let first = kind.allocate(layout(1, 1)).unwrap();
        let second = kind.allocate(layout(1, 1)).unwrap();
        assert_eq!(second.addr().get() - first.addr().get(), 1);
        kind.check().unwrap();
        drop(kind);
        for (slot, slots) in [(layout(1, 1), MOST + 1), (layout(1 << 40, 1), MOST)] {
            let refused = LockFree::new(Pool::new(heap, TAG), slot, slots).map(drop);
            let cause = Shortage::TooLarge;
            assert!(matches!(refused, Err(Error::OutOfMemory(error)) if error.cause == cause));
        }
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
    });
}

/// A slot that fits a cache line lies in one, and slots of a line's length start at lines.
#[test]
fn many_slots_start_at_lines() {
    in_reserve(|heap| {
        for (size, line) in [(64, 64), (32, 32), (192, 64), (48, 16)] {
            let slot = layout(size, 8);
            let lock_free = LockFree::new(Pool::new(heap, TAG), slot, 1001).unwrap();
            let fixed = Fixed::new(Pool::new(heap, OTHER), slot, 1001).unwrap();
            for piece in [lock_free.allocate(slot), fixed.allocate(slot)] {
                let at = piece.unwrap().addr().get();
                assert!(at.is_multiple_of(line), "{size} at {at:#x}");
            }
        }
    });
}

const OTHER: Tag = Tag::new(TAG.number() + 1);

#[test]
fn what_is_written_to_free_slots_harms_nobody() {
    in_buffer(|heap| {
        let kind = LockFree::new(Pool::new(heap, TAG), layout(16, 8), 6).unwrap();
        for byte in [0, 0x55, 0xff] {
            let slots: Vec<_> = (0..6)
                .map(|_| kind.allocate(layout(16, 8)).unwrap())
                .collect();
            for slot in &slots {
                // SAFETY: handed out for this layout.
                unsafe { kind.deallocate(slot.cast(), layout(16, 8)) }.unwrap();
                // SAFETY: the pool's memory, which is there; the pool must not mind.
                unsafe { slot.cast::<u8>().write_bytes(byte, 16) };
            }
            kind.check().unwrap();
            let mut again: Vec<_> = (0..6)
                .map(|_| kind.allocate(layout(16, 8)).unwrap().addr())
                .collect();
            again.reverse();
            let before: Vec<_> = slots.iter().map(|slot| slot.addr()).collect();
            assert_eq!(again, before);
            assert!(kind.allocate(layout(16, 8)).is_err());
            for slot in &slots {
                // SAFETY: handed out for this layout.
                unsafe { kind.deallocate(slot.cast(), layout(16, 8)) }.unwrap();
            }
        }
    });
}

/// Whatever becomes of the words in front of the slots, no slot is handed out twice.
#[test]
fn damaged_links_hand_nothing_out_twice() {
    in_buffer(|heap| {
        let slot = layout(16, 8);
        let mut found = 0;
        for link in 0..4 {
            for bit in 0..64 {
                let kind = LockFree::new(Pool::new(heap, TAG), slot, 4).unwrap();
                let mut held: Vec<_> = (0..2)
                    .map(|_| kind.allocate(slot).unwrap().addr())
                    .collect();
                let first = kind.allocate(slot).unwrap().cast::<u8>();
                // SAFETY: handed out for this layout.
                unsafe { kind.deallocate(first, slot) }.unwrap();
                // The third slot's links stand in front of the first: 4 words, then 2 slots.
                let word = first.cast::<u64>().as_ptr();
                // SAFETY: a link in front of the slots.
                let word = unsafe { word.sub(8 - link) };
                // SAFETY: the pool's own word, which nobody else uses now.
                let sound = unsafe { word.read() };
                // SAFETY: as above.
                unsafe { word.write(sound ^ 1 << bit) };
                match kind.check() {
                    Err(Error::Corruption(Corruption::Pool { tag: TAG, .. })) => found += 1,
                    Err(other) => panic!("{other}"),
                    Ok(()) => assert!(link < 2, "a free slot's link"),
                }
                for _ in 0..8 {
                    match kind.allocate(slot) {
                        Ok(piece) => held.push(piece.addr()),
                        Err(Error::Corruption(_) | Error::OutOfMemory(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                let all = held.len();
                held.sort_unstable();
                held.dedup();
                assert_eq!(held.len(), all, "link {link} bit {bit}");
            }
        }
        assert_eq!(found, 2 * 64);
    });
}

thread_local! {
    static RUNG: Cell<usize> = const { Cell::new(0) };
}

#[test]
fn the_alarm_may_use_the_pool() {
    std::thread_local! {
        static POOL: Cell<Option<&'static LockFree<&'static tagheap::SharedHeap<tagheap::Reserve>>>> =
            const { Cell::new(None) };
    }
    let heap = Box::leak(Box::new(crate::threads::shared()));
    let pool = Pool::new(&*heap, TAG).alarmed_at(50, |_tag, usage| {
        RUNG.set(usage.used);
        let pool = POOL.get().unwrap();
        let piece = pool.allocate(layout(8, 8)).unwrap();
        // SAFETY: handed out for this layout.
        unsafe { pool.deallocate(piece.cast(), layout(8, 8)) }.unwrap();
    });
    let kind = Box::leak(Box::new(LockFree::new(pool, layout(8, 8), 4).unwrap()));
    POOL.set(Some(kind));
    kind.allocate(layout(8, 8)).unwrap();
    assert_eq!(RUNG.get(), 0);
    kind.allocate(layout(8, 8)).unwrap();
    assert_eq!(RUNG.get(), 2);
    kind.check().unwrap();
}
