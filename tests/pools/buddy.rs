//! What is special to the buddy system.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use tagheap::{
    Alarm, Buddy, Corruption, Error, Kind, LocalHeap, Pool, Reserve, Share, SharedHeap, Shortage,
    Tag,
};

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

/// Two to how many bytes a smallest block of the models is.
const SHIFT: usize = 4;

/// Two to how many bytes a layout asks for.
fn power(layout: Layout) -> usize {
    let needed = layout.size().max(layout.align());
    needed.next_power_of_two().trailing_zeros() as usize
}

fn order(power: usize) -> usize {
    power.saturating_sub(SHIFT)
}

/// A row of free blocks by order, as the book has it, and the hand; offsets and sizes in smallest blocks.
#[derive(Clone)]
struct Model {
    free: Vec<BTreeSet<usize>>,
    /// The block of each power.
    hand: BTreeMap<usize, usize>,
    is_open: bool,
    /// What is out of the orders, in use or in the hand.
    out: usize,
    used: usize,
    /// The most that was in use; as known when the hand was opened last.
    peak: usize,
    known: usize,
    /// What must be in use for a call, and how many there were.
    mark: usize,
    calls: usize,
}

impl Model {
    fn new(top: usize, mark: usize) -> Self {
        let mut free = vec![BTreeSet::new(); top + 1];
        free[top].insert(0);
        Self {
            free,
            hand: BTreeMap::new(),
            is_open: false,
            out: 0,
            used: 0,
            peak: 0,
            known: 0,
            mark,
            calls: 0,
        }
    }

    /// The lowest of the smallest blocks of an order or a higher one, halved.
    fn split(&mut self, order: usize) -> Option<usize> {
        let mut from = (order..self.free.len()).find(|order| !self.free[*order].is_empty())?;
        let block = self.free[from].pop_first().unwrap();
        while from > order {
            from -= 1;
            self.free[from].insert(block + (1 << from));
        }
        Some(block)
    }

    fn join(&mut self, mut block: usize, mut order: usize) {
        self.out -= 1 << order;
        while self.free[order].remove(&(block ^ 1 << order)) {
            block &= !(1 << order);
            order += 1;
        }
        self.free[order].insert(block);
    }

    fn settle(&mut self) {
        for (power, block) in core::mem::take(&mut self.hand) {
            self.join(block, order(power));
        }
    }

    /// As much may be out with nothing to be noted.
    fn limit(&self) -> usize {
        self.known.min(self.mark - 1)
    }

    fn rise(&mut self, more: usize) {
        let is_reached = self.used < self.mark && self.used + more >= self.mark;
        self.calls += usize::from(is_reached);
        self.used += more;
        self.peak = self.peak.max(self.used);
    }

    /// After so much more is out.
    fn close(&mut self) {
        if self.is_open && self.out > self.limit() {
            self.settle();
            self.is_open = self.out <= self.limit();
        }
    }

    /// Before less is in use.
    fn reopen(&mut self) {
        if !self.is_open {
            self.known = self.known.max(self.out);
            self.is_open = self.out < self.mark;
        }
    }

    fn take(&mut self, power: usize) -> Option<usize> {
        let order = order(power);
        let block = self.hand.remove(&power);
        let block = block.or_else(|| self.take_two(order, power));
        let block = block.or_else(|| self.take_one(order))?;
        self.rise(1 << order);
        self.close();
        Some(block)
    }

    /// The lower half of a block, whose upper half goes to the hand.
    fn take_two(&mut self, order: usize, power: usize) -> Option<usize> {
        let has = self.free.get(order).is_none_or(|blocks| !blocks.is_empty());
        if has || !self.is_open || self.out + (2 << order) > self.limit() {
            return None;
        }
        let block = self.split(order + 1)?;
        self.out += 2 << order;
        self.hand.insert(power, block + (1 << order));
        Some(block)
    }

    fn take_one(&mut self, order: usize) -> Option<usize> {
        let block = self.split(order);
        let block = block.or_else(|| {
            self.settle();
            self.split(order)
        })?;
        self.out += 1 << order;
        Some(block)
    }

    fn give(&mut self, block: usize, power: usize) {
        let order = order(power);
        self.reopen();
        self.used -= 1 << order;
        if !self.is_open {
            self.join(block, order);
            return;
        }
        if let Some(other) = self.hand.insert(power, block) {
            self.join(other, order);
            if other ^ block == 1 << order {
                self.hand.remove(&power);
                self.join(block, order);
            }
        }
    }

