//! What is special to the buddy system.

use core::ptr::NonNull;
use std::collections::BTreeSet;

use tagheap::{Buddy, Error, Kind, LocalHeap, Pool, Reserve, Share, SharedHeap, Shortage, Tag};

use crate::{in_reserve, pieces::*};

const TAG: Tag = Tag::named("buddy");

fn buddy<H: Share>(heap: H, bytes: usize, smallest: usize) -> Buddy<H> {
    Buddy::new(Pool::new(heap, TAG), bytes, smallest).unwrap()
}

/// A pointer to the first byte.
fn base(buddy: &Buddy<impl Share>) -> NonNull<u8> {
    let first = buddy.allocate(of(1, 1)).unwrap().cast();
    give(buddy, first, of(1, 1)).unwrap();
    first
}

/// A row of free blocks by order, as the book has it; offsets and sizes in smallest blocks.
#[derive(Clone)]
struct Model {
    free: Vec<BTreeSet<usize>>,
}

impl Model {
    fn new(top: usize) -> Self {
        let mut free = vec![BTreeSet::new(); top + 1];
        free[top].insert(0);
        Self { free }
    }

    fn take(&mut self, order: usize) -> Option<usize> {
        let mut from = (order..self.free.len()).find(|order| !self.free[*order].is_empty())?;
        let block = self.free[from].pop_first().unwrap();
        while from > order {
            from -= 1;
            self.free[from].insert(block + (1 << from));
        }
        Some(block)
    }

    fn give(&mut self, mut block: usize, mut order: usize) {
        while self.free[order].remove(&(block ^ 1 << order)) {
            block &= !(1 << order);
            order += 1;
        }
        self.free[order].insert(block);
    }

    fn largest(&self) -> usize {
        let order = self.free.iter().rposition(|blocks| !blocks.is_empty());
        order.map_or(0, |order| 1 << order)
    }
}

/// All programs of six calls over a region of eight blocks: an order to allocate, or a piece to give back.
#[test]
fn every_small_program_agrees_with_the_book() {
    fn extend(
        buddy: &Buddy<&LocalHeap<Reserve>>,
        base: NonNull<u8>,
        model: &Model,
        live: &mut Vec<(usize, usize)>,
        calls: usize,
    ) {
        buddy.check().unwrap();
        assert_eq!(buddy.largest_free(), model.largest() * 16);
        if calls == 0 {
            return;
        }
        for order in 0..4 {
            let mut model = model.clone();
            let wanted = model.take(order);
            let layout = of(16 << order, 1);
            let answer = buddy.allocate(layout).ok();
            let found = answer.map(|piece| (at(piece.cast()) - at(base)) / 16);
            assert_eq!(found, wanted, "{buddy}");
            if let (Some(block), Some(piece)) = (wanted, answer) {
                live.push((block, order));
                extend(buddy, base, &model, live, calls - 1);
                live.pop();
                give(buddy, piece.cast(), layout).unwrap();
            }
        }
        for which in 0..live.len() {
            let mut model = model.clone();
            let (block, order) = live.remove(which);
            let ptr = moved(base, block as isize * 16);
            give(buddy, ptr, of(16 << order, 1)).unwrap();
            model.give(block, order);
            extend(buddy, base, &model, live, calls - 1);
            // Back as it was: take everything and put the same back.
            restore(buddy, base, (block, order));
            live.insert(which, (block, order));
        }
    }

    /// Has a free block in use again, by taking all smallest blocks and giving the others back.
    fn restore(
        buddy: &Buddy<&LocalHeap<Reserve>>,
        base: NonNull<u8>,
        (block, order): (usize, usize),
    ) {
        let all: Vec<_> = core::iter::from_fn(|| buddy.allocate(of(16, 1)).ok()).collect();
        let index = |piece: &NonNull<[u8]>| (at(piece.cast()) - at(base)) / 16;
        let own = block..block + (1 << order);
        let (inside, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|piece| own.contains(&index(piece)));
        // All others are in use while the block's own become one again and are taken as one.
        for piece in inside {
            give(buddy, piece.cast(), of(16, 1)).unwrap();
        }
        let again = buddy.allocate(of(16 << order, 1)).unwrap();
        assert_eq!(index(&again), block);
        for piece in others {
            give(buddy, piece.cast(), of(16, 1)).unwrap();
        }
    }

    in_reserve(|heap| {
        let buddy = buddy(heap, 128, 16);
        let base = base(&buddy);
        extend(&buddy, base, &Model::new(3), &mut Vec::new(), 6);
        assert_eq!(buddy.largest_free(), 128);
    });
}

