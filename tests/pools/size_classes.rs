//! What is special to pools of size classes: the map and the log, misuse found exactly, damage to free pieces,
//! what a reset keeps, and blocks of the heap's own beside the chunks.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::BTreeMap;

use tagheap::{
    Buffer, Corruption, Error, Heap, Kind, LocalHeap, Misuse, Pool, Reserve, Share, SharedHeap,
    SizeClasses, Tag, Typed,
};

use crate::{in_buffer, in_large_buffer, in_reserve};

const TAG: Tag = Tag::named("classes");

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn pool<H: Share>(heap: H) -> SizeClasses<H> {
    SizeClasses::new(Pool::new(heap, TAG))
}

/// Bytes of the piece that serves a layout, worked out the long way; `None` for a block of the heap's own.
pub(crate) fn bytes_of(layout: Layout) -> Option<usize> {
    let size = layout.size().max(1);
    if layout.align() > 16 {
        let bytes = size.max(layout.align()).next_power_of_two();
        return (bytes <= 32 << 10).then_some(bytes);
    }
    let steps = (1..=8).map(|n| 16 * n);
    let doublings = (7..15).flat_map(|power| (5..=8).map(move |part| (1 << power) / 4 * part));
    steps.chain(doublings).find(|bytes| *bytes >= size)
}

/// Gives a piece back, which may be none.
fn free<H: Share>(kind: &SizeClasses<H>, at: usize, layout: Layout) -> Result<(), Error> {
    let at = NonNull::new(core::ptr::with_exposed_provenance_mut(at)).unwrap();
    // SAFETY: a piece of the test's, or to be refused.
    unsafe { kind.deallocate(at, layout) }
}

fn take<H: Share>(kind: &SizeClasses<H>, layout: Layout) -> usize {
    let piece = kind.allocate(layout).unwrap();
    assert_eq!(piece.len(), layout.size());
    piece.cast::<u8>().as_ptr().expose_provenance()
}

fn fill(at: usize, bytes: usize, byte: u8) {
    let at = core::ptr::with_exposed_provenance_mut::<u8>(at);
    // SAFETY: the test's own piece, or one that it gave back, on purpose.
    unsafe { at.write_bytes(byte, bytes) };
}

fn is_full_of(at: usize, bytes: usize, byte: u8) -> bool {
    let at = core::ptr::with_exposed_provenance::<u8>(at);
    // SAFETY: the test's own piece, which it filled.
    let bytes = unsafe { core::slice::from_raw_parts(at, bytes) };
    bytes.iter().all(|found| *found == byte)
}

/// Pieces in use, each with its layout, the byte it is full of, and by how much it made what is in use rise.
#[derive(Default)]
struct Model {
    pieces: Vec<(usize, Layout, u8, usize)>,
    ends: BTreeMap<usize, usize>,
    allocations: u64,
    used: usize,
}

impl Model {
    /// Takes a piece, whole in a class or as it was asked for; whatever is wrong must be for want of memory, or
    /// damage.
    fn allocate<H: Share>(&mut self, kind: &SizeClasses<H>, layout: Layout) -> Result<(), Error> {
        let at = kind.allocate(layout)?;
        assert_eq!(at.len(), layout.size());
        let at = at.cast::<u8>().as_ptr().expose_provenance();
        assert!(
            at.is_multiple_of(layout.align().max(16)),
            "{at:#x} {layout:?}"
        );
        assert!(
            !self.holds(at, layout.size()),
            "{at:#x} {layout:?} overlaps"
        );
        let bytes = kind.usage().unwrap().used - self.used;
        let size = layout.size().max(1);
        assert!(
            bytes == size || Some(bytes) == bytes_of(layout),
            "{layout:?} takes {bytes}"
        );
        self.used += bytes;
        self.allocations += 1;
        let byte = fastrand::u8(..);
        fill(at, layout.size(), byte);
        self.ends.insert(at, at + size);
        self.pieces.push((at, layout, byte, bytes));
        Ok(())
    }

    /// As [`allocate`](Model::allocate), where free pieces may have been written over.
    fn allocate_or_find_damage<H: Share>(&mut self, kind: &SizeClasses<H>, layout: Layout) {
        match self.allocate(kind, layout) {
            Ok(()) | Err(Error::Corruption(Corruption::Pool { tag: TAG, .. })) => {}
            Err(other) => panic!("{other}"),
        }
    }

    /// Whether a piece in use overlaps these bytes.
    fn holds(&self, at: usize, bytes: usize) -> bool {
        let below = self.ends.range(..at + bytes.max(1)).next_back();
        below.is_some_and(|(_, end)| *end > at)
    }

    fn forget(&mut self, place: usize) -> (usize, Layout) {
        let (at, layout, byte, bytes) = self.pieces.swap_remove(place);
        assert!(is_full_of(at, layout.size(), byte), "{at:#x} {layout:?}");
        self.ends.remove(&at);
        self.used -= bytes;
        (at, layout)
    }

    fn free<H: Share>(&mut self, kind: &SizeClasses<H>, place: usize) -> usize {
        let (at, layout) = self.forget(place);
        free(kind, at, layout).unwrap();
        at
    }

    fn clear(&mut self) {
        while !self.pieces.is_empty() {
            self.forget(0);
        }
    }

    fn assert_counts(&self, kind: &impl Kind) {
        let usage = kind.usage().unwrap();
        assert_eq!(
            (usage.used, usage.allocations),
            (self.used, self.allocations)
        );
        assert_eq!(usage.live(), self.pieces.len() as u64);
    }
}

fn random_layout() -> Layout {
    let align = match fastrand::u8(..8) {
        0 => 1 << fastrand::u32(5..=13),
        _ => 1 << fastrand::u32(..=4),
    };
    layout(fastrand::usize(..=1 << fastrand::u32(..=16)), align)
}

