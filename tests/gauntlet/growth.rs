//! B: the end of the row, and a source that refuses, is overtaken, or shrinks.

use core::ptr::NonNull;

use tagheap::{
    Corruption, Error, HEADER, Heap, OutOfMemory, Refusal, Reserve, SMALLEST, Shortage, Source,
    State, Tag, UNIT,
};

use crate::support::{Careless, Config, Ground, Rig, Stepped, bytes, heap_over, layout};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");

stamp!(buffer_and_reserve:
    b01_a_gap_in_front_of_an_aligned_block_is_a_block,
    b14_a_huge_growth_that_fails_leaves_all_as_it_was,
);

stamp!(stepped:
    b02_a_refusal_leaves_blocks_and_free_space_usable,
    b03_a_refusal_is_not_remembered,
    b04_each_growth_may_be_refused,
    b06_foreign_memory_is_fenced_and_left_alone,
    b06_foreign_memory_behind_a_limit_within_a_unit_is_fenced,
    b06_a_block_does_not_grow_across_foreign_memory,
    b07_foreign_memory_that_goes_again_leaves_nothing_behind,
    b08_a_break_below_the_row_is_corruption,
    b05_being_overtaken_is_survived_until_it_does_not_stop,
    b10_a_source_that_grants_nothing_makes_no_heap,
    b10_foreign_memory_before_the_first_block_is_never_the_row,
    b11_a_trim_never_takes_foreign_memory_away,
);

fn b01_a_gap_in_front_of_an_aligned_block_is_a_block<C: Config>() {
    for shift in 5..=12 {
        let align = 1 << shift;
        // Every offset of the row's end from the alignment, so every gap there can be.
        for offset in 0..(align / UNIT).min(64) {
            let mut rig = Rig::<C>::new(1 << 16);
            rig.take(A, offset * UNIT);
            let first = rig.allocate(B, layout(64, align)).unwrap();
            let second = rig.allocate(B, layout(64, align)).unwrap();
            assert_ne!(first, second);
            let blocks = rig.blocks();
            assert!(blocks.iter().all(|block| block.size >= SMALLEST));
            // The next slot is taken, not a later one.
            let before = blocks[1].end() + HEADER;
            let gap = first.addr().get() - before;
            assert!(
                gap < align + SMALLEST && (gap == 0 || gap >= SMALLEST),
                "{gap}"
            );
            let gap = second.addr().get() - (first.addr().get() + 64 + HEADER);
            assert!(
                gap < align + SMALLEST && (gap == 0 || gap >= SMALLEST),
                "{gap}"
            );
            rig.free(first);
            rig.free(second);
        }
    }
}

fn b14_a_huge_growth_that_fails_leaves_all_as_it_was<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 16);
    for round in 0..8 {
        let block = rig.take(A, round);
        for huge in [1 << 24, 1 << 40, isize::MAX as usize - 4096] {
            for align in [1, 64, 4096] {
                let old = bytes(round);
                let error = rig.refuses(|heap| heap.enlarge(block, old, layout(huge, align)));
                assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
                rig.refuses(|heap| heap.enlarge_zeroed(block, old, layout(huge, align)));
                rig.refuses(|heap| heap.allocate(B, layout(huge, align)));
            }
        }
        let more = rig.take(B, 100);
        rig.resize(block, bytes(round + 200), false).unwrap();
        rig.free(more);
    }
}

fn b02_a_refusal_leaves_blocks_and_free_space_usable<C: Config<Ground = Stepped>>() {
    let mut rig = Rig::<C>::new(1 << 16);
    let hole = rig.take(B, 1000);
    rig.take(A, 40);
    rig.free(hole);
    rig.ground.knobs.forbid();
    let error = rig.refuses(|heap| heap.allocate(A, bytes(5000)));
    let refused = OutOfMemory {
        tag: A,
        size: 5000,
        align: 1,
        cause: Shortage::Refused,
    };
    assert_eq!(error, Error::from(refused));
    assert_eq!(rig.take(A, 100), hole);
}

fn b03_a_refusal_is_not_remembered<C: Config<Ground = Stepped>>() {
    let mut rig = Rig::<C>::new(1 << 20);
    for round in 1..20 {
        let last = rig.take(A, 10);
        let room = rig.room();
        rig.ground.knobs.forbid();
        rig.refuses(|heap| heap.allocate(A, bytes(room + round)));
        rig.refuses(|heap| heap.allocate(A, layout(room, 512)));
        rig.refuses(|heap| heap.enlarge(last, bytes(10), bytes(room + 100)));
        rig.ground.knobs.allow();
        rig.take(A, room + round);
    }
    rig.contents();
}