/// In regions from one block to so many that the summaries have three levels.
#[test]
fn agrees_with_the_book() {
    in_reserve(|heap| {
        for (top, calls) in [
            (0, 50),
            (1, 100),
            (5, 300),
            (6, 600),
            (7, 900),
            (10, 3000),
            (14, 20_000),
        ] {
            fastrand::seed(top as u64);
            let buddy = buddy(heap, 16 << top, 16);
            let base = base(&buddy);
            let mut model = Model::new(top);
            let mut live = Vec::new();
            let mut rising = true;
            for call in 0..calls {
                rising = if fastrand::usize(..calls / 8 + 1) == 0 {
                    !rising
                } else {
                    rising
                };
                let small = fastrand::u32(..=(top as u32).min(4));
                let order = fastrand::u32(..=small) as usize;
                if fastrand::u8(..8) < if rising { 7 } else { 2 } || live.is_empty() {
                    let wanted = model.take(order);
                    let size = fastrand::usize((16 << order) / 2 + 1..=16 << order);
                    let layout = of(
                        if order == 0 { size % 17 } else { size },
                        1 << fastrand::u32(..4),
                    );
                    let answer = buddy.allocate(layout).ok();
                    let found = answer.map(|piece| (at(piece.cast()) - at(base)) / 16);
                    assert_eq!(found, wanted, "{layout:?}");
                    live.extend(wanted.map(|block| (block, order, layout)));
                } else {
                    let (block, order, old) = live.swap_remove(fastrand::usize(..live.len()));
                    let ptr = moved(base, block as isize * 16);
                    if fastrand::bool() {
                        give(&buddy, ptr, old).unwrap();
                        model.give(block, order);
                        scribble(ptr, 16 << order, 0xff);
                    } else {
                        // In place where all upper halves are free.
                        let new = fastrand::usize(..=(order + 2).min(top));
                        let layout = of(16 << new, 1);
                        let halves = (order..new).map(|order| (block ^ 1 << order, order));
                        let joins = halves
                            .clone()
                            .all(|(half, order)| half > block && model.free[order].contains(&half));
                        if joins {
                            halves
                                .for_each(|(half, order)| assert!(model.free[order].remove(&half)));
                            for order in new..order {
                                model.free[order].insert(block ^ 1 << order);
                            }
                            let same = resize(&buddy, ptr, old, layout).unwrap();
                            assert_eq!(same.cast(), ptr);
                            live.push((block, new, layout));
                        } else {
                            let wanted = model.take(new);
                            let answer = resize(&buddy, ptr, old, layout).ok();
                            let found = answer.map(|piece| (at(piece.cast()) - at(base)) / 16);
                            assert_eq!(found, wanted);
                            if let Some(other) = wanted {
                                model.give(block, order);
                                live.push((other, new, layout));
                            } else {
                                live.push((block, order, old));
                            }
                        }
                    }
                }
                assert_eq!(buddy.largest_free(), model.largest() * 16);
                if top < 10 || call % 500 == 0 {
                    buddy.check().unwrap();
                }
                let used: usize = live.iter().map(|(_, order, _)| 16 << order).sum();
                assert_eq!(buddy.usage().unwrap().used, used);
            }
            for (block, _, layout) in live {
                give(&buddy, moved(base, block as isize * 16), layout).unwrap();
            }
            assert_eq!(buddy.largest_free(), 16 << top);
            buddy.check().unwrap();
        }
    });
}

#[test]
fn misuse_is_named_and_changes_nothing() {
    in_reserve(|heap| {
        let buddy = buddy(heap, 1024, 32);
        let [one, two, three, four] =
            [64, 64, 256, 20].map(|size| buddy.allocate(of(size, 1)).unwrap().cast::<u8>());
        give(&buddy, two, of(64, 1)).unwrap();
        let (before, drawn) = (buddy.usage().unwrap(), buddy.to_string());
        let rows = [
            (two, of(64, 1), twice(moved(two, 0))),
            (two, of(32, 1), twice(two)),
            (moved(one, 512), of(64, 1), twice(moved(one, 512))),
            (moved(one, 1023), of(1, 1), twice(moved(one, 1023))),
            (one, of(32, 1), mismatch(one, 32, 64)),
            (one, of(65, 1), mismatch(one, 65, 64)),
            (one, of(1, 128), mismatch(one, 1, 64)),
            (one, of(1024, 1), mismatch(one, 1024, 64)),
            (one, of(1 << 62, 1), mismatch(one, 1 << 62, 64)),
            (three, of(128, 1), mismatch(three, 128, 256)),
            (moved(one, 32), of(32, 1), not_a_block(moved(one, 32))),
            (moved(one, 1), of(64, 1), not_a_block(moved(one, 1))),
            (
                moved(three, 128),
                of(128, 1),
                not_a_block(moved(three, 128)),
            ),
            (moved(four, 16), of(16, 1), not_a_block(moved(four, 16))),
            (moved(one, -32), of(32, 1), stranger(moved(one, -32))),
            (moved(one, 1024), of(32, 1), stranger(moved(one, 1024))),
            (one, of(64, 1 << 40), misaligned(one, 1 << 40)),
        ];
        for (ptr, layout, wanted) in rows {
            assert_eq!(give(&buddy, ptr, layout), Err(wanted), "{ptr:?} {layout:?}");
            let larger = of(layout.size() + 64, layout.align());
            let refused = resize(&buddy, ptr, layout, larger);
            assert_eq!(refused, Err(wanted), "grown: {ptr:?} {layout:?}");
            let after = (buddy.usage().unwrap(), buddy.to_string());
            assert_eq!(after, (before, drawn.clone()));
            buddy.check().unwrap();
        }
    });
}