/// The model holds where the pool is seldom checked, so that maps are made late, early and never; with pieces
/// given back in and out of order.
#[test]
fn agrees_with_the_model_whenever_the_map_is_made() {
    in_reserve(|heap| {
        for seed in 0..60 {
            fastrand::seed(seed);
            let mut kind = pool(heap);
            let mut model = Model::default();
            let (frees, resets) = (fastrand::u8(1..8), fastrand::bool());
            for step in 0..2000 {
                match fastrand::u8(..10) {
                    0 if resets && fastrand::u8(..40) == 0 => {
                        kind.reset().unwrap();
                        model.clear();
                    }
                    1 if fastrand::u8(..20) == 0 => drop(kind.trim().unwrap()),
                    n if n < frees && !model.pieces.is_empty() => {
                        let last = model.pieces.len() - 1;
                        let random = fastrand::usize(..=last);
                        let place = if seed % 3 == 0 { last } else { random };
                        model.free(&kind, place);
                    }
                    _ => model.allocate(&kind, random_layout()).unwrap(),
                }
                if step % 500 == 499 {
                    kind.check().unwrap();
                    model.assert_counts(&kind);
                }
            }
            model.clear();
            drop(kind);
            assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
            heap.look(|heap| heap.check()).unwrap().unwrap();
        }
    });
}

/// All programs of six steps over a few requests, frees of the first and the last, and a reset.
#[test]
fn agrees_with_the_model_on_all_short_programs() {
    const STEPS: usize = 7;
    in_buffer(|heap| {
        for program in 0..STEPS.pow(6) {
            let mut kind = SizeClasses::with_chunk(Pool::new(heap, TAG), 1024);
            let mut model = Model::default();
            for step in (0..6).map(|n| program / STEPS.pow(n) % STEPS) {
                match step {
                    0..=3 => {
                        let layout = [(16, 1), (160, 8), (40, 64), (600, 16)][step];
                        let layout = self::layout(layout.0, layout.1);
                        model.allocate(&kind, layout).unwrap();
                    }
                    4 | 5 if !model.pieces.is_empty() => {
                        let place = if step == 4 { 0 } else { model.pieces.len() - 1 };
                        model.free(&kind, place);
                    }
                    6 => {
                        kind.reset().unwrap();
                        model.clear();
                    }
                    _ => {}
                }
            }
            kind.check().unwrap();
            model.assert_counts(&kind);
            model.clear();
        }
    });
}

/// What each size takes is its class's bytes and no more; the next larger is a block of the heap's own.
#[test]
fn takes_the_bytes_of_the_class() {
    in_reserve(|heap| {
        for align in [1, 16, 32, 4096] {
            for size in (0..2100).chain([4095, 4096, 32767, 32768, 32769, 70000]) {
                let kind = pool(heap);
                let layout = layout(size, align);
                let at = take(&kind, layout);
                let bytes = bytes_of(layout);
                assert_eq!(
                    kind.usage().unwrap().used,
                    bytes.unwrap_or(size),
                    "{layout:?}"
                );
                assert_eq!(
                    kind.contains(NonNull::new(at as *mut u8).unwrap()),
                    Ok(true)
                );
                assert!(bytes.is_none_or(|bytes| bytes < size.max(align) * 2 || bytes <= 16));
            }
        }
    });
}

/// Pieces lie one behind the other, none has a header, and a hundred thousand are a handful of blocks.
#[test]
fn is_as_dense_as_an_arena() {
    in_reserve(|heap| {
        let kind = pool(heap);
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0, "made of nothing");
        let first = take(&kind, layout(48, 8));
        assert_eq!(take(&kind, layout(48, 8)), first + 48);
        assert_eq!(take(&kind, layout(1, 1)), first + 96);
        assert_eq!(take(&kind, layout(200, 8)), first + 112);
        for _ in 0..100_000 {
            take(&kind, layout(64, 8));
        }
        let blocks = heap.stats_of(TAG).unwrap().blocks;
        assert!(blocks <= 7, "{blocks} chunks");
        let live = kind.usage().unwrap().used;
        assert!(kind.usage().unwrap().total < 3 * live);
        drop(kind);
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
    });
}

/// A piece given back serves the next request of its class, the last one first; never another class.
#[test]
fn reuses_what_was_given_back() {
    in_reserve(|heap| {
        let kind = pool(heap);
        let pieces: Vec<_> = (0..10).map(|_| take(&kind, layout(100, 8))).collect();
        for at in &pieces[..8] {
            free(&kind, *at, layout(97, 1)).unwrap();
        }
        let other = take(&kind, layout(113, 8));
        assert!(!pieces.contains(&other));
        for at in pieces[..8].iter().rev() {
            assert_eq!(take(&kind, layout(112, 16)), *at);
        }
        kind.check().unwrap();
    });
}

/// The last piece makes room by itself; so does the one before it, once it is the last.
#[test]
fn the_last_piece_goes_back_to_the_cursor() {
    in_reserve(|heap| {
        let kind = pool(heap);
        let first = take(&kind, layout(100, 8));
        let second = take(&kind, layout(40, 8));
        free(&kind, second, layout(40, 8)).unwrap();
        free(&kind, first, layout(100, 8)).unwrap();
        assert_eq!(
            take(&kind, layout(1000, 8)),
            first,
            "another class takes its place"
        );
        free(&kind, first, layout(1000, 8)).unwrap();
        let again = free(&kind, first, layout(1000, 8));
        assert_eq!(again, Err(Misuse::NotABlock { address: first }.into()));
        assert_eq!(kind.usage().unwrap().peak, 1024);
        kind.check().unwrap();
    });
}

