//! Somebody else moves the break (B06, B07, B08, B13).

use core::ffi::{c_int, c_void};
use core::ptr;

use tagheap::{Corruption, Error, Misuse, SMALLEST, State, Tag};

use crate::ground::{
    Blocks, Foreign, KIB, MIB, MINE, Mine, PAGE, brk, bytes, fences, fill_up, heap_at_the_break,
    in_a_copy, take_foreign, wait_for,
};

pub(crate) fn b06_foreign_bytes_are_fenced_and_never_touched() {
    let mut heap = heap_at_the_break();
    let mut blocks = Blocks::take(&mut heap, 20, 1000);
    let mut foreign: Vec<Foreign> = Vec::new();
    for (n, bytes) in [1, 100, PAGE, MIB].into_iter().enumerate() {
        foreign.push(take_foreign(bytes));
        // More than one step of growth: it happens behind the foreign bytes.
        blocks
            .0
            .push(Mine::take(&mut heap, 300 * KIB).expect("room"));
        heap.check().expect("a whole heap");

        let fences = fences(&heap);
        assert_eq!(fences.len(), n + 1);
        for (foreign, fence) in foreign.iter().zip(&fences) {
            assert!(foreign.is_inside(fence), "{foreign:x?} in {fence:x?}");
            foreign.assert_intact();
        }
        blocks.assert_intact();
        let address = ptr::NonNull::new(crate::ground::pointer(foreign[n].range.start)).unwrap();
        // SAFETY: nobody holds a block there, so nothing is taken from anybody.
        let freed = unsafe { heap.deallocate(address, self::bytes(1)) };
        assert!(
            matches!(freed, Err(Error::Misuse(Misuse::NotFromHere { .. }))),
            "{freed:?}"
        );
    }
    // What is written to all memory that the heap gives out from here on stays out of the fences.
    // SAFETY: the blocks are not used any more.
    unsafe { heap.release(MINE) }.expect("a whole row");
    let many = Blocks::take(&mut heap, 500, 3000);
    many.assert_intact();
    foreign.iter().for_each(Foreign::assert_intact);
    assert_eq!(fences(&heap).len(), 4);
    heap.check().expect("a whole heap");
}

pub(crate) fn b06_two_moves_between_growths_make_one_fence() {
    let mut heap = heap_at_the_break();
    let both = [take_foreign(100), take_foreign(5000)];
    Mine::take(&mut heap, 300 * KIB).expect("room");
    let [fence] = fences(&heap)[..] else {
        panic!("one fence: {}", heap.drawing());
    };
    assert!(both.iter().all(|foreign| foreign.is_inside(&fence)));
    both.iter().for_each(Foreign::assert_intact);
    heap.check().expect("a whole heap");
}

pub(crate) fn b06_a_fence_stays_apart_from_what_is_free_around_it() {
    let mut heap = heap_at_the_break();
    let before = Mine::take(&mut heap, 1000).expect("room");
    let foreign = take_foreign(100);
    let behind = Mine::take(&mut heap, 300 * KIB).expect("room");
    // Too large for what is free in front of the fence.
    let last = Mine::take(&mut heap, 300 * KIB).expect("room");
    before.give_back(&mut heap);
    behind.give_back(&mut heap);
    heap.check().expect("a whole heap");
    let states: Vec<State> = heap.walk().map(|block| block.unwrap().state).collect();
    let wanted = [
        State::Used(Tag::HEAP),
        State::Free,
        State::Used(Tag::FOREIGN),
        State::Free,
        State::Used(MINE),
    ];
    assert_eq!(states, wanted, "{}", heap.drawing());
    // The free memory in front of the fence is used again, up to the fence and no further.
    let free = heap
        .walk()
        .map(Result::unwrap)
        .find(|block| block.is_free())
        .unwrap();
    let filling = Mine::take(&mut heap, free.usable()).expect("room");
    assert_eq!(filling.address(), free.payload());
    filling.assert_intact();
    last.give_back(&mut heap);
    foreign.assert_intact();
    heap.check().expect("a whole heap");
    assert_eq!(
        heap.end(),
        fences(&heap)[0].end(),
        "the row ends with the fence"
    );
}

pub(crate) fn b06_the_row_goes_up_to_the_fence() {
    for gap in [0, 16, 32, 48, 64, 1000 * 16] {
        in_a_copy(move || {
            let mut heap = heap_at_the_break();
            let before = fill_up(&mut heap, gap);
            let limit = heap.end() + gap;
            let foreign = take_foreign(100);
            let behind = Mine::take(&mut heap, 300 * KIB).expect("room");
            heap.check().expect("a whole heap");

            let [fence] = fences(&heap)[..] else {
                panic!("one fence: {}", heap.drawing());
            };
            assert!(foreign.is_inside(&fence));
            // What is in front of it is a block, or too small for one and the fence's.
            let free = heap.stats().expect("a whole row").free;
            if gap < SMALLEST {
                assert_eq!((free.blocks, fence.at), (0, limit - gap));
            } else {
                assert_eq!((free.blocks, free.bytes, fence.at), (1, gap, limit));
            }
            before.assert_intact();
            behind.assert_intact();
            foreign.assert_intact();
        });
    }
}

