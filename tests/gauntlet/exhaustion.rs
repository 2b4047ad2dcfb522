//! G: programs that tear a heap to pieces, and long runs.

use std::time::{Duration, Instant};

use core::ptr::NonNull;

use tagheap::{Error, Heap, Key, Reserve, Shortage, Tag};

use crate::support::{Careless, Config, Ground, HeapOf, Rig, block_size, bytes, heap_over, layout};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");

stamp!(buffer_and_reserve:
    g02_a_comb_is_filled_again,
    g02_a_staircase_leaves_nothing,
    g02_golden_sizes_leave_nothing,
    g02_robsons_program_stays_within_its_bound,
    g03_a_soak_leaves_the_heap_in_order,
    b01_what_the_source_never_has_is_refused_by_it,
);

/// A heap with room for about so many blocks of up to 1 KiB.
fn with_room<C: Config>(test: impl FnOnce(HeapOf<C>, usize)) {
    let blocks = C::MANY / 16;
    let ground = C::Ground::new(blocks * 1200 + (1 << 20));
    test(heap_over::<C>(ground.source()).unwrap(), blocks);
}

/// Bytes of the row behind its first blocks.
fn length<C: Config>(heap: &HeapOf<C>) -> usize {
    heap.end() - heap.base()
}

fn allocate<C: Config>(heap: &mut HeapOf<C>, tag: Tag, size: usize) -> NonNull<u8> {
    heap.allocate(tag, bytes(size)).unwrap().cast()
}

/// Under the rule that joins blocks an empty row is as long as a new one.
fn assert_empty<C: Config>(heap: &HeapOf<C>, new: usize) {
    heap.check().unwrap();
    assert_eq!(heap.stats().unwrap().used.blocks, 0);
    if C::SPLITS {
        assert_eq!(length::<C>(heap), new);
    }
}

/// Not by an index that would have to grow for it first.
fn b01_what_the_source_never_has_is_refused_by_it<C: Config>() {
    let mut rig = Rig::<C>::new(100_000);
    let last = rig.take(A, 100);
    let limit = isize::MAX as usize - rig.heap.end();
    for size in [200_000, 1 << 32, 1 << 46, 1 << 48, 1 << 60, limit] {
        for align in [1, 16, 64, 1 << 20] {
            let refused = |error| {
                let lacking = matches!(error, Error::OutOfMemory(lacking)
                    if lacking.cause == Shortage::Refused && lacking.size == size);
                assert!(lacking, "{error}");
            };
            let wanted = layout(size, align);
            refused(rig.refuses(|heap| heap.allocate(A, wanted)));
            refused(rig.refuses(|heap| heap.enlarge(last, bytes(100), wanted)));
        }
    }
    rig.take(B, 100);
}

fn g02_a_comb_is_filled_again<C: Config>() {
    with_room::<C>(|mut heap, count| {
        let new = length::<C>(&heap);
        // Odd, so that the last tooth stays.
        let teeth: Vec<_> = (0..count | 1)
            .map(|_| allocate::<C>(&mut heap, A, 64))
            .collect();
        let full = length::<C>(&heap);
        for gap in teeth.iter().skip(1).step_by(2) {
            heap.free(*gap, bytes(64)).unwrap();
        }
        // What is too large for a gap goes to the end; what fits fills them all, lowest first.
        let large = allocate::<C>(&mut heap, B, 100);
        assert!(large > *teeth.last().unwrap());
        for gap in teeth.iter().skip(1).step_by(2) {
            assert_eq!(allocate::<C>(&mut heap, A, 64), *gap);
        }
        heap.free(large, bytes(100)).unwrap();
        if C::SPLITS {
            assert_eq!(length::<C>(&heap), full);
        }
        heap.release_tag(A).unwrap();
        assert_empty::<C>(&heap, new);
    });
}

fn g02_a_staircase_leaves_nothing<C: Config>() {
    with_room::<C>(|mut heap, count| {
        let new = length::<C>(&heap);
        let count = count.min(1000);
        let sizes = || (1..=count).map(|step| step % 64 * 16 + 1);
        for round in 0..4 {
            let stairs: Vec<_> = sizes()
                .map(|size| allocate::<C>(&mut heap, A, size))
                .collect();
            let mut order: Vec<_> = stairs.into_iter().zip(sizes()).collect();
            match round {
                0 => {}
                1 => order.reverse(),
                2 => order.rotate_left(count / 2),
                _ => order.sort_by_key(|(_, size)| *size),
            }
            for (step, size) in order {
                heap.free(step, bytes(size)).unwrap();
            }
            assert_empty::<C>(&heap, new);
        }
    });
}