/// Each way to be wrong has its name, before the map is made and after; and nothing changes.
#[test]
fn finds_each_misuse() {
    for mapped in [false, true] {
        in_reserve(|heap| {
            let mut kind = pool(heap);
            // So that the one behind is at no multiple of its size.
            while take(&kind, layout(16, 8)) % 64 != 16 {}
            let [before, at, behind] = [48, 160, 64].map(|size| take(&kind, layout(size, 8)));
            let large = take(&kind, layout(100_000, 8));
            let strict = take(&kind, layout(64, 64));
            if mapped {
                free(&kind, before, layout(48, 8)).unwrap();
            }
            let usage = kind.usage();
            let refused = |at, layout, misuse: Misuse| {
                assert_eq!(
                    free(&kind, at, layout),
                    Err(misuse.into()),
                    "{at:#x} {layout:?}"
                );
                assert_eq!(kind.usage(), usage);
            };
            for offset in 1..160 {
                let address = at + offset;
                refused(address, layout(160, 8), Misuse::NotABlock { address });
                refused(address, layout(16, 8), Misuse::NotABlock { address });
            }
            let mismatch = |claimed| Misuse::SizeMismatch {
                address: at,
                claimed,
                usable: 160,
            };
            for size in [1, 16, 128, 161, 224, 1024, 32768] {
                refused(at, layout(size, 8), mismatch(size));
            }
            // The map says what is there, not how large, to whom claims what no piece has.
            let most = free(&kind, at, layout(50_000, 8));
            assert!(matches!(
                most,
                Err(Error::Misuse(Misuse::SizeMismatch { .. }))
            ));
            refused(
                behind,
                layout(64, 64),
                Misuse::AlignMismatch {
                    address: behind,
                    claimed: 64,
                },
            );
            let chunk = at & !0xfff;
            for address in (chunk..before).step_by(16).filter(|at| *at + 256 > before) {
                let refused = free(&kind, address, layout(48, 8));
                assert!(matches!(refused, Err(Error::Misuse(_))), "{refused:?}");
            }
            let small = free(&kind, large, layout(160, 8));
            assert!(
                matches!(small, Err(Error::Misuse(Misuse::SizeMismatch { .. }))),
                "{small:?}"
            );
            let inside = free(&kind, large + 64, layout(160, 8));
            assert!(
                matches!(inside, Err(Error::Misuse(Misuse::NotABlock { .. }))),
                "{inside:?}"
            );
            assert_eq!(kind.usage(), usage);

            free(&kind, at, layout(160, 8)).unwrap();
            let again = free(&kind, at, layout(160, 8));
            assert_eq!(again, Err(Misuse::DoubleFree { address: at }.into()));
            free(&kind, strict, layout(64, 64)).unwrap();
            free(&kind, large, layout(100_000, 8)).unwrap();
            let again = free(&kind, large, layout(100_000, 8));
            assert!(matches!(again, Err(Error::Misuse(_))), "{again:?}");
            kind.check().unwrap();
            kind.reset().unwrap();
            for stale in [before, at, behind, strict] {
                let stale = free(&kind, stale, layout(64, 8));
                assert!(matches!(stale, Err(Error::Misuse(_))), "{stale:?}");
            }
            kind.check().unwrap();
        });
    }
}

/// Whoever names a chunk as a block of his own does not get it freed, whether it is in use or kept.
#[test]
fn a_chunk_is_nobodys_block() {
    in_reserve(|heap| {
        let mut kind = pool(heap);
        for _ in 0..200 {
            take(&kind, layout(1024, 8));
        }
        let blocks: Vec<_> = heap
            .look(|heap| heap.blocks_of(TAG).collect::<Result<_, _>>())
            .unwrap()
            .unwrap();
        assert_eq!(blocks.len(), 3);
        for _ in 0..2 {
            for block in &blocks {
                let address = block.payload();
                for size in [block.usable(), block.usable() - 16] {
                    let refused = free(&kind, address, layout(size, 16));
                    assert_eq!(refused, Err(Misuse::NotABlock { address }.into()));
                }
            }
            kind.reset().unwrap();
        }
        kind.check().unwrap();
    });
}

/// Address behind the last block of a heap.
fn heap_end(heap: &LocalHeap<Reserve>) -> usize {
    let last = heap.look(|heap| heap.walk().last().unwrap()).unwrap();
    last.unwrap().end()
}

/// Bytes of the map of a chunk of so many: two bits for every 16.
pub(crate) fn map_of(usable: usize) -> usize {
    usable.div_ceil(1024) * 16
}

/// Bytes of its log: one for every 16 that are left, and those that stand above them.
pub(crate) fn log_of(usable: usize) -> usize {
    (usable / 17 + 17) / 16 * 16
}

/// What lies in front of the first piece and behind the last is none, whatever the memory was full of before.
#[test]
fn notes_are_no_pieces() {
    // Any byte, as an entry may be any.
    for full_of in 0..=u8::MAX {
        notes_are_no_pieces_in_memory_full_of(full_of);
    }
}

fn notes_are_no_pieces_in_memory_full_of(full_of: u8) {
    for bytes in [1 << 10, 2000, 16 << 10, (16 << 10) + 64] {
        in_reserve(|heap| {
            let block = heap.allocate(TAG, layout(80 << 10, 16)).unwrap();
            fill(block.addr().get(), block.len(), full_of);
            // SAFETY: handed out for this layout.
            unsafe { heap.deallocate(block.cast(), layout(80 << 10, 16)) }.unwrap();
            let kind = SizeClasses::with_chunk(Pool::new(heap, TAG), bytes);
            let first = take(&kind, layout(16, 8));
            let end = heap_end(heap);
            let is_none = |address: usize| {
                let refused = free(&kind, address, layout(16, 8));
                assert_eq!(refused, Err(Misuse::NotABlock { address }.into()));
                assert!(heap.look(|heap| heap.check()).unwrap().is_ok());
            };
            // A pool without pieces, beside whose cursor there is what an entry would be.
            free(&kind, first, layout(16, 8)).unwrap();
            for byte in 0..=u8::MAX {
                fill(first, 16, byte);
                is_none(first - 16);
            }
            take(&kind, layout(16, 8));
            take(&kind, layout(16, 8));
            free(&kind, first, layout(16, 8)).unwrap();
            for address in (block.addr().get()..first).step_by(16) {
                is_none(address);
            }
            let usable = bytes - 32;
            let (log, map) = (log_of(usable), map_of(usable));
            let behind = if usable > 16 << 10 { log + map } else { map };
            for address in (first + 32..end).step_by(16) {
                is_none(address);
                let at = NonNull::new(core::ptr::with_exposed_provenance_mut(address)).unwrap();
                assert_eq!(kind.contains(at), Ok(address < end - behind));
            }
            kind.check().unwrap();
        });
    }
}