    /// Resizes a block in place; false if it cannot.
    fn resize(&mut self, block: usize, old: usize, new: usize) -> bool {
        if new > old {
            self.settle();
        }
        let halves: Vec<_> = (old..new)
            .map(|order| (block ^ 1 << order, order))
            .collect();
        let joins =
            |(half, order): &(usize, usize)| *half > block && self.free[*order].contains(half);
        if !halves.iter().all(joins) {
            return false;
        }
        for (half, order) in halves {
            assert!(self.free[order].remove(&half));
        }
        if new > old {
            self.out += (1 << new) - (1 << old);
            self.rise((1 << new) - (1 << old));
            self.close();
        }
        if new < old {
            self.reopen();
            for order in new..old {
                self.free[order].insert(block ^ 1 << order);
            }
            self.out -= (1 << old) - (1 << new);
            self.used -= (1 << old) - (1 << new);
        }
        true
    }

    /// As it would be with nothing in the hand.
    fn settled(&self) -> Self {
        let mut settled = self.clone();
        settled.settle();
        settled
    }

    fn largest(&self) -> usize {
        let order = self
            .settled()
            .free
            .iter()
            .rposition(|blocks| !blocks.is_empty());
        order.map_or(0, |order| 1 << order)
    }

    /// Its blocks in a row, with these in use.
    fn drawing(&self, live: &[(usize, usize, Layout)]) -> String {
        let mut row = BTreeMap::new();
        for (order, blocks) in self.settled().free.iter().enumerate() {
            row.extend(
                blocks
                    .iter()
                    .map(|block| (*block, format!("[{}]", 16 << order))),
            );
        }
        let used = |(block, power, _): &(usize, usize, Layout)| {
            (*block, (16 << order(*power)).to_string())
        };
        row.extend(live.iter().map(used));
        let row: Vec<_> = row.into_values().collect();
        let runs = row.chunk_by(|one, next| one == next).map(|run| match run {
            [one] => one.clone(),
            _ => format!("{} x{}", run[0], run.len()),
        });
        format!("|{}|", runs.collect::<Vec<_>>().join("|"))
    }

    /// Whether a buddy system is as this says, with these in use.
    fn assert_like(&self, buddy: &Buddy<impl Share>, live: &[(usize, usize, Layout)]) {
        assert_eq!(buddy.largest_free(), self.largest() * 16);
        let usage = buddy.usage().unwrap();
        assert_eq!((usage.used, usage.peak), (self.used * 16, self.peak * 16));
        assert_eq!(usage.live(), live.len() as u64);
    }
}

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// All programs of six calls over a region of eight blocks: a size to allocate, or a piece to give back; without a
/// watermark and with one.
#[test]
fn every_small_program_agrees_with_the_book() {
    /// Runs a program of choices, and answers how many there are for its next call.
    fn run(heap: &LocalHeap<Reserve>, program: &[usize], watermark: bool) -> usize {
        let pool = Pool::new(heap, TAG);
        let call: Alarm = |_, _| CALLS.set(CALLS.get() + 1);
        CALLS.set(0);
        let (pool, mark) = if watermark {
            (pool.alarmed_at(60, call), 5)
        } else {
            (pool, usize::MAX)
        };
        let buddy = Buddy::new(pool, 128, 16).unwrap();
        let mut model = Model::new(3, mark);
        let mut live: Vec<(usize, usize, Layout)> = Vec::new();
        let mut base = None;
        let sizes = [8, 16, 32, 64, 128];
        for choice in program {
            if let Some(size) = sizes.get(*choice) {
                let layout = of(*size, 1);
                let wanted = model.take(power(layout));
                let answer = buddy.allocate(layout).ok();
                // The first is the first block.
                base = base.or(answer.map(|piece| piece.cast::<u8>()));
                let found = answer.map(|piece| (at(piece.cast()) - at(base.unwrap())) / 16);
                assert_eq!(found, wanted, "{program:?}");
                live.extend(wanted.map(|block| (block, power(layout), layout)));
            } else {
                let (block, power, layout) = live.remove(choice - sizes.len());
                give(&buddy, moved(base.unwrap(), block as isize * 16), layout).unwrap();
                model.give(block, power);
            }
        }
        buddy.check().unwrap();
        model.assert_like(&buddy, &live);
        assert_eq!(CALLS.get(), model.calls, "{program:?}");
        let drawing = model.drawing(&live);
        assert!(
            buddy.to_string().ends_with(&drawing),
            "{program:?}: {buddy}"
        );
        sizes.len() + live.len()
    }

    fn extend(heap: &LocalHeap<Reserve>, program: &mut Vec<usize>, watermark: bool) {
        let choices = run(heap, program, watermark);
        if program.len() < 6 {
            for choice in 0..choices {
                program.push(choice);
                extend(heap, program, watermark);
                program.pop();
            }
        }
    }

    in_reserve(|heap| {
        extend(heap, &mut Vec::new(), false);
        extend(heap, &mut Vec::new(), true);
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
            for watermark in [false, true] {
                agrees_in(heap, top, calls, watermark);
            }
        }
    });
}