/// A program of forty operations that grow the row; the growth numbered n is refused, once or for good.
fn b04_each_growth_may_be_refused<C: Config<Ground = Stepped>>() {
    for count in [1, usize::MAX] {
        for refused in 0.. {
            let mut rig = Rig::<C>::new(1 << 16);
            let first = rig.ground.knobs.asked.get() + refused;
            rig.ground.knobs.refuse.set((first, count));
            let mut failures = 0;
            for step in 0..40 {
                let answer = rig.attempt(|rig| grow_the_row(rig, step));
                if let Err(error) = answer {
                    assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
                    failures += 1;
                }
                rig.check();
                rig.contents();
            }
            let reached = rig.ground.knobs.asked.get() > first;
            if count == 1 {
                // A block that may not grow at the end may still move into a hole.
                assert!(failures <= usize::from(reached), "growth {refused}");
            } else {
                assert_eq!(failures > 0, reached, "growth {refused} and all after it");
            }
            rig.ground.knobs.allow();
            (0..40).for_each(|step| grow_the_row(&mut rig, step).unwrap());
            if !reached {
                assert!(refused > 10, "the program grows the row often");
                break;
            }
        }
    }
}

fn grow_the_row<C: Config>(rig: &mut Rig<C>, step: usize) -> Result<(), Error> {
    let size = 50 + 37 * (step % 11);
    let align = 1 << (step % 4 * 3);
    let last = rig.live.values().next_back().copied();
    let first = rig.live.values().next().copied();
    match (step % 5, last, first) {
        (1, Some(last), _) => {
            let new = layout(last.layout.size() + size, last.layout.align());
            rig.resize(last.ptr, new, step.is_multiple_of(2))?;
        }
        (3, _, Some(first)) => {
            rig.resize(first.ptr, layout(first.layout.size() + size, align), false)?;
        }
        _ => {
            rig.allocate(A, layout(size, align))?;
        }
    }
    Ok(())
}

fn b06_foreign_memory_is_fenced_and_left_alone<C: Config<Ground = Stepped>>() {
    for foreign in [1, 8, 15, 16, 17, 100, 4096, 10_000] {
        for tail in 0..20 {
            let mut rig = Rig::<C>::new(1 << 16);
            let first = rig.take(A, tail * UNIT);
            let room = rig.room();
            rig.ground.intrude(foreign);
            rig.check();
            let second = rig.take(A, room + 1);
            let (from, to) = rig.ground.foreign()[0];
            let blocks = rig.blocks();
            let fences: Vec<_> = blocks
                .iter()
                .filter(|block| block.state == State::Used(Tag::FOREIGN))
                .collect();
            let [fence] = fences[..] else {
                panic!("one fence: {blocks:?}")
            };
            assert!(fence.payload() <= from && to <= fence.end());
            assert!(second.addr().get() > to);
            // What was left of ours in front of it is free, if it can be a block.
            let rest = blocks.iter().find(|block| block.is_free());
            assert_eq!(
                rest.map(|rest| rest.size),
                (room >= SMALLEST).then_some(room)
            );
            if let Some(rest) = rest.filter(|rest| rest.usable() < 400) {
                let size = rest.usable();
                let third = rig.take(B, size);
                assert_eq!(third.addr().get(), rest.payload());
                rig.free(third);
            }
            // A fence is nobody's block, and does not merge with what is freed around it.
            let inside = rig.pointer(fence.payload());
            assert!(rig.heap.tag_of(inside).is_err());
            let fence = *fence;
            rig.free(first);
            rig.release_one(A);
            rig.free_everything_and_grow(fence.end());
            assert_eq!(rig.heap.stats().unwrap().own.blocks, 2);
            assert_eq!(rig.heap.stats().unwrap().own.bytes, 128 + fence.size);
            assert!(rig.ground.foreign_is_untouched());
        }
    }
}

impl<C: Config<Ground = Stepped>> Rig<C> {
    fn free_everything_and_grow(&mut self, fence: usize) {
        for size in [1, 300, 3000] {
            let block = self.take(A, size);
            let zeroed = self.allocate_zeroed(A, bytes(2 * size)).unwrap();
            let grown = self.resize(block, bytes(3 * size), true).unwrap();
            self.free(zeroed);
            self.free(grown);
        }
        self.release(|_| true);
        assert!(
            self.heap.end() >= fence,
            "the row ends behind its last fence"
        );
    }
}