pub(crate) fn b06_a_foreign_move_before_the_first_block_moves_the_base() {
    let source = tagheap::Break::take_over().expect("the break");
    let foreign = take_foreign(100);
    let mut heap = tagheap::Heap::new(source).expect("room");
    assert!(heap.base() >= foreign.range.end);
    Mine::take(&mut heap, 300 * KIB).expect("room");
    assert_eq!(fences(&heap), []);
    foreign.assert_intact();
    heap.check().expect("a whole heap");
}

pub(crate) fn b07_a_move_up_and_down_again_leaves_no_trace() {
    let mut heap = heap_at_the_break();
    let blocks = Blocks::take(&mut heap, 20, 1000);
    for bytes in [1, 100, PAGE, MIB] {
        let foreign = take_foreign(bytes);
        heap.check().expect("somebody else above is no damage");
        assert_eq!(brk(foreign.range.start), foreign.range.start);
        Mine::take(&mut heap, 300 * KIB).expect("room");
        heap.check().expect("a whole heap");
    }
    assert_eq!(fences(&heap), []);
    blocks.assert_intact();
    assert_eq!(
        heap.stats().unwrap().free.blocks,
        0,
        "each growth adjoins the last"
    );
}

pub(crate) fn b08_a_break_below_the_end_is_found_at_the_next_growth() {
    let mut heap = heap_at_the_break();
    let last = Mine::take(&mut heap, 300 * KIB).expect("room");
    // The last block's header stays; half of what it holds goes.
    let found = brk(last.address() + 150 * KIB);
    let before = heap.drawing().to_string();

    let answers = [
        heap.allocate(MINE, bytes(MIB)).map(|_| ()),
        // SAFETY: the block is held, and a refusal leaves it as it is.
        unsafe { heap.grow(last.at, last.layout, bytes(MIB)) }.map(|_| ()),
        heap.check().map_err(Error::from),
    ];
    for answer in answers {
        let Err(Error::Corruption(Corruption::BreakMoved {
            expected,
            found: seen,
        })) = answer
        else {
            panic!("{answer:?}");
        };
        assert_eq!(seen, found);
        assert!(expected > found);
    }
    assert_eq!(heap.drawing().to_string(), before);
    assert_eq!(brk(0), found, "a broken break is left alone");
    assert_eq!(heap.trim(), 0);
    assert_eq!(brk(0), found, "a broken break is left alone");
}

pub(crate) fn b08_a_break_below_blocks_is_found_by_the_check() {
    let mut heap = heap_at_the_break();
    Blocks::take(&mut heap, 100, 1000);
    let found = brk(heap.base() + 4 * PAGE);
    let answer = heap.check();
    assert!(
        matches!(answer, Err(Corruption::BreakMoved { found: seen, .. }) if seen == found),
        "{answer:?}"
    );
}

pub(crate) fn b08_a_break_below_the_base_is_found_by_the_check() {
    let mut heap = heap_at_the_break();
    Blocks::take(&mut heap, 100, 1000);
    // Not even the root block is mapped any more.
    let found = brk(heap.base());
    let answer = heap.check();
    assert!(
        matches!(answer, Err(Corruption::BreakMoved { found: seen, .. }) if seen == found),
        "{answer:?}"
    );
}

pub(crate) fn b13_a_child_in_our_memory_that_raises_the_break_is_fenced() {
    let mut heap = heap_at_the_break();
    let blocks = Blocks::take(&mut heap, 20, 1000);
    let before = brk(0);
    child_in_our_memory_moves_the_break(before + 3 * PAGE);
    assert_eq!(brk(0), before + 3 * PAGE, "the break is the parent's too");
    let foreign = Foreign::fill(before..brk(0));

    Mine::take(&mut heap, 300 * KIB).expect("room");
    heap.check().expect("a whole heap");
    assert!(foreign.is_inside(&fences(&heap)[0]), "{}", heap.drawing());
    foreign.assert_intact();
    blocks.assert_intact();
}

pub(crate) fn b13_a_child_in_our_memory_that_lowers_the_break_is_found() {
    let mut heap = heap_at_the_break();
    let last = Mine::take(&mut heap, 300 * KIB).expect("room");
    child_in_our_memory_moves_the_break(last.address() + 150 * KIB);
    let answer = heap.allocate(MINE, bytes(MIB));
    assert!(
        matches!(
            answer,
            Err(Error::Corruption(Corruption::BreakMoved { .. }))
        ),
        "{answer:?}"
    );
    assert!(matches!(heap.check(), Err(Corruption::BreakMoved { .. })));
}

/// A child as `vfork` makes it: it runs in this process's memory, whose break is its own.
fn child_in_our_memory_moves_the_break(to: usize) {
    extern "C" fn work(to: *mut c_void) -> c_int {
        let to = to.addr();
        i32::from(brk(to) != to)
    }
    let mut stack = vec![0_u128; 4 * KIB];
    let top = stack.as_mut_ptr_range().end.cast();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is large enough and aligned, and this process stands still until the child has ended.
    let child = unsafe { libc::clone(work, top, flags, ptr::without_provenance_mut(to)) };
    assert!(child > 0, "a child");
    wait_for(child);
}