fn agrees_in(heap: &LocalHeap<Reserve>, top: usize, calls: usize, watermark: bool) {
    fastrand::seed(top as u64);
    let pool = Pool::new(heap, TAG);
    let call: Alarm = |_, _| CALLS.set(CALLS.get() + 1);
    CALLS.set(0);
    let (pool, mark) = if watermark {
        (pool.alarmed_at(50, call), (1_usize << top).div_ceil(2))
    } else {
        (pool, usize::MAX)
    };
    let buddy = Buddy::new(pool, 16 << top, 16).unwrap();
    let base = base(&buddy);
    let mut model = Model::new(top, mark);
    model.take(0);
    model.give(0, 0);
    let mut live: Vec<(usize, usize, Layout)> = Vec::new();
    let mut rising = true;
    for call in 0..calls {
        rising = if fastrand::usize(..calls / 8 + 1) == 0 {
            !rising
        } else {
            rising
        };
        let small = fastrand::u32(..=(top as u32).min(4));
        let order = fastrand::u32(..=small) as usize;
        let size = fastrand::usize((16 << order) / 2 + 1..=16 << order);
        let new = of(
            if order == 0 { size % 17 } else { size },
            1 << fastrand::u32(..4),
        );
        let place = |piece: NonNull<[u8]>| (at(piece.cast()) - at(base)) / 16;
        if fastrand::u8(..8) < if rising { 7 } else { 2 } || live.is_empty() {
            let wanted = model.take(power(new));
            let answer = buddy.allocate(new).ok();
            assert_eq!(answer.map(place), wanted, "{new:?}");
            live.extend(wanted.map(|block| (block, power(new), new)));
        } else {
            // Often the last one, as many programs do.
            let last = live.len() - 1;
            let which = if fastrand::bool() {
                last
            } else {
                fastrand::usize(..=last)
            };
            let (block, old_power, old) = live.swap_remove(which);
            let ptr = moved(base, block as isize * 16);
            let old_order = self::order(old_power);
            if fastrand::u8(..4) > 0 {
                give(&buddy, ptr, old).unwrap();
                model.give(block, old_power);
                scribble(ptr, 16 << old_order, 0xff);
                assert_eq!(give(&buddy, ptr, old), Err(twice(ptr)));
            } else {
                // In place where all upper halves are free.
                let new_order = fastrand::usize(..=(old_order + 2).min(top));
                let new = of(16 << new_order, 1);
                let wanted = if model.resize(block, old_order, new_order) {
                    Some(block)
                } else {
                    model
                        .take(power(new))
                        .inspect(|_| model.give(block, old_power))
                };
                let answer = resize(&buddy, ptr, old, new).ok();
                assert_eq!(answer.map(place), wanted);
                live.push(match wanted {
                    Some(other) => (other, power(new), new),
                    None => (block, old_power, old),
                });
            }
        }
        if top < 10 || call % 50 == 0 {
            model.assert_like(&buddy, &live);
        }
        if top < 10 || call % 500 == 0 {
            buddy.check().unwrap();
        }
        if top < 5 {
            let drawing = model.drawing(&live);
            assert!(buddy.to_string().ends_with(&drawing), "{drawing}: {buddy}");
        }
        assert_eq!(CALLS.get(), model.calls);
    }
    for (block, _, layout) in live {
        give(&buddy, moved(base, block as isize * 16), layout).unwrap();
    }
    assert_eq!(buddy.largest_free(), 16 << top);
    assert!(buddy.to_string().ends_with(&format!("|[{}]|", 16 << top)));
    buddy.check().unwrap();
}