/// What a source has granted need not be whole units.
fn b06_foreign_memory_behind_a_limit_within_a_unit_is_fenced<C: Config<Ground = Stepped>>() {
    for (short, size) in (1..UNIT).flat_map(|short| [10, 60, 100].map(|size| (short, size))) {
        let ground = Stepped::new(1 << 14);
        ground.knobs.short.set(short);
        let mut heap = heap_over::<C>(ground.source()).unwrap();
        for _ in 0..3 {
            heap.allocate(A, bytes(size)).unwrap();
            ground.intrude(100);
            let behind = heap.allocate(A, bytes(1000)).unwrap().cast::<u8>();
            assert!(behind.addr().get() > ground.foreign().last().unwrap().1);
            heap.check().unwrap();
        }
        assert_eq!(heap.blocks_of(Tag::FOREIGN).count(), 3);
        heap.release_tag(A).unwrap();
        heap.trim();
        heap.check().unwrap();
        assert!(ground.foreign_is_untouched());
    }
}

fn b06_a_block_does_not_grow_across_foreign_memory<C: Config<Ground = Stepped>>() {
    for size in [10, 200, 1000] {
        let mut rig = Rig::<C>::new(1 << 16);
        let block = rig.take(A, size);
        let room = rig.room();
        rig.ground.intrude(500);
        let new = bytes(size + room + 17);
        let moved = rig.resize(block, new, true).unwrap();
        assert!(moved.addr().get() > rig.ground.foreign()[0].1);
        // With foreign memory in the way twice, refused and granted.
        rig.ground.intrude(100);
        rig.ground.knobs.forbid();
        rig.refuses(|heap| heap.enlarge(moved, new, bytes(20_000)));
        rig.ground.knobs.allow();
        rig.resize(moved, bytes(20_000), false).unwrap();
        assert_eq!(rig.heap.stats().unwrap().own.blocks, 3);
        assert!(rig.ground.foreign_is_untouched());
    }
}

fn b07_foreign_memory_that_goes_again_leaves_nothing_behind<C: Config<Ground = Stepped>>() {
    let mut rig = Rig::<C>::new(1 << 16);
    rig.take(A, 100);
    let top = rig.ground.knobs.top.get();
    rig.ground.intrude(1000);
    rig.check();
    rig.ground.knobs.top.set(top);
    rig.take(A, 1000);
    assert_eq!(rig.heap.stats().unwrap().own.blocks, 1);
}

fn b08_a_break_below_the_row_is_corruption<C: Config<Ground = Stepped>>() {
    let mut rig = Rig::<C>::new(1 << 16);
    let block = rig.take(A, 1000);
    let room = rig.room();
    let expected = rig.ground.knobs.top.get();
    for less in [1, 16, 100, 1000] {
        let found = expected - less;
        let moved = Corruption::BreakMoved { expected, found };
        rig.ground.knobs.top.set(found);
        assert_eq!(rig.heap.check(), Err(moved));
        for op in 0..3 {
            let answer = rig.leaves(|heap| match op {
                0 => heap.allocate(A, bytes(room + 1)).map(|block| block.cast()),
                1 => heap.enlarge(block, bytes(1000), bytes(1000 + room + 17)),
                _ => heap.enlarge(block, bytes(1000), layout(1000, 1 << 13)),
            });
            assert_eq!(answer, Err(moved.into()), "operation {op}");
        }
        rig.ground.knobs.top.set(expected);
        rig.check();
        rig.contents();
    }
    rig.take(A, 3000);
}

fn b05_being_overtaken_is_survived_until_it_does_not_stop<C: Config<Ground = Stepped>>() {
    for times in 0..20 {
        for bytes_each in [8, 64, 1000] {
            let mut rig = Rig::<C>::new(1 << 16);
            rig.take(A, 100);
            rig.ground.knobs.overtake.set((times, bytes_each));
            let (base, end) = (rig.heap.base(), rig.heap.end());
            let row = rig.read(base, end - base);
            match rig.heap.allocate(A, bytes(1000)) {
                Ok(block) => {
                    assert!(times < 10, "the attempts are counted");
                    rig.heap.free(block.cast(), bytes(1000)).unwrap();
                }
                Err(error) => {
                    assert!(times > 2 && matches!(error, Error::OutOfMemory(_)));
                    assert_eq!((rig.heap.end(), rig.read(base, end - base)), (end, row));
                    rig.ground.knobs.overtake.set((0, 0));
                }
            }
            rig.check();
            rig.take(A, 2000);
            let fences = rig.heap.stats().unwrap().own.blocks - 1;
            assert_eq!(fences, usize::from(times > 0), "one around all of it");
            assert!(rig.ground.foreign_is_untouched());
            rig.contents();
        }
    }
}