/// Sizes that follow the golden ratio never repeat, so no hole fits exactly.
fn g02_golden_sizes_leave_nothing<C: Config>() {
    with_room::<C>(|mut heap, count| {
        let new = length::<C>(&heap);
        let golden = |n: usize| 1 + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54);
        let mut live = Vec::new();
        for n in 0..count {
            let size = golden(n);
            live.push((allocate::<C>(&mut heap, A, size), size));
            if n % 3 == 2 {
                let (block, size) = live.swap_remove(golden(n) * 7 % live.len());
                heap.free(block, bytes(size)).unwrap();
            }
        }
        heap.check().unwrap();
        for (block, size) in live {
            heap.free(block, bytes(size)).unwrap();
        }
        assert_empty::<C>(&heap, new);
    });
}

/// Robson's adversary against first fit: sizes double, and of each generation those blocks stay that spoil
/// the next one's holes. By Robson (1977, "Worst case fragmentation of first fit and best fit storage allocation
/// strategies") the row needs at most about log2(n) times what is live, n being the largest size in units
/// of the smallest.
fn g02_robsons_program_stays_within_its_bound<C: Config>() {
    if !C::SPLITS {
        return;
    }
    with_room::<C>(|mut heap, count| {
        let new = length::<C>(&heap);
        let budget = count.min(4096) * block_size(16);
        let mut live: Vec<(NonNull<u8>, usize)> = Vec::new();
        let mut used = 0;
        let mut longest = 0;
        let generations = 5;
        for generation in 0..generations {
            // Blocks of 48 bytes doubled: sizes of whole blocks, headers included.
            let size = (block_size(16) << generation) - 32;
            while used + block_size(size) <= budget {
                live.push((allocate::<C>(&mut heap, A, size), size));
                used += block_size(size);
            }
            longest = length::<C>(&heap).max(longest);
            // One block stays in every stretch of the next generation's size: the holes are all too small.
            let stretch = block_size(size) * 2;
            let mut last = usize::MAX;
            live.sort_unstable();
            live.retain(|(block, size)| {
                let here = (block.addr().get() - heap.base()) / stretch;
                let stays = here != last;
                last = here;
                if !stays {
                    heap.free(*block, bytes(*size)).unwrap();
                    used -= block_size(*size);
                }
                stays
            });
            heap.check().unwrap();
        }
        assert!(longest - new > budget + budget / 4, "the program does harm");
        assert!(
            longest - new <= budget * (generations + 1),
            "{longest} of {budget}"
        );
        heap.release_tag(A).unwrap();
        assert_empty::<C>(&heap, new);
    });
}

/// How long the soak of G03 runs: a moment, or so many seconds as `TAGHEAP_SOAK` says.
fn soak() -> Duration {
    let seconds = tagheap_trace::soak();
    seconds.map_or(Duration::from_millis(100), |seconds| {
        Duration::from_secs(seconds.into())
    })
}

fn g03_a_soak_leaves_the_heap_in_order<C: Config>() {
    with_room::<C>(|mut heap, count| {
        let count = count.min(2000);
        let mut random = fastrand::Rng::with_seed(3);
        let mut live: Vec<(NonNull<u8>, usize)> = Vec::new();
        let end = Instant::now() + soak();
        let mut settled = None;
        for operation in 1_u64.. {
            if live.len() < count && (random.bool() || live.len() < count / 2) {
                let power = random.u32(..10);
                let size = random.usize(..1 << power);
                live.push((allocate::<C>(&mut heap, A, size), size));
            } else {
                let (block, size) = live.swap_remove(random.usize(..live.len()));
                heap.free(block, bytes(size)).unwrap();
            }
            if operation % 10_000 == 0 {
                heap.check().unwrap();
                // What the first rounds needed is enough for ever, within a part that chance decides. Where blocks
                // are reused whole, small requests keep large ones, and more are made for a long time.
                let settled = *settled.get_or_insert(length::<C>(&heap));
                let grown = length::<C>(&heap) > settled * 2;
                assert!(!grown || !C::SPLITS, "after {operation} operations");
                if Instant::now() >= end {
                    break;
                }
            }
        }
    });
}

/// The time of one search does not grow with the holes that are too small: counted in what it looks at, by
/// the answer's being the same as a scan's, and by a program that a scan could not finish.
#[test]
fn g02_a_million_holes_too_small_cost_no_search_its_time() {
    let source = Reserve::new().unwrap();
    let mut heap = Heap::with(
        source,
        tagheap::Split,
        tagheap::Directory::new(),
        Key::FIXED,
    )
    .unwrap();
    let teeth: Vec<_> = (0..1 << 20)
        .map(|_| heap.allocate(A, bytes(16)).unwrap().cast())
        .collect();
    for gap in teeth.iter().step_by(2) {
        heap.free(*gap, bytes(16)).unwrap();
    }
    // A scan would look at a million blocks for each of these: a hundred thousand million headers.
    for _ in 0..100_000 {
        let block = heap.allocate(B, bytes(17)).unwrap().cast();
        heap.free(block, bytes(17)).unwrap();
    }
    heap.check().unwrap();
}
