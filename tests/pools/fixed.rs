//! Slots: which one is handed out, chunks, exact limits, and what damage and misuse are called.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;
use std::collections::BTreeSet;

use tagheap::*;

use crate::{in_buffer, in_reserve};

const TAG: Tag = Tag::new(7);

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn take(pool: &impl Kind, layout: Layout) -> NonNull<u8> {
    let piece = pool.allocate(layout).unwrap();
    assert_eq!(piece.len(), layout.size());
    piece.cast()
}

fn give(pool: &impl Kind, piece: NonNull<u8>, layout: Layout) -> Result<(), Error> {
    // SAFETY: handed out for this layout and not used again; or the pool must notice and touch nothing.
    unsafe { pool.deallocate(piece, layout) }
}

fn at(piece: NonNull<u8>) -> usize {
    piece.addr().get()
}

const fn is_send<T: Send>() {}
const _: () = is_send::<Fixed<&SharedHeap<Reserve>>>();
const _: () = is_send::<Classes<&SharedHeap<Reserve>, 3>>();
const _: () = is_send::<Priority<&SharedHeap<Reserve>>>();

/// The smallest promise of all: ten slots of 64 bytes in a static of 1 KiB.
#[test]
fn ten_slots_fit_in_a_kibibyte() {
    let mut bytes = [0_u8; 1024];
    let heap = LocalHeap::new(Heap::new(Buffer::new(&mut bytes)).unwrap());
    let pool = Fixed::new(Pool::new(&heap, TAG), layout(64, 8), 10).unwrap();
    let slots: Vec<_> = (0..10).map(|_| take(&pool, layout(64, 8))).collect();
    assert!(slots.is_sorted() && slots.windows(2).all(|two| at(two[1]) - at(two[0]) == 64));
    let full = Shortage::Full {
        total: 10,
        used: 10,
    };
    let refused = pool.allocate(layout(1, 1)).unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory(OutOfMemory { cause, .. }) if cause == full));
    assert_eq!(
        pool.usage().unwrap().to_string(),
        "10 of 10 slots used (peak 10), 10 allocated, 0 given back, 1 refused"
    );
    pool.check().unwrap();
}

/// Every count of slots around the words' edges, every size and alignment of some: exactly so many slots, within
/// the chunk, none overlapping, and again after a reset.
#[test]
fn there_are_exactly_so_many_slots() {
    in_reserve(|heap| {
        for count in [
            0, 1, 2, 63, 64, 65, 127, 128, 129, 200, 4095, 4096, 4097, 9000,
        ] {
            for (size, align) in [(0, 1), (1, 1), (3, 1), (8, 8), (24, 8), (40, 64), (1, 4096)] {
                let layout = layout(size, align);
                let stride = size.max(1).next_multiple_of(align);
                let mut pool = Fixed::new(Pool::new(heap, TAG), layout, count).unwrap();
                for _ in 0..2 {
                    let mut all = BTreeSet::new();
                    while let Ok(piece) = pool.allocate(layout) {
                        let start = piece.addr().get();
                        assert!(start.is_multiple_of(align));
                        assert!(all.insert(start), "handed out twice");
                        assert_eq!(pool.contains(piece.cast()), Ok(true));
                    }
                    assert_eq!(all.len(), count);
                    let (first, last) = (all.first().copied(), all.last().copied());
                    let apart = first
                        .zip(last)
                        .map_or(0, |(first, last)| last - first + stride);
                    assert_eq!(apart, stride * count, "one behind the other");
                    pool.check().unwrap();
                    pool.reset().unwrap();
                }
                assert_eq!(pool.usage().unwrap().total, count);
            }
        }
    });
}