/// Words that stood in a free piece earlier, put back when it is free again, lead to no piece in use; after a
/// reset they do not even pass.
#[test]
fn words_of_an_earlier_time_lead_nowhere() {
    in_reserve(|heap| {
        let mut kind = pool(heap);
        let layout = layout(32, 8);
        let [one, two, _] = [(); 3].map(|()| take(&kind, layout));
        let words = core::ptr::with_exposed_provenance_mut::<[u64; 2]>(one);
        free(&kind, two, layout).unwrap();
        free(&kind, one, layout).unwrap();
        // SAFETY: memory of the pool's, free.
        let earlier = unsafe { words.read() };
        assert_eq!([take(&kind, layout), take(&kind, layout)], [one, two]);
        free(&kind, one, layout).unwrap();
        // SAFETY: as above: what it must survive.
        unsafe { words.write(earlier) };
        let damage = |at| Error::from(Corruption::Pool { tag: TAG, at });
        assert_eq!(kind.check(), Err(damage(two)));
        assert_eq!(take(&kind, layout), one);
        assert_eq!(kind.allocate(layout).unwrap_err(), damage(two));

        kind.reset().unwrap();
        let again = [(); 3].map(|()| take(&kind, layout));
        assert_eq!(again[..2], [one, two]);
        free(&kind, one, layout).unwrap();
        // SAFETY: as above.
        unsafe { words.write(earlier) };
        assert_eq!(kind.check(), Err(damage(one)));
    });
}

/// Every flip of one bit of what stands in a free piece is found, by a check and by the request that meets it.
#[test]
fn finds_damage_to_free_pieces() {
    in_reserve(|heap| {
        for bit in 0..128 {
            let mut kind = pool(heap);
            let pieces: Vec<_> = (0..4).map(|_| take(&kind, layout(32, 8))).collect();
            for at in &pieces[..3] {
                free(&kind, *at, layout(32, 8)).unwrap();
            }
            let word = core::ptr::with_exposed_provenance_mut::<u8>(pieces[2] + bit / 8);
            // SAFETY: a piece that was given back: what must be found.
            let byte = unsafe { word.read() };
            // SAFETY: as above.
            unsafe { word.write(byte ^ 1 << (bit % 8)) };
            let damage = Corruption::Pool {
                tag: TAG,
                at: pieces[2],
            };
            assert_eq!(kind.check(), Err(damage.into()), "bit {bit}");
            let before = kind.usage().unwrap();
            let refused = kind.allocate(layout(32, 8));
            assert_eq!(refused.unwrap_err(), damage.into(), "bit {bit}");
            let after = kind.usage().unwrap();
            assert_eq!((after.used, after.failures), (before.used, 1));
            // What is given back later is served, and nothing from behind it.
            free(&kind, pieces[3], layout(32, 8)).unwrap();
            assert_eq!(take(&kind, layout(32, 8)), pieces[3], "bit {bit}");
            let refused = kind.allocate(layout(32, 8));
            assert_eq!(refused.unwrap_err(), damage.into(), "bit {bit}");
            take(&kind, layout(48, 8));
            kind.reset().unwrap();
            kind.check().unwrap();
            take(&kind, layout(32, 8));
        }
    });
}

/// Whatever is written into pieces after they were given back, junk, words of other free pieces or their own
/// of earlier times, no two pieces in use overlap, and nothing panics.
#[test]
fn junk_in_free_pieces_makes_no_pieces_overlap() {
    in_reserve(|heap| {
        for seed in 0..200 {
            fastrand::seed(seed);
            let mut kind = pool(heap);
            let mut model = Model::default();
            let mut gone: Vec<usize> = Vec::new();
            let mut copies: Vec<[u8; 16]> = Vec::new();
            for _ in 0..400 {
                match fastrand::u8(..8) {
                    0..3 if !model.pieces.is_empty() => {
                        let place = fastrand::usize(..model.pieces.len());
                        gone.push(model.free(&kind, place));
                    }
                    3 if !gone.is_empty() => {
                        let at = gone[fastrand::usize(..gone.len())];
                        // What is in use again belongs to somebody.
                        if !model.holds(at, 16) {
                            let piece = core::ptr::with_exposed_provenance_mut::<[u8; 16]>(at);
                            // SAFETY: memory of the pool's: what it must survive.
                            copies.push(unsafe { piece.read() });
                            if fastrand::u8(..3) == 0 {
                                let words = copies[fastrand::usize(..copies.len())];
                                // SAFETY: as above.
                                unsafe { piece.write(words) };
                            }
                        }
                    }
                    4 if fastrand::u8(..50) == 0 => {
                        kind.reset().unwrap();
                        model.clear();
                        gone.clear();
                    }
                    _ => {
                        let layout = layout([16, 32, 64][fastrand::usize(..3)], 8);
                        model.allocate_or_find_damage(&kind, layout);
                    }
                }
                model.assert_counts(&kind);
            }
            model.clear();
        }
    });
}

