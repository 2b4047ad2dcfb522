//! A: requests of every size and alignment.

use core::ptr::NonNull;
use std::collections::BTreeSet;

use tagheap::{
    Error, HEADER, Heap, Misuse, OutOfMemory, Refusal, Reserve, SMALLEST, Shortage, Source, Tag,
    UNIT,
};

use crate::support::{Careless, Config, Rig, Shaken, Stepped, block_size, bytes, layout};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");

stamp!(buffer_and_reserve:
    a01_size_zero_is_a_block_of_its_own,
    a03_every_size_and_alignment_is_aligned_and_apart,
    a04_sizes_beyond_any_address_space_are_refused,
    a05_sizes_that_wrap_are_refused,
    a07_great_alignments_are_met_or_refused,
    a08_zeroed_is_zero_on_fresh_and_on_used_memory,
    a08_zeroed_is_zero_after_a_trim,
    a10_growth_to_a_greater_alignment_keeps_the_contents,
    a11_many_small_blocks_go_in_any_order,
    a12_a_request_at_the_edge_of_a_hole_leaves_no_rest_too_small,
    a12_a_request_at_the_edge_of_the_room_fits_to_the_byte,
    d04_reserved_tags_are_refused,
);

stamp!(stepped: a04_a05_what_cannot_be_is_not_asked_of_the_source);

stamp!(shaken: a08_what_grows_into_fresh_memory_is_zero);

fn a01_size_zero_is_a_block_of_its_own<C: Config>() {
    let mut rig = Rig::<C>::new(C::MANY * SMALLEST + 4096);
    let mut seen = BTreeSet::new();
    for n in 0..C::MANY {
        let block = rig.heap.allocate(A, layout(0, 1 << (n % 4))).unwrap();
        assert_eq!(block.len(), 0);
        assert!(seen.insert(block.addr()), "given out twice");
    }
    rig.heap.check().unwrap();
    let stats = rig.heap.stats().unwrap();
    assert_eq!(stats.used.bytes, C::MANY * SMALLEST);
    for block in rig.blocks().into_iter().skip(1) {
        assert!(seen.remove(&rig.pointer(block.payload()).addr()));
        assert_eq!(block.tag(), Some(A));
    }
    assert!(seen.is_empty());
    // The last hundred are freed one by one, the others at once.
    for block in rig.blocks().into_iter().rev().take(100) {
        let ptr = rig.pointer(block.payload());
        rig.heap.free(ptr, bytes(0)).unwrap();
    }
    rig.heap.check().unwrap();
    let rest = rig.heap.release_tag(A).unwrap();
    assert_eq!(rest.blocks, C::MANY - 100);
    rig.check();
}

fn a03_every_size_and_alignment_is_aligned_and_apart<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 25);
    let mut window = std::collections::VecDeque::new();
    for size in 1..=4096_usize {
        // Every pair up to 512 and around each power of two; beyond, one alignment in turn.
        let dense = size <= 512 || (9..=12).any(|power| size.abs_diff(1 << power) <= 2);
        for shift in (0..=12).filter(|shift| dense || size % 13 == *shift) {
            if window.len() == 12 {
                rig.free(window.pop_front().unwrap());
            }
            window.push_back(rig.allocate(A, layout(size, 1 << shift)).unwrap());
        }
    }
    rig.contents();
}

fn a04_sizes_beyond_any_address_space_are_refused<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 14);
    let block = rig.take(A, 100);
    for less in 0..4096 {
        let wanted = bytes(isize::MAX as usize - less);
        let error = rig.refuses(|heap| heap.allocate(B, wanted));
        let Error::OutOfMemory(OutOfMemory {
            tag, size, cause, ..
        }) = error
        else {
            panic!("{error}")
        };
        assert_eq!((tag, size), (B, wanted.size()));
        // A header and the rounding up make it more than an address space.
        let too_large = less < HEADER + UNIT - 1;
        assert_eq!(cause == Shortage::TooLarge, too_large, "MAX - {less}");
        if less % 64 == 0 {
            rig.refuses(|heap| heap.allocate_zeroed(B, wanted));
            rig.refuses(|heap| heap.enlarge(block, bytes(100), wanted));
            rig.refuses(|heap| heap.enlarge_zeroed(block, bytes(100), wanted));
        }
    }
    rig.take(A, 100);
}