#[test]
fn refuses_what_no_block_serves() {
    in_reserve(|heap| {
        let small = buddy(heap, 1000, 20);
        assert_eq!(small.usage().unwrap().total, 1024);
        assert_eq!(
            lack(small.allocate(of(1025, 1))),
            Shortage::Oversized { most: 1024 }
        );
        assert_eq!(
            lack(small.allocate(of(1, 2048))),
            Shortage::Overaligned { most: 1024 }
        );
        let aligned = small.allocate(of(1, 1024)).unwrap();
        assert!(at(aligned.cast()).is_multiple_of(1024));
        let (total, used) = (1024, 1024);
        assert_eq!(
            lack(small.allocate(of(1, 1))),
            Shortage::Full { total, used }
        );

        let large = Buddy::new(Pool::new(heap, Tag::new(2)), 64 << 10, 16).unwrap();
        assert_eq!(
            lack(large.allocate(of(1, 8192))),
            Shortage::Overaligned { most: 4096 }
        );
        assert_eq!(large.usage().unwrap().failures, 1);
        let least = Buddy::new(Pool::new(heap, Tag::new(3)), 0, 0).unwrap();
        assert_eq!(least.largest_free(), 16);
        for (bytes, smallest) in [
            (usize::MAX, 16),
            (1 << 63, 16),
            (1, usize::MAX),
            (1, 1 << 63),
        ] {
            let made = Buddy::new(Pool::new(heap, Tag::new(4)), bytes, smallest);
            assert!(matches!(made, Err(Error::OutOfMemory(_))), "{bytes:#x}");
        }
        assert_eq!(heap.stats_of(Tag::new(4)).unwrap().blocks, 0);
    });
}

#[test]
fn every_flipped_bit_of_its_books_is_found() {
    in_reserve(|heap| {
        let buddy = buddy(heap, 4096, 16);
        let base = base(&buddy);
        let pieces = [16, 16, 100, 16, 1000].map(|size| {
            let layout = of(size, 1);
            (buddy.allocate(layout).unwrap().cast(), layout)
        });
        give(&buddy, pieces[0].0, pieces[0].1).unwrap();
        // 512 flags; a word that sums up the words from the second on; a byte for each block.
        for bit in (0..512).chain(512 + 2..512 + 8).chain(576..576 + 256 * 8) {
            let byte = moved(base, 4096 + bit / 8);
            assert!(is_found(&buddy, byte, bit as u32 % 8), "bit {bit}");
        }
    });
}

#[test]
fn draws_its_blocks() {
    in_reserve(|heap| {
        let mut buddy = buddy(heap, 1024, 64);
        let base = at(base(&buddy));
        assert_eq!(buddy.to_string(), format!("{base:#x} |[1024]|"));
        let first = buddy.allocate(of(64, 1)).unwrap().cast();
        (0..2).for_each(|_| assert!(buddy.allocate(of(60, 1)).is_ok()));
        buddy.allocate(of(200, 1)).unwrap();
        let drawn = "|64 x3|[64]|256|[512]|";
        assert_eq!(buddy.to_string(), format!("{base:#x} {drawn}"));
        give(&buddy, first, of(64, 1)).unwrap();
        assert!(buddy.to_string().ends_with(" |[64]|64 x2|[64]|256|[512]|"));
        buddy.reset().unwrap();
        assert_eq!(buddy.to_string(), format!("{base:#x} |[1024]|"));
        let passing = Pool::new(heap, Tag::new(2)).pass_through(true);
        let passing = Buddy::new(passing, 1024, 64).unwrap();
        passing.allocate(of(5000, 1)).unwrap();
        assert_eq!(
            (passing.to_string(), passing.largest_free()),
            (String::new(), 0)
        );
    });
}

#[test]
fn goes_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Buddy<&'static SharedHeap<Reserve>>>();
}