/// Who writes beyond all pieces, over the log, is found when that is read: nothing goes back by it, nothing is handed out
/// twice.
#[test]
fn finds_damage_to_the_log() {
    in_reserve(|heap| {
        for (bytes, byte) in [4 << 10, 64 << 10]
            .into_iter()
            .flat_map(|bytes| [0, 5, 0x3f, 0x80, 0xff].map(|byte| (bytes, byte)))
        {
            for left in [false, true] {
                let kind = SizeClasses::with_chunk(Pool::new(heap, TAG), bytes);
                let mut model = Model::default();
                let blocks = || heap.stats_of(TAG).unwrap().blocks;
                while model.pieces.len() < 20 || (left && blocks() == 1) {
                    model.allocate(&kind, layout(64, 8)).unwrap();
                }
                let first = model.pieces[0].0;
                let holds = |(at, usable): &&(usize, usize)| (*at..at + usable).contains(&first);
                let (at, usable) = *chunks(heap).iter().find(holds).unwrap();
                let map = at + usable - map_of(usable);
                let log = if usable > 16 << 10 {
                    map
                } else {
                    model.pieces[0].0
                } - 1;
                fill(log - 11, 1, byte);
                let usage = kind.usage();
                let given = free(&kind, model.pieces[3].0, layout(64, 8));
                let Err(Error::Corruption(Corruption::Pool { tag: TAG, at })) = given else {
                    panic!("{bytes} {byte:#x} {given:?}");
                };
                assert!((log - usable / 16..=log).contains(&at), "{at:#x} {log:#x}");
                assert!(kind.check().is_err());
                assert_eq!(kind.usage(), usage);
                for _ in 0..100 {
                    model.allocate(&kind, layout(64, 8)).unwrap();
                }
                model.clear();
            }
        }
    });
}

/// No note comes to lie where a piece was, neither one that went back over the cursor nor one from before a reset: of all
/// that was handed out and is not in use, anything may be written over at any time.
#[test]
fn stale_writes_make_no_pieces_overlap() {
    in_reserve(|heap| {
        for seed in 0..150 {
            fastrand::seed(seed);
            let chunk = 1 << fastrand::u32(10..18);
            let mut kind = SizeClasses::with_chunk(Pool::new(heap, TAG), chunk);
            let mut model = Model::default();
            let mut gone: Vec<(usize, usize)> = Vec::new();
            for _ in 0..600 {
                let last = model.pieces.len().wrapping_sub(1);
                match fastrand::u8(..16) {
                    0..4 if !model.pieces.is_empty() => {
                        let place = fastrand::choice([last, fastrand::usize(..=last)]).unwrap();
                        let bytes = model.pieces[place].1.size();
                        gone.push((model.free(&kind, place), bytes));
                    }
                    4..7 if !gone.is_empty() => {
                        let (at, bytes) = gone[fastrand::usize(..gone.len())];
                        let byte = [0, 3, 0x3f, 0x80, 0xff, fastrand::u8(..)];
                        if !model.holds(at, bytes) {
                            fill(at, bytes, byte[fastrand::usize(..byte.len())]);
                        }
                    }
                    7 if fastrand::u8(..20) == 0 => {
                        kind.reset().unwrap();
                        // What belongs to the pool still is what its chunks hold.
                        let chunks = chunks(heap);
                        let held = |at| {
                            chunks
                                .iter()
                                .any(|(from, bytes)| (*from..from + bytes).contains(&at))
                        };
                        let pieces = model.pieces.iter();
                        gone.extend(pieces.map(|(at, layout, ..)| (*at, layout.size())));
                        gone.retain(|(at, _)| held(*at));
                        model.clear();
                    }
                    _ => {
                        let sizes = [16, 16, 48, 500, 1024, 1792, 6000];
                        let layout = layout(sizes[fastrand::usize(..sizes.len())], 8);
                        model.allocate_or_find_damage(&kind, layout);
                    }
                }
                model.assert_counts(&kind);
            }
            model.clear();
        }
    });
}

/// A reset keeps the chunks, to use the largest first; what the next round does not reach goes back at the next one.
#[test]
fn a_reset_keeps_what_was_reached() {
    in_reserve(|heap| {
        let mut kind = pool(heap);
        let blocks = || heap.stats_of(TAG).unwrap().blocks;
        let round = |kind: &SizeClasses<_>, count| -> Vec<usize> {
            (0..count).map(|_| take(kind, layout(500, 8))).collect()
        };
        let first = round(&kind, 3000);
        let many = blocks();
        assert!(many > 2);
        kind.reset().unwrap();
        assert_eq!((blocks(), kind.usage().unwrap().used), (many, 0));
        let few = round(&kind, 3);
        kind.check().unwrap();
        assert_eq!(blocks(), many);
        assert!(kind.trim().unwrap() > 0);
        assert_eq!(blocks(), 1, "what holds no piece is given back on request");
        for _ in 0..3 {
            kind.reset().unwrap();
            let again = round(&kind, 3000);
            assert_eq!(again[..3], few, "the same chunk");
            assert!(first.contains(&few[0]));
            assert!(again.is_sorted_by(|one, other| one + 512 == *other));
            assert_eq!(blocks(), 1, "the largest is enough");
        }
        kind.reset().unwrap();
        assert_eq!(blocks(), 1);
        assert!(kind.trim().unwrap() > 0);
        assert_eq!((blocks(), kind.usage().unwrap().total), (0, 0));
        assert_eq!(round(&kind, 3000).len(), 3000);
        take(&kind, layout(1 << 20, 8));
        kind.reset().unwrap();
        assert_eq!(blocks(), 0, "all goes if blocks of the heap's own are out");
        round(&kind, 10);
        kind.check().unwrap();
    });
}