fn a05_sizes_that_wrap_are_refused<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 14);
    let block = rig.take(A, 100);
    for shift in 0..63 {
        let align = 1 << shift;
        let most = isize::MAX as usize - (align - 1);
        for less in 0..128 {
            // Exactly the corners that a `Layout` still allows.
            let wanted = layout(most.saturating_sub(less), align);
            if wanted.size() < 1 << 30 {
                continue;
            }
            let error = rig.refuses(|heap| heap.allocate(B, wanted));
            assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
            if less % 32 == 0 {
                let error = rig.refuses(|heap| heap.enlarge(block, bytes(100), wanted));
                assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
            }
        }
    }
}

fn a04_a05_what_cannot_be_is_not_asked_of_the_source<C: Config<Ground = Stepped>>() {
    let mut rig = Rig::<C>::new(1 << 14);
    rig.take(A, 100);
    let asked = rig.ground.knobs.asked.get();
    for less in 0..=HEADER + UNIT - 2 {
        rig.refuses(|heap| heap.allocate(A, bytes(isize::MAX as usize - less)));
    }
    rig.refuses(|heap| heap.allocate(A, layout(0, 1 << 63)));
    let later = rig.ground.knobs.asked.get();
    assert!(
        later <= asked + 1,
        "asked {} times for nothing",
        later - asked
    );
}

fn a07_great_alignments_are_met_or_refused<C: Config>() {
    for shift in 12..64 {
        let size = usize::from(shift < 63);
        let wanted = layout(size, 1 << shift);
        let mut rig = Rig::<C>::new(1 << 24);
        rig.take(A, 1);
        for _ in 0..2 {
            let answer = rig.leaves(|heap| heap.allocate(B, wanted));
            match answer {
                Ok(block) => {
                    assert!(block.addr().get().is_multiple_of(1 << shift));
                    assert!(rig.heap.contains(block.cast()));
                    rig.heap.check().unwrap();
                }
                Err(error) => {
                    assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
                    assert!(shift > 21, "2^{shift} can be met");
                }
            }
        }
        let gaps = rig.blocks().into_iter().filter(|block| block.is_free());
        assert!(gaps.clone().all(|gap| gap.size >= SMALLEST));
        rig.heap.release_tag(B).unwrap();
        rig.check();
    }
}

fn a08_zeroed_is_zero_on_fresh_and_on_used_memory<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 18);
    let mut random = fastrand::Rng::with_seed(8);
    for _ in 0..600 {
        let wanted = layout(random.usize(0..3000), 1 << random.u32(0..9));
        if random.u8(0..3) == 0 {
            rig.allocate(A, wanted).unwrap();
        } else {
            rig.allocate_zeroed(A, wanted).unwrap();
        }
        while rig.live.len() > 20 || (!rig.live.is_empty() && random.u8(0..3) == 0) {
            let index = random.usize(0..rig.live.len());
            let live = *rig.live.values().nth(index).unwrap();
            if random.bool() {
                rig.free(live.ptr);
            } else {
                let wanted = bytes(live.layout.size() + random.usize(0..500));
                rig.resize(live.ptr, wanted, true).unwrap();
            }
        }
    }
}

fn a08_zeroed_is_zero_after_a_trim<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 26);
    let mut random = fastrand::Rng::with_seed(88);
    for round in 0..60 {
        rig.take(A, random.usize(1..400));
        let dirty = rig.take(B, random.usize(1..300_000));
        let last = rig.take(B, 1 + round);
        rig.free(last);
        rig.free(dirty);
        if round % 3 > 0 {
            rig.heap.trim();
            rig.check();
        }
        // First within the page on which the row ends, then beyond it.
        let size = random.usize(1..5000);
        let first = rig.allocate_zeroed(B, bytes(size)).unwrap();
        let second = rig.allocate_zeroed(B, bytes(200_000)).unwrap();
        rig.free(second);
        let grown = rig.resize(first, bytes(size + 100_000), true).unwrap();
        rig.free(grown);
    }
    rig.contents();
}