fn b10_a_source_that_grants_nothing_makes_no_heap<C: Config<Ground = Stepped>>() {
    let ground = Stepped::new(1 << 12);
    let source = ground.source();
    let source_room = source.index_room();
    ground.knobs.forbid();
    let error = heap_over::<C>(source).map(|_| ()).unwrap_err();
    let refused = OutOfMemory {
        tag: Tag::HEAP,
        size: 128 + source_room,
        align: 16,
        cause: Shortage::Refused,
    };
    assert_eq!(error, Error::from(refused));
    ground.knobs.allow();
    assert!(heap_over::<C>(ground.source()).is_ok());
    for length in 0..300 {
        let ground = Stepped::new(length);
        let enough = ground.source();
        let granted = heap_over::<C>(enough).is_ok();
        assert_eq!(
            granted,
            (length + 2 * UNIT) / UNIT * UNIT >= UNIT + 128 + HEADER
        );
    }
}

/// A source without memory that wants more of it for indexes than there are addresses.
#[derive(Debug)]
struct Greedy;

// SAFETY: nothing is ever granted.
unsafe impl Source for Greedy {
    fn base(&self) -> NonNull<u8> {
        NonNull::<u128>::dangling().cast()
    }

    fn limit(&self) -> usize {
        self.base().addr().get()
    }

    fn extend(&mut self, _frontier: usize, _to: usize) -> Result<(), Refusal> {
        Err(Refusal::NoMemory)
    }

    unsafe fn trim(&mut self, _to: usize) -> usize {
        usize::MAX
    }

    fn zero_from(&self) -> usize {
        usize::MAX
    }

    fn index_room(&self) -> usize {
        usize::MAX - 15
    }
}

#[test]
fn b10_room_for_indexes_beyond_all_addresses_is_refused() {
    let error = Heap::new(Greedy).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory(lacking) if lacking.cause == Shortage::Refused));
}

/// A source whose base does not follow its frontier has no place for the root block then.
fn b10_foreign_memory_before_the_first_block_is_never_the_row<C: Config<Ground = Stepped>>() {
    for foreign in [1, 16, 100, 500] {
        let ground = Stepped::new(1 << 12);
        let source = ground.source();
        ground.intrude(foreign);
        let error = heap_over::<C>(source).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
        assert!(ground.foreign_is_untouched(), "{foreign} bytes");
        let source = ground.source();
        ground.knobs.overtake.set((1, foreign));
        assert!(heap_over::<C>(source).is_err());
        assert!(ground.foreign_is_untouched(), "{foreign} bytes");
    }
}

/// More than 128 MiB go back unasked, unless as much was given back before and needed again.
#[test]
fn b11_what_was_given_back_in_vain_is_kept() {
    const MIB: usize = 1 << 20;
    let kept_after = |sizes: &[usize]| {
        let mut heap = Heap::new(Reserve::new().unwrap()).unwrap();
        for size in sizes {
            heap.allocate(A, bytes(size * MIB)).unwrap();
            // SAFETY: nobody uses it.
            unsafe { heap.release(A) }.unwrap();
            heap.check().unwrap();
        }
        heap.trim() / MIB
    };
    for (sizes, kept) in [
        (&[100][..], 100),
        (&[200], 32),
        (&[200, 200], 200),
        (&[200, 200, 200], 200),
        (&[200, 200, 500], 32),
        (&[200, 200, 500, 500], 500),
    ] {
        let found = kept_after(sizes);
        assert!(
            (kept - 1..kept * 5 / 4 + 2).contains(&found),
            "{sizes:?}: {found} MiB"
        );
    }
}

fn b11_a_trim_never_takes_foreign_memory_away<C: Config<Ground = Stepped>>() {
    let mut rig = Rig::<C>::new(1 << 16);
    let block = rig.take(A, 1000);
    let large = rig.take(B, 5000);
    rig.free(large);
    let room = rig.room();
    assert_eq!(
        rig.heap.trim(),
        if C::SPLITS {
            room
        } else {
            room.min(rig.room() + room)
        }
    );
    rig.check();
    assert_eq!(rig.heap.trim(), 0);
    rig.take(B, 3000);
    rig.ground.intrude(100);
    assert_eq!(rig.heap.trim(), 0, "foreign memory lies above");
    rig.check();
    rig.free(block);
    rig.take(A, 9000);
    assert!(rig.ground.foreign_is_untouched());
}