/// Whatever a round takes, the chunks that the next one opens are ever smaller, and those behind as large at least
/// as the first.
#[test]
fn a_reset_puts_the_largest_chunk_first() {
    in_reserve(|heap| {
        for seed in 0..50 {
            fastrand::seed(seed);
            let mut kind =
                SizeClasses::with_chunk(Pool::new(heap, TAG), 1 << fastrand::u32(10..16));
            for _ in 0..6 {
                let blocks = chunks(heap);
                let reached = |kind: &SizeClasses<_>| {
                    let at = take(kind, layout(1024, 8));
                    let chunk = blocks
                        .iter()
                        .find(|(start, bytes)| (*start..start + bytes).contains(&at));
                    chunk.map(|(_, bytes)| *bytes)
                };
                let count = fastrand::usize(..1000);
                let sizes: Vec<_> = (0..count).map_while(|_| reached(&kind)).collect();
                assert!(sizes.is_sorted_by(|one, other| one >= other), "{sizes:?}");
                assert_eq!(
                    sizes
                        .first()
                        .copied()
                        .or(blocks.iter().map(|chunk| chunk.1).max()),
                    blocks.iter().map(|chunk| chunk.1).max()
                );
                kind.check().unwrap();
                kind.reset().unwrap();
            }
        }
    });
}

/// Start and bytes of the blocks under the tag.
fn chunks(heap: impl Share) -> Vec<(usize, usize)> {
    let blocks = heap.look(|heap| {
        let blocks = heap.blocks_of(TAG);
        blocks
            .map(|block| block.map(|block| (block.payload(), block.usable())))
            .collect()
    });
    let blocks: Result<_, _> = blocks.unwrap();
    blocks.unwrap()
}

/// A pool takes at once what its tag held before, in one chunk; never more, so that pools do not grow and grow.
#[test]
fn a_pool_takes_at_once_what_its_tag_held() {
    in_reserve(|heap| {
        let round = |kind: SizeClasses<_>, count| {
            for _ in 0..count {
                take(&kind, layout(500, 8));
            }
            kind.check().unwrap();
            chunks(heap)
                .iter()
                .map(|chunk| chunk.1 + 32)
                .collect::<Vec<_>>()
        };
        // The first is what was said, all in all; those behind it have notes besides.
        let with_notes = |room: usize| 16 + room + log_of(room) + map_of(room);
        let usual = [16 << 10, with_notes(64 << 10), with_notes(256 << 10)];
        assert_eq!(round(pool(heap), 200), usual);
        let peak = heap.stats_of(TAG).unwrap().peak;
        assert_eq!(peak, usual.iter().sum());
        for count in [1, 200, 600] {
            assert_eq!(round(pool(heap), count), [peak]);
            assert_eq!(heap.stats_of(TAG).unwrap().peak, peak);
        }
        assert_eq!(
            round(pool(heap), 1000),
            [peak, peak],
            "as large as the first"
        );
        let said = SizeClasses::with_chunk(Pool::new(heap, TAG), 8192);
        assert_eq!(round(said, 1), [8192], "what was said has precedence");

        let bounded = SizeClasses::new(Pool::new(heap, TAG).bounded(50_000));
        assert_eq!(round(bounded, 1), [50_000]);
        heap.set_limit(TAG, Some(100_000)).unwrap();
        let most = 100_000 - 48;
        assert_eq!(round(pool(heap), 1), [most], "more would be refused");
        let peak = heap.stats_of(TAG).unwrap().peak;
        for limit in [usize::MAX - 1, 1 << 40, peak + 48] {
            heap.set_limit(TAG, Some(limit)).unwrap();
            assert_eq!(round(pool(heap), 1), [peak]);
        }
        heap.set_limit(TAG, Some(20_000)).unwrap();
        assert_eq!(round(pool(heap), 1), [(20_000 - 48) & !15]);
        assert_eq!(heap.stats_of(TAG).unwrap().failures, 0);
        heap.set_limit(TAG, None).unwrap();

        round(pool(heap), 10_000);
        assert_eq!(round(pool(heap), 1), [1 << 20], "a mebibyte at most");
        // SAFETY: no block changes.
        unsafe { heap.with(|heap| heap.reset_peak(TAG)) }.unwrap();
        assert_eq!(round(pool(heap), 1), [16 << 10]);
    });
    in_large_buffer(|heap| {
        for _ in 0..3 {
            let kind = pool(heap);
            take(&kind, layout(500, 8));
            assert_eq!(chunks(heap).len(), 1);
            assert_eq!(chunks(heap)[0].1 + 32, 16 << 10, "others need the rest");
            for _ in 0..200 {
                take(&kind, layout(500, 8));
            }
        }
    });
}

/// What is refused is asked for by halves, each once; and a request that nothing serves is named as it was asked.
#[test]
fn a_first_chunk_that_is_refused_is_asked_for_by_halves() {
    in_reserve(|heap| {
        let limited = |limit, kind: &SizeClasses<_>| {
            heap.set_limit(TAG, Some(limit)).unwrap();
            let failures = heap.stats_of(TAG).unwrap().failures;
            let piece = kind.allocate(layout(100, 8));
            heap.set_limit(TAG, None).unwrap();
            let stats = heap.stats_of(TAG).unwrap();
            assert_eq!(kind.usage().unwrap().live(), u64::from(piece.is_ok()));
            assert_eq!(kind.usage().unwrap().failures, u64::from(piece.is_err()));
            kind.check().unwrap();
            (piece, stats.failures - failures, stats.bytes)
        };
        for (limit, failures, bytes) in [
            (16 << 10, 0, 16 << 10),
            ((16 << 10) - 1, 1, 8176 + 32),
            (8207, 2, 4080 + 32),
        ] {
            let kind = SizeClasses::with_chunk(Pool::new(heap, TAG), 16 << 10);
            let (piece, refused, held) = limited(limit, &kind);
            assert_eq!((piece.is_ok(), refused, held), (true, failures, bytes));
        }
        // The tag held 16 KiB, so that a pool which goes by that asks for as much twice.
        for (limit, failures, bytes) in [((16 << 10) - 1, 2, 8176 + 32), (8207, 3, 4080 + 32)] {
            let kind = pool(heap);
            let (piece, refused, held) = limited(limit, &kind);
            assert_eq!((piece.is_ok(), refused, held), (true, failures, bytes));
        }
        let kind = pool(heap);
        let (piece, _, held) = limited(143, &kind);
        let error = piece.unwrap_err().to_string();
        let wanted = "out of memory: 100 bytes aligned to 8 for tag classes: the tag's limit is 143 bytes, and it holds 0";
        assert_eq!((error.as_str(), held), (wanted, 0));
        let kind = pool(heap);
        let (piece, _, held) = limited(144, &kind);
        assert_eq!((piece.is_ok(), held), (true, 144), "a block of its own");
    });
}