/// Chunks come when they are needed, next to each other; emptied ones go, and the others serve on.
#[test]
fn chunks_come_and_go() {
    for (size, wished) in [(64, 10), (8, 1), (24, 500), (1, 64), (200, 3000)] {
        in_reserve(|heap| {
            let layout = layout(size, 8.min(size));
            let mut pool = Fixed::growing(Pool::new(heap, TAG), layout, wished).unwrap();
            assert_eq!(
                (
                    pool.usage().unwrap().total,
                    heap.stats_of(TAG).unwrap().blocks
                ),
                (0, 0)
            );
            let mut pieces = vec![take(&pool, layout)];
            let each = pool.usage().unwrap().total;
            assert!(each >= wished, "{each} of {wished}");
            for chunks in 1..=5 {
                while pieces.len() < each * chunks {
                    pieces.push(take(&pool, layout));
                }
                assert_eq!(pool.usage().unwrap().total, each * chunks);
                assert_eq!(heap.stats_of(TAG).unwrap().blocks, chunks);
                pool.check().unwrap();
            }
            let distinct: BTreeSet<_> = pieces.iter().map(|piece| at(*piece)).collect();
            assert_eq!(distinct.len(), 5 * each);
            let chunk = (pool.pool().usage().unwrap().used / 5 + 32).ilog2();
            let spread = distinct.last().unwrap() - distinct.first().unwrap();
            assert!(spread < 5 << chunk, "chunks are packed");

            assert_eq!(pool.trim(), Ok(0), "none is empty");
            // The second and the fourth chunk become empty, the third almost.
            for n in (each..2 * each).chain(3 * each..4 * each) {
                give(&pool, pieces[n], layout).unwrap();
            }
            for piece in &pieces[2 * each + 1..3 * each] {
                give(&pool, *piece, layout).unwrap();
            }
            let freed = pool.trim().unwrap();
            assert_eq!(freed, 2 * ((1 << chunk) - 32));
            assert_eq!(heap.stats_of(TAG).unwrap().blocks, 3);
            assert_eq!(pool.usage().unwrap().total, 3 * each);
            assert_eq!(pool.contains(pieces[each]), Ok(false));
            let gone = give(&pool, pieces[each], layout);
            assert!(
                matches!(gone, Err(Error::Misuse(Misuse::NotFromHere { .. }))),
                "{gone:?}"
            );
            pool.check().unwrap();
            for _ in 0..2 * each {
                take(&pool, layout);
            }
            pool.check().unwrap();
            pool.reset().unwrap();
            pool.check().unwrap();
            assert_eq!(pool.usage().unwrap().used, 0);
            assert!(pool.trim().unwrap() > 0);
            assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
            assert_eq!(pool.contains(pieces[0]), Ok(false));
            take(&pool, layout);
            pool.check().unwrap();
        });
    }
}

/// A pool that grows ends at its bound, and says so in slots.
#[test]
fn growth_ends_at_the_bound() {
    in_reserve(|heap| {
        let pool = Pool::new(heap, TAG).bounded(3 * 1024);
        let pool = Fixed::growing(pool, layout(16, 16), 30).unwrap();
        let total = pool.usage().unwrap().total;
        assert!(total > 60);
        for _ in 0..total {
            take(&pool, layout(16, 16));
        }
        let full = Shortage::Full { total, used: total };
        let Err(Error::OutOfMemory(lacking)) = pool.allocate(layout(5, 1)) else {
            panic!("beyond its bound");
        };
        assert_eq!((lacking.cause, lacking.size, lacking.align), (full, 5, 1));
    });
}

/// A random program over several chunks: what is in use is known slot by slot, and numbers agree.
#[test]
fn agrees_with_a_set_of_addresses() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        in_reserve(|heap| {
            let layout = layout(1 + seed as usize * 7, 1);
            let pool = Pool::new(heap, TAG);
            let mut pool = match seed % 2 {
                0 => Fixed::growing(pool, layout, 100).unwrap(),
                _ => Fixed::new(pool, layout, 1000).unwrap(),
            };
            let mut used = Vec::new();
            let mut free = Vec::new();
            let mut known = BTreeSet::new();
            for step in 0..30_000 {
                let filling = step / 3000 % 2 == 0;
                match random.u8(..100) {
                    0 => {
                        let piece = free.get(random.usize(..=free.len())).copied();
                        if let Some(piece) = piece.filter(|piece| !known.contains(&at(*piece))) {
                            let twice = give(&pool, piece, layout);
                            assert!(
                                matches!(
                                    twice,
                                    Err(Error::Misuse(
                                        Misuse::DoubleFree { .. } | Misuse::NotFromHere { .. }
                                    ))
                                ),
                                "{twice:?}"
                            );
                        }
                    }
                    1 if random.u8(..20) == 0 => {
                        pool.trim().unwrap();
                    }
                    2 if random.u8(..60) == 0 => {
                        pool.reset().unwrap();
                        free.append(&mut used);
                        known.clear();
                    }
                    chance if (chance < 65) == filling => {
                        if let Ok(piece) = pool.allocate(layout) {
                            assert!(known.insert(piece.addr().get()), "handed out twice");
                            used.push(piece.cast::<u8>());
                        }
                    }
                    _ if !used.is_empty() => {
                        let piece = used.swap_remove(random.usize(..used.len()));
                        known.remove(&at(piece));
                        give(&pool, piece, layout).unwrap();
                        free.push(piece);
                    }
                    _ => {}
                }
                if step % 100 == 0 {
                    pool.check().unwrap();
                    assert_eq!(pool.usage().unwrap().used, used.len());
                }
            }
        });
    }
}