/// The kernel does not empty pages that are locked in memory.
#[test]
fn a08_zeroed_is_zero_after_trims_of_locked_pages() {
    const LARGE: usize = 4 << 20;
    let mut heap = Heap::new(Reserve::new().unwrap()).unwrap();
    heap.allocate(A, bytes(1000)).unwrap();
    for round in 1..4 {
        let dirty = heap.allocate(A, bytes(LARGE)).unwrap().cast::<u8>();
        // SAFETY: the block has so many bytes.
        unsafe { dirty.write_bytes(0xa5, LARGE) };
        let middle = dirty.map_addr(|at| at.saturating_add(LARGE / 2));
        // SAFETY: the page belongs to the block.
        if unsafe { libc::mlock(middle.as_ptr().cast(), 1) } != 0 {
            return;
        }
        // SAFETY: nobody uses it any more.
        unsafe { heap.deallocate(dirty, bytes(LARGE)) }.unwrap();
        // The first finds them so; others find nothing to do, or other pages.
        for _ in 0..round {
            heap.trim();
            heap.allocate(B, bytes(100_000)).unwrap();
            heap.release_tag(B).unwrap();
        }
        let fresh = heap.allocate_zeroed(A, bytes(LARGE)).unwrap();
        // SAFETY: the heap says that all of it is zero.
        let zeros = unsafe { fresh.as_ref() };
        assert!(zeros.iter().all(|byte| *byte == 0), "round {round}");
    }
}

/// A source of which all that is granted after a trim is zero, and which says no more than that.
#[derive(Debug)]
struct Fresh(Reserve);

// SAFETY: what it says is true of the reservation, whose memory it is.
unsafe impl Source for Fresh {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }

    fn limit(&self) -> usize {
        self.0.limit()
    }

    fn extend(&mut self, frontier: usize, to: usize) -> Result<(), Refusal> {
        self.0.extend(frontier, to)
    }

    unsafe fn trim(&mut self, to: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.0.trim(to) };
        0
    }

    fn zero_from(&self) -> usize {
        self.0.zero_from()
    }

    fn index_room(&self) -> usize {
        self.0.index_room()
    }
}

/// The page on which the row ends is not given back, and keeps its bytes.
#[test]
fn a08_zeroed_is_zero_where_a_trim_left_something() {
    let mut heap = Heap::new(Fresh(Reserve::new().unwrap())).unwrap();
    for size in [10_000, 100_000, 1_000_000] {
        heap.allocate(A, bytes(100)).unwrap();
        let dirty = heap.allocate(A, bytes(size)).unwrap().cast::<u8>();
        // SAFETY: the block has so many bytes.
        unsafe { dirty.write_bytes(0xa5, size) };
        // SAFETY: nobody uses it any more.
        unsafe { heap.deallocate(dirty, bytes(size)) }.unwrap();
        assert!(heap.trim() > 0);
        let fresh = heap.allocate_zeroed(A, bytes(size)).unwrap();
        // SAFETY: the heap says that all of it is zero.
        let zeros = unsafe { fresh.as_ref() };
        assert!(zeros.iter().all(|byte| *byte == 0), "{size}");
    }
}

/// In place, elsewhere, and behind somebody else's memory, where the source's is as dirty as it comes.
fn a08_what_grows_into_fresh_memory_is_zero<C: Config<Ground: Shaken>>() {
    let mut rig = Rig::<C>::new(1 << 20);
    let last = rig.take(A, 100);
    let grown = rig.resize(last, bytes(9000), true).unwrap();
    assert_eq!(grown, last, "in place");
    rig.take(B, 1);
    let moved = rig.resize(grown, bytes(30_000), true).unwrap();
    assert_ne!(moved, grown);
    rig.ground.stepped().intrude(5000);
    let behind = rig.resize(moved, bytes(70_000), true).unwrap();
    assert_ne!(behind, moved);
    rig.resize(behind, bytes(150_000), true).unwrap();
    assert!(rig.ground.stepped().foreign_is_untouched());
    rig.contents();
}

fn a10_growth_to_a_greater_alignment_keeps_the_contents<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 20);
    for shift in 0..=14 {
        for (old, new) in [(1, 1), (40, 40), (40, 41), (100, 1000), (1000, 1000)] {
            let first = rig.allocate(A, layout(old, 8)).unwrap();
            rig.take(B, shift + 1);
            let grown = rig.resize(first, layout(new, 1 << shift), false).unwrap();
            assert!(grown.addr().get().is_multiple_of(1 << shift));
            assert_eq!(rig.heap.tag_of(grown), Ok(A));
        }
        if shift % 3 == 2 {
            rig.release_one(A);
        }
    }
}