/// What is in the hand is nobody's: it is joined where that serves a request.
#[test]
fn what_is_in_the_hand_fails_no_request() {
    in_reserve(|heap| {
        let mut buddy = buddy(heap, 4096, 16);
        for _ in 0..3 {
            let sizes = [16, 32, 64, 128, 256, 512, 1024, 8, 1];
            let pieces = sizes.map(|size| (buddy.allocate(of(size, 1)).unwrap(), of(size, 1)));
            for (piece, layout) in pieces {
                give(&buddy, piece.cast(), layout).unwrap();
            }
            assert_eq!(buddy.largest_free(), 4096);
            let all = buddy.allocate(of(4096, 4096)).unwrap();
            assert_eq!(buddy.usage().unwrap().free(), 0);
            give(&buddy, all.cast(), of(4096, 4096)).unwrap();
            buddy.reset().unwrap();
            buddy.check().unwrap();
        }
        let usage = buddy.usage().unwrap();
        assert_eq!((usage.allocations, usage.deallocations), (30, 30));
        assert_eq!((usage.peak, usage.failures), (4096, 0));
    });
}

#[test]
fn misuse_is_named_and_changes_nothing() {
    in_reserve(|heap| {
        let buddy = buddy(heap, 1024, 32);
        let [one, two, three, four, five, six] =
            [64, 64, 256, 20, 8, 64].map(|size| buddy.allocate(of(size, 1)).unwrap().cast::<u8>());
        // One in the hand, another free.
        give(&buddy, two, of(64, 1)).unwrap();
        give(&buddy, six, of(64, 1)).unwrap();
        let (before, drawn) = (buddy.usage().unwrap(), buddy.to_string());
        let rows = [
            (two, of(64, 1), twice(moved(two, 0))),
            (two, of(32, 1), twice(two)),
            (six, of(64, 1), twice(six)),
            (six, of(32, 1), twice(six)),
            (six, of(128, 1), twice(six)),
            (moved(six, 32), of(32, 1), twice(moved(six, 32))),
            (five, of(16, 1), mismatch(five, 16, 8)),
            (five, of(32, 1), mismatch(five, 32, 8)),
            (five, of(4, 1), mismatch(five, 4, 8)),
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

/// A note that tells of a power that no block has is damage, not the size of a piece.
#[test]
fn a_note_of_more_bytes_than_there_are_is_damage() {
    in_reserve(|heap| {
        let buddy = buddy(heap, 4096, 16);
        let base = base(&buddy);
        let piece = buddy.allocate(of(16, 1)).unwrap().cast();
        // Behind 512 flags and the word that sums them up; a byte with an even number of bits tells a power.
        let block = (at(piece) - at(base)) / 16;
        let note = moved(base, 4096 + 64 + 8 + block as isize);
        for code in (1..=255_u8).filter(|code| code.count_ones().is_multiple_of(2)) {
            let power = (code & 0x7f) - 1;
            if power == 7 {
                continue; // the very piece
            }
            scribble(note, 1, code);
            let refused = give(&buddy, piece, of(100, 1)).unwrap_err();
            let damage = Corruption::Pool {
                tag: buddy.pool().tag(),
                at: at(piece),
            };
            if power <= 12 {
                assert!(matches!(refused, Error::Misuse(_)), "{power}: {refused}");
            } else {
                assert_eq!(refused, damage.into(), "{power}");
            }
        }
    });
}

/// Flags that say that what lies beyond the region is free are not followed there.
#[test]
fn damaged_flags_let_no_piece_grow_beyond_the_region() {
    in_reserve(|heap| {
        for byte in [1, 2, 4, 7, 0xff] {
            let buddy = buddy(heap, 128, 16);
            let piece = buddy.allocate(of(128, 1)).unwrap().cast();
            scribble(moved(piece, 128), 8, byte);
            for size in [129, 256, 257, 1000, 5000] {
                // SAFETY: handed out for this layout; it must be refused.
                let grown = unsafe { buddy.grow(piece, of(128, 1), of(size, 1)) };
                assert!(grown.is_err(), "{byte}: {grown:?}");
            }
        }
    });
}

#[test]
fn draws_its_blocks() {
    in_reserve(|heap| {
        let mut buddy = buddy(heap, 1024, 64);
        assert!(buddy.to_string().ends_with(" |[1024]|"));
        let first = buddy.allocate(of(64, 1)).unwrap().cast();
        let base = at(first);
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