/// All programs of six steps over three slots, under every watermark: which slot is handed out, all numbers, and each
/// call.
#[test]
fn all_small_programs() {
    thread_local!(static CALLED: Cell<Option<Usage>> = const { Cell::new(None) });
    let slot = layout(8, 8);
    in_buffer(|heap| {
        for (program, mark) in
            (0..4_u32.pow(6)).flat_map(|program| (1..5).map(move |mark| (program, mark)))
        {
            let pool = Pool::new(heap, TAG);
            // More than three slots are never in use: no call.
            let pool = match mark {
                4 => pool,
                _ => pool.alarmed_at(33 * mark as u8, |_, usage| CALLED.set(Some(*usage))),
            };
            let pool = Fixed::new(pool, slot, 3).unwrap();
            let slots: [_; 3] = core::array::from_fn(|_| take(&pool, slot));
            assert_eq!(
                CALLED.take().map(|usage| usage.used),
                (mark < 4).then_some(mark)
            );
            let mut used = [true; 3];
            let mut hand = None;
            let mut known = pool.usage().unwrap();
            for step in 0..6 {
                match program / 4_u32.pow(step) % 4 {
                    3 => {
                        let lowest = used.iter().position(|used| !used);
                        let expected = hand.take().or(lowest);
                        let answer = pool.allocate(slot).map(NonNull::cast).ok();
                        assert_eq!(answer, expected.map(|slot| slots[slot]));
                        if let Some(slot) = expected {
                            used[slot] = true;
                            known.used += 1;
                            known.allocations += 1;
                        } else {
                            known.failures += 1;
                        }
                        let called = expected.filter(|_| known.used == mark);
                        assert_eq!(CALLED.take(), called.map(|_| known));
                    }
                    number => {
                        let number = number as usize;
                        let address = at(slots[number]);
                        let expected = match used[number] {
                            true => Ok(()),
                            false => Err(Misuse::DoubleFree { address }.into()),
                        };
                        assert_eq!(give(&pool, slots[number], slot), expected);
                        if used[number] {
                            known.used -= 1;
                            known.deallocations += 1;
                            // Near the watermark no slot is kept in the hand.
                            if hand.is_none() && known.used + 1 < mark {
                                hand = Some(number);
                            }
                        }
                        used[number] = false;
                    }
                }
                assert_eq!(pool.usage().unwrap(), known);
                pool.check().unwrap();
            }
        }
    });
}

/// Every address in and around a pool's chunks but the slots' own is refused by name, with slots full of words
/// that look like the pool's.
#[test]
fn addresses_are_what_they_are() {
    in_reserve(|heap| {
        let other = Pool::new(heap, Tag::new(8));
        let before = take(&other, layout(100, 16));
        let layout = layout(24, 8);
        for growing in [false, true] {
            let pool = Pool::new(heap, TAG);
            let pool = match growing {
                true => Fixed::growing(pool, layout, 7).unwrap(),
                false => Fixed::new(pool, layout, 70).unwrap(),
            };
            let mut pieces = Vec::new();
            // Between the chunks stand blocks of others, aligned as chunks are, that hold copies of a chunk.
            let mut decoys = Vec::new();
            let each = if growing { 7 } else { 1 };
            while pieces.len() < 70 {
                pieces.push(take(&pool, layout));
                if growing && pieces.len() % each == 0 {
                    let decoy = take(&other, Layout::from_size_align(480, 512).unwrap());
                    let from = NonNull::new((at(pieces[0]) & !511) as *mut u8).unwrap();
                    // SAFETY: a chunk of 480 bytes starts there; copied to a block as large.
                    unsafe { decoy.copy_from_nonoverlapping(from, 480) };
                    decoys.push(decoy);
                }
            }
            let slots: BTreeSet<_> = pieces.iter().map(|piece| at(*piece)).collect();
            let known = pool.usage().unwrap();
            let from = slots.first().unwrap() - 3000;
            for address in from.max(at(before))..slots.last().unwrap() + 3000 {
                let pointer = before.map_addr(|_| address.try_into().unwrap());
                if slots.contains(&address) {
                    assert_eq!(pool.contains(pointer), Ok(true));
                    continue;
                }
                let inside = slots
                    .range(..=address)
                    .next_back()
                    .is_some_and(|at| address < at + 24);
                let Err(Error::Misuse(refused)) = give(&pool, pointer, layout) else {
                    panic!("{address:#x} was taken back");
                };
                let decoyed = decoys
                    .iter()
                    .any(|decoy| (at(*decoy)..at(*decoy) + 480).contains(&address));
                match refused {
                    Misuse::NotABlock { .. } => assert!(!decoyed),
                    Misuse::NotFromHere { .. } => assert!(!inside),
                    // Slots that nobody took yet.
                    Misuse::DoubleFree { .. } => assert!(!inside && !decoyed && growing),
                    other => panic!("{other}"),
                }
                assert!(!inside || pool.contains(pointer) == Ok(true));
                assert!(!decoyed || pool.contains(pointer) == Ok(false));
            }
            assert_eq!(pool.usage().unwrap(), known);
            pool.check().unwrap();
            for decoy in decoys {
                give(&other, decoy, Layout::from_size_align(480, 512).unwrap()).unwrap();
            }
        }
    });
}