fn a11_many_small_blocks_go_in_any_order<C: Config>() {
    let many = C::MANY;
    let mut random = fastrand::Rng::with_seed(11);
    for order in 0..4 {
        let mut rig = Rig::<C>::new(many * 64 + 4096);
        let mut blocks: Vec<_> = (0..many)
            .map(|_| rig.heap.allocate(A, bytes(1)).unwrap().cast::<u8>())
            .collect();
        let row = rig.heap.end() - rig.heap.base();
        assert!(row <= 64 * many + 128, "64 bytes a block");
        match order {
            0 => {}
            1 => blocks.reverse(),
            2 => random.shuffle(&mut blocks),
            _ => {
                let (even, odd): (Vec<_>, Vec<_>) = blocks
                    .iter()
                    .enumerate()
                    .partition(|(index, _)| index % 2 == 0);
                blocks = even.into_iter().chain(odd).map(|(_, ptr)| *ptr).collect();
            }
        }
        for (index, block) in blocks.into_iter().enumerate() {
            rig.heap.free(block, bytes(1)).unwrap();
            if index % (many / 64) == 0 {
                rig.heap.check().unwrap();
            }
        }
        rig.check();
        assert_eq!(rig.heap.stats().unwrap().used.blocks, 0);
        let left = if C::SPLITS { 0 } else { many };
        assert_eq!(rig.heap.stats().unwrap().free.blocks, left, "order {order}");
    }
}

fn a12_a_request_at_the_edge_of_a_hole_leaves_no_rest_too_small<C: Config>() {
    for hole in [48, 64, 80, 96, 112, 144, 160, 480, 4096] {
        let usable = hole - HEADER;
        for size in usable.saturating_sub(140)..=usable + 100 {
            let mut rig = Rig::<C>::new(1 << 14);
            rig.take(A, 1);
            let place = rig.take(B, usable);
            rig.take(A, 1);
            assert_eq!(rig.block(place).size, hole);
            rig.free(place);
            let block = rig.take(A, size);
            let wanted = block_size(size);
            assert_eq!(block == place, wanted <= hole, "{size} into {hole}");
            let rest = hole.saturating_sub(wanted);
            let split = C::SPLITS && rest >= SMALLEST;
            let found = rig.block(block).size;
            match (block == place, split) {
                (true, false) => assert_eq!(found, hole),
                _ => assert_eq!(found, wanted),
            }
            let free = rig.heap.stats().unwrap().free.blocks;
            assert_eq!(free, usize::from(split || block != place));
        }
    }
}

fn a12_a_request_at_the_edge_of_the_room_fits_to_the_byte<C: Config>() {
    for off in 0..200 {
        let mut rig = Rig::<C>::new(8192);
        rig.take(A, 1);
        // Whatever the source can give at all is granted now.
        while rig.heap.allocate(B, bytes(1)).is_ok() {}
        let last = rig.heap.end();
        rig.heap.release_tag(B).unwrap();
        let room = rig.room() + if C::SPLITS { 0 } else { usize::MAX >> 1 };
        if !C::SPLITS {
            // Nothing goes back to the end: what is full stays full.
            assert_eq!(rig.heap.end(), last);
            rig.refuses(|heap| heap.allocate(A, bytes(17 + off)));
            continue;
        }
        let size = (room - HEADER + 100) - off;
        if block_size(size) <= room {
            rig.take(A, size);
            assert_eq!(room - rig.room(), block_size(size));
        } else {
            rig.refuses(|heap| heap.allocate(A, bytes(size)));
        }
    }
}

fn d04_reserved_tags_are_refused<C: Config>() {
    let mut rig = Rig::<C>::new(4096);
    let block = rig.take(A, 40);
    let highest = (0..16).map(|less| Tag::new(u64::MAX - less));
    for tag in highest.chain([Tag::FREE, Tag::HEAP, Tag::FOREIGN]) {
        let refused = Error::from(Misuse::ReservedTag { tag });
        assert_eq!(rig.refuses(|heap| heap.allocate(tag, bytes(1))), refused);
        assert_eq!(
            rig.refuses(|heap| heap.allocate_zeroed(tag, bytes(1))),
            refused
        );
        assert_eq!(rig.refuses(|heap| heap.retag(block, tag)), refused);
        assert_eq!(rig.refuses(|heap| heap.release_tag(tag)), refused);
    }
    for tag in [Tag::new(1), Tag::new(u64::MAX - 16)] {
        rig.allocate(tag, bytes(1)).unwrap();
    }
}