/// However the cursor came to be where it is, the smallest pieces never reach the log: what they are full of is no
/// entry, and all of them are found again.
#[test]
fn small_pieces_leave_the_log_alone() {
    in_reserve(|heap| {
        for bytes in (1024..9000).step_by(208) {
            for (last, left) in [
                (16, 0),
                (64, 0),
                (1000, 0),
                (3000, 0),
                (3000, 16),
                (700, 32),
            ] {
                let kind = SizeClasses::with_chunk(Pool::new(heap, TAG), bytes);
                let mut model = Model::default();
                while heap.stats_of(TAG).unwrap().blocks < 3 {
                    model.allocate(&kind, layout(last, 8)).unwrap();
                    let place = model.pieces.len() - 1;
                    let (at, layout) = model.forget(place);
                    if left == 0 {
                        free(&kind, at, layout).unwrap();
                    } else {
                        let ptr = NonNull::new(core::ptr::with_exposed_provenance_mut(at)).unwrap();
                        let less = self::layout(left, 8);
                        // SAFETY: the test's own piece.
                        unsafe { kind.shrink(ptr, layout, less) }.unwrap();
                        fill(at, left, 7);
                        model.ends.insert(at, at + left);
                        model.pieces.push((at, less, 7, left));
                        model.used += left;
                    }
                    model.allocations = kind.usage().unwrap().allocations;
                    for _ in 0..fastrand::usize(..200) {
                        model.allocate(&kind, self::layout(16, 8)).unwrap();
                    }
                }
                kind.check().unwrap();
                while !model.pieces.is_empty() {
                    model.free(&kind, fastrand::usize(..model.pieces.len()));
                }
                kind.check().unwrap();
                assert_eq!(kind.usage().unwrap().used, 0);
            }
        }
    });
}

/// A round that reaches less lets go of the rest.
#[test]
fn a_reset_lets_go_of_what_was_not_reached() {
    in_reserve(|heap| {
        let mut kind = pool(heap);
        for _ in 0..5000 {
            take(&kind, layout(500, 8));
        }
        kind.reset().unwrap();
        take(&kind, layout(500, 8));
        kind.reset().unwrap();
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 1);
        kind.check().unwrap();
    });
}

/// The last piece grows and shrinks in place, others within their class; large ones by the heap.
#[test]
fn resizes_in_place_where_it_can() {
    in_reserve(|heap| {
        let kind = pool(heap);
        let resize = |at: usize, old, new| {
            let at = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(at)).unwrap();
            let (old, new) = (layout(old, 8), layout(new, 8));
            let resized = if new.size() > old.size() {
                // SAFETY: the test's own piece.
                unsafe { kind.grow(at, old, new) }
            } else {
                // SAFETY: the test's own piece.
                unsafe { kind.shrink(at, old, new) }
            };
            resized.unwrap().cast::<u8>().as_ptr().expose_provenance()
        };
        let below = take(&kind, layout(100, 8));
        let last = take(&kind, layout(10, 8));
        fill(last, 10, 7);
        for (old, new) in [
            (10, 200),
            (200, 3000),
            (3000, 50),
            (50, 60),
            (60, 0),
            (0, 10),
        ] {
            assert_eq!(resize(last, old, new), last, "{old} to {new}");
            kind.check().unwrap();
        }
        assert_eq!(kind.usage().unwrap().used, 112 + 16);
        assert_eq!(kind.usage().unwrap().peak, 112 + 3072);
        // With the map made, too.
        let above = take(&kind, layout(32, 8));
        free(&kind, below, layout(100, 8)).unwrap();
        assert_eq!(resize(above, 32, 300), above);
        kind.check().unwrap();
        assert_eq!(resize(above, 300, 20), above);
        let next = take(&kind, layout(64, 8));
        assert_eq!(next, above + 32);
        free(&kind, above, layout(20, 8)).unwrap();
        kind.check().unwrap();
        fill(last, 10, 7);
        let moved = resize(last, 10, 40);
        assert!(moved != last && is_full_of(moved, 10, 7));

        let large = take(&kind, layout(40_000, 8));
        fill(large, 40_000, 9);
        assert_eq!(resize(large, 40_000, 80_000), large);
        assert_eq!(resize(large, 80_000, 100), large);
        assert!(is_full_of(large, 100, 9));
        free(&kind, large, layout(100, 8)).unwrap();
        kind.check().unwrap();
    });
}

/// Where a piece that the map knew went back to the cursor, another may grow: nothing starts inside it any more.
#[test]
fn a_piece_grows_over_where_another_started() {
    for place in 1..40 {
        in_reserve(|heap| {
            let kind = pool(heap);
            let of = |size| layout(size, 8);
            let first = take(&kind, of(16));
            // Wherever in a word of the map it happens.
            for _ in 0..place {
                take(&kind, of(16));
            }
            let [one, two] = [16, 16].map(|size| take(&kind, of(size)));
            let whole = |at| NonNull::new(core::ptr::with_exposed_provenance_mut(at)).unwrap();
            free(&kind, first, of(16)).unwrap();
            // SAFETY: handed out for this layout.
            unsafe { kind.grow(whole(two), of(16), of(32)) }.unwrap();
            free(&kind, two, of(32)).unwrap();
            // SAFETY: handed out for this layout.
            let grown = unsafe { kind.grow(whole(one), of(16), of(64)) }.unwrap();
            assert_eq!(grown.addr().get(), one, "in place");
            take(&kind, of(100));
            kind.check().unwrap();
            let twice = free(&kind, two, of(48));
            let twice_as_was = free(&kind, two, of(32));
            for refused in [twice, twice_as_was] {
                assert_eq!(refused, Err(Misuse::NotABlock { address: two }.into()));
            }
            free(&kind, one, of(64)).unwrap();
            kind.check().unwrap();
        });
    }
}