/// A piece's size and alignment are its layout's: others are named, and change nothing.
#[test]
fn layouts_are_kept() {
    in_buffer(|heap| {
        let pool = Fixed::new(Pool::new(heap, TAG), layout(20, 8), 5).unwrap();
        let piece = take(&pool, layout(24, 8));
        let address = at(piece);
        let cause = |answer: Result<NonNull<[u8]>, Error>| match answer {
            Err(Error::OutOfMemory(error)) => error.cause,
            other => panic!("{other:?}"),
        };
        let oversized = Shortage::Oversized { most: 24 };
        let overaligned = Shortage::Overaligned { most: 8 };
        assert_eq!(cause(pool.allocate(layout(25, 1))), oversized);
        assert_eq!(cause(pool.allocate(layout(1, 16))), overaligned);
        // SAFETY: the piece is ours; must be refused.
        let grown = unsafe { pool.grow(piece, layout(24, 8), layout(25, 8)) };
        assert_eq!(cause(grown), oversized);
        // SAFETY: the piece is ours; must be refused.
        let shrunk = unsafe { pool.shrink(piece, layout(24, 8), layout(1, 16)) };
        assert_eq!(cause(shrunk), overaligned);
        assert_eq!(pool.usage().unwrap().failures, 4);
        let size = Misuse::SizeMismatch {
            address,
            claimed: 25,
            usable: 24,
        };
        assert_eq!(give(&pool, piece, layout(25, 1)), Err(size.into()));
        let align = Misuse::AlignMismatch {
            address,
            claimed: 32,
        };
        assert_eq!(give(&pool, piece, layout(8, 32)), Err(align.into()));
        // SAFETY: the piece is ours, and stays where it is.
        let grown = unsafe { pool.grow(piece, layout(3, 1), layout(24, 8)) }.unwrap();
        assert_eq!((grown.cast(), grown.len()), (piece, 24));
        give(&pool, piece, layout(24, 8)).unwrap();
        // SAFETY: given back: must be refused.
        let twice = unsafe { pool.shrink(piece, layout(24, 8), layout(1, 1)) };
        assert_eq!(twice, Err(Misuse::DoubleFree { address }.into()));
        pool.check().unwrap();
    });
}

/// Nothing users write into slots, in use or given back, is ever read: slots come in the same order.
#[test]
fn scribbled_slots_are_slots() {
    in_reserve(|heap| {
        let runs = [0x00, 0xff, 0x5a].map(|byte| {
            let pool = Fixed::growing(Pool::new(heap, TAG), layout(16, 16), 50).unwrap();
            let mut random = fastrand::Rng::with_seed(1);
            let (mut used, mut trace) = (Vec::new(), Vec::new());
            let mut gone: Vec<NonNull<u8>> = Vec::new();
            for _ in 0..3000 {
                if random.bool() || used.is_empty() {
                    let piece = take(&pool, layout(16, 16));
                    trace.push(at(piece));
                    used.push(piece);
                } else {
                    let piece = used.swap_remove(random.usize(..used.len()));
                    give(&pool, piece, layout(16, 16)).unwrap();
                    gone.push(piece);
                }
                for piece in used.iter().chain(&gone) {
                    // SAFETY: a slot of the pool's, in use or given back, and no value in any.
                    unsafe { piece.write_bytes(byte, 16) };
                }
            }
            pool.check().unwrap();
            trace
        });
        assert!(runs.windows(2).all(|two| two[0] == two[1]));
    });
}