/// Where no chunk is to be had, requests are blocks of the heap's own, down to the last bytes.
#[test]
fn serves_from_the_heap_what_no_chunk_holds() {
    for size in (512..4096).step_by(48) {
        let mut bytes = vec![0x5a; size];
        let heap = LocalHeap::new(Heap::new(Buffer::new(&mut bytes)).unwrap());
        let kind = pool(&heap);
        let mut model = Model::default();
        fastrand::seed(size as u64);
        loop {
            let layout = layout(fastrand::usize(1..100), 1);
            if let Err(refusal) = model.allocate(&kind, layout) {
                assert!(matches!(refusal, Error::OutOfMemory(_)), "{refusal}");
                break;
            }
        }
        kind.check().unwrap();
        while !model.pieces.is_empty() {
            model.free(&kind, fastrand::usize(..model.pieces.len()));
        }
        kind.check().unwrap();
        model.assert_counts(&kind);
        kind.trim().unwrap();
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
    }
}

/// A pool with as many chunks as it can have takes blocks of the heap's own.
#[test]
fn goes_on_when_it_has_all_its_chunks() {
    in_reserve(|heap| {
        let kind = SizeClasses::with_chunk(Pool::new(heap, TAG), 0);
        let layout = layout(32 << 10, 16);
        let mut count = 0_u64;
        while heap.stats_of(TAG).unwrap().blocks <= 30 {
            take(&kind, layout);
            count += 1;
        }
        assert_eq!(kind.usage().unwrap().live(), count);
        assert_eq!(kind.usage().unwrap().used as u64, count * (32 << 10));
        drop(kind);
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
    });
}

/// A pool goes where its heap goes.
/// The pieces in a drawing, each with its address and bytes: those in use, and what is in brackets.
fn drawn(drawing: &str) -> [BTreeMap<usize, usize>; 2] {
    let mut pieces = [BTreeMap::new(), BTreeMap::new()];
    for line in drawing.lines() {
        let (at, parts) = line.split_once(" |").unwrap();
        let mut at = usize::from_str_radix(at.strip_prefix("0x").unwrap(), 16).unwrap();
        for part in parts.strip_suffix('|').unwrap().split('|') {
            let (piece, count) = part.split_once(" x").unwrap_or((part, "1"));
            let bytes = piece.trim_matches(['[', ']']).parse().unwrap();
            for _ in 0..count.parse().unwrap() {
                pieces[usize::from(piece.starts_with('['))].insert(at, bytes);
                at += bytes;
            }
        }
    }
    pieces
}

#[test]
fn the_drawing_has_all_pieces_in_use_and_nothing_else() {
    in_reserve(|heap| {
        for seed in 0..20 {
            fastrand::seed(seed);
            let mut kind = SizeClasses::with_chunk(Pool::new(heap, TAG), 4 << 10);
            let mut held = BTreeMap::new();
            let mut most = 0;
            for _ in 0..300 {
                if fastrand::u8(..3) > 0 || held.is_empty() {
                    let asked = layout(fastrand::usize(..900), 1 << fastrand::u32(..8));
                    held.insert(take(&kind, asked), asked);
                } else if seed % 2 == 0 {
                    let place = fastrand::usize(..held.len());
                    let (at, asked) = held
                        .iter()
                        .nth(place)
                        .map(|(at, asked)| (*at, *asked))
                        .unwrap();
                    free(&kind, at, asked).unwrap();
                    held.remove(&at);
                }
                let [used, free] = drawn(&kind.to_string());
                let kept: BTreeMap<_, _> = { held.iter() }
                    .map(|(at, asked)| (*at, bytes_of(*asked).unwrap()))
                    .collect();
                assert_eq!(used, kept);
                let all = used.values().chain(free.values()).sum::<usize>();
                // The map takes two bits of 128, and the log a sixteenth of a small chunk.
                assert!(kind.usage().unwrap().total.abs_diff(all) <= all / 12 + 64);
                most = most.max(used.len());
            }
            assert!(most > 20);
            kind.check().unwrap();
            kind.reset().unwrap();
            assert_eq!(drawn(&kind.to_string())[0], BTreeMap::new());
        }
    });
}

#[test]
fn the_drawing_names_damage() {
    in_reserve(|heap| {
        let kind = pool(heap);
        assert_eq!(kind.to_string(), "");
        let asked = layout(48, 8);
        let taken = [(); 3].map(|()| take(&kind, asked));
        assert!(kind.to_string().contains(" |48 x3|["), "{kind}");
        free(&kind, taken[1], asked).unwrap();
        assert!(kind.to_string().contains(" |48|[48]|48|["), "{kind}");
        // The map at the end of the chunk: nothing starts there any more.
        fill(heap_end(heap) - 256, 256, 0);
        let damage = Corruption::Pool {
            tag: TAG,
            at: taken[0],
        }
        .to_string();
        assert!(kind.to_string().ends_with(&damage), "{kind}");
    });
}

#[test]
fn goes_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    let heap: SharedHeap<Reserve> = SharedHeap::new(Heap::new(Reserve::new().unwrap()).unwrap());
    let kind = pool(&heap);
    is_send(&kind);
    let text = std::thread::scope(|scope| {
        let there = scope.spawn(move || {
            let text = kind.alloc_str("ciao").unwrap().to_owned();
            kind.check().unwrap();
            text
        });
        there.join().unwrap()
    });
    assert_eq!(text, "ciao");
}