/// Turns a bit over that is so many bytes and bits before a slot.
fn flip(slot: NonNull<u8>, bytes: usize, bit: usize) {
    // SAFETY: in front of the first slot, in the chunk.
    let byte = unsafe { slot.sub(bytes - bit / 8) };
    // SAFETY: within the chunk, and nobody uses the pool just now.
    let value = unsafe { byte.read() };
    // SAFETY: as before.
    unsafe { byte.write(value ^ 1 << (bit % 8)) };
}

/// Each bit in front of the slots, turned over: noticed by the check, and no slot beyond the chunk is handed
/// out, nor does anything crash.
#[test]
fn damage_is_found() {
    let slot = layout(8, 8);
    // The spare word, and the links of groups that are in no list.
    for (used, spare) in [(0, 1), (5, 1), (64, 2), (100, 3)] {
        for in_hand in [false, true] {
            let books = 32 + 16 + 2 * 16;
            let mut silent = 0;
            for bit in 0..books * 8 {
                in_buffer(|heap| {
                    let pool = Fixed::new(Pool::new(heap, TAG), slot, 100).unwrap();
                    let first = take(&pool, slot);
                    if used == 0 {
                        give(&pool, first, slot).unwrap();
                    }
                    for _ in 1..used {
                        take(&pool, slot);
                    }
                    if in_hand && used > 0 {
                        give(&pool, first, slot).unwrap();
                    }
                    pool.check().unwrap();
                    flip(first, books, bit);
                    match pool.check() {
                        Ok(()) => silent += 1,
                        Err(error) => assert!(matches!(error, Error::Corruption(_)), "{error}"),
                    }
                    for _ in 0..3 {
                        if let Ok(piece) = pool.allocate(slot) {
                            let piece = piece.cast::<u8>();
                            assert!((at(first)..at(first) + 800).contains(&at(piece)));
                            let _ = give(&pool, piece, slot);
                        }
                        let _ = pool.allocate(slot);
                    }
                    for _ in 0..200 {
                        if let Ok(piece) = pool.allocate(slot) {
                            assert!((at(first)..at(first) + 800).contains(&at(piece.cast())));
                        }
                    }
                });
            }
            assert!(
                silent <= 64 * spare,
                "{silent} bits unnoticed with {used} in use"
            );
        }
    }
}

/// What is written over the word that says which slots are free, where it says that as many are: noticed by the check,
/// and no slot in use is handed out while slots are taken from that group.
#[test]
fn a_word_written_over_hands_nothing_out_twice() {
    let slot = layout(8, 8);
    in_buffer(|heap| {
        let pool = Fixed::new(Pool::new(heap, TAG), slot, 100).unwrap();
        let used: Vec<_> = (0..5).map(|_| take(&pool, slot)).collect();
        // The first group's word is in front of another's, and of the two that link them.
        for bit in [2, 10] {
            flip(used[0], 4 * 8, bit);
        }
        let found = pool.check().unwrap_err();
        assert!(matches!(found, Error::Corruption(_)), "{found}");
        for _ in 5..64 {
            let piece = pool.allocate(slot).unwrap().cast();
            assert!(!used.contains(&piece), "{piece:?} is in use");
        }
    });
}

/// Slots that nobody has come back where a word says that they are in use: the numbers stay within what there is.
#[test]
fn slots_that_come_back_by_a_damaged_word_are_counted_as_none() {
    let slot = layout(8, 8);
    in_buffer(|heap| {
        let pool = Fixed::new(Pool::new(heap, TAG), slot, 100).unwrap();
        let first = take(&pool, slot);
        // The second group's word, of 36 slots.
        for bit in 0..36 {
            flip(first, 3 * 8, bit);
        }
        for number in 64..100 {
            // SAFETY: in the chunk, and nobody's.
            let stranger = unsafe { first.add(8 * number) };
            give(&pool, stranger, slot).unwrap();
            let usage = pool.usage().unwrap();
            assert!(usage.used <= 1 && usage.deallocations <= 1, "{usage}");
        }
        let found = pool.check().unwrap_err();
        assert!(matches!(found, Error::Corruption(_)), "{found}");
        for _ in 0..200 {
            let _ = pool.allocate(slot);
            assert!(pool.usage().unwrap().used <= 100);
        }
    });
}
