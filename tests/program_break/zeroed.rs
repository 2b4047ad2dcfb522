//! Zeroed memory is zero, whoever wrote there before (A08).

use tagheap::{Break, Heap};

use crate::ground::{KIB, Mine, PAGE, brk, heap_at_the_break, in_a_copy, take_foreign};

/// A zeroed block, which was zero.
fn take_zeroed(heap: &mut Heap<Break>, size: usize) -> Mine {
    Mine::take_zeroed(heap, size).expect("room")
}

pub(crate) fn a08_recycled_and_fresh_memory() {
    let mut heap = heap_at_the_break();
    let mut kept = Vec::new();
    for round in 0..40_usize {
        for size in [1, 16, 100, 1000, PAGE, 10_000, 200 * KIB] {
            kept.push(take_zeroed(&mut heap, size + round));
        }
        for n in 0..4 {
            let at = (round * 31 + n * 17) % kept.len();
            kept.swap_remove(at).give_back(&mut heap);
        }
    }
    kept.iter().for_each(Mine::assert_intact);
    heap.check().expect("a whole heap");
}

pub(crate) fn a08_memory_regrown_within_a_page() {
    let mut heap = heap_at_the_break();
    for size in [1, 100, 2000, 4000, 8000, 12_345] {
        let small = take_zeroed(&mut heap, size);
        let dirty = take_zeroed(&mut heap, 50 * KIB);
        dirty.give_back(&mut heap);
        assert!(heap.trim() > 0);
        assert!(brk(0) > heap.end(), "dirty bytes are left in the last page");
        // Less than the rest of the page, and more than it.
        take_zeroed(&mut heap, 500).give_back(&mut heap);
        take_zeroed(&mut heap, 60 * KIB).give_back(&mut heap);
        assert!(heap.trim() > 0);
        take_zeroed(&mut heap, 300 * KIB).give_back(&mut heap);
        small.give_back(&mut heap);
        heap.check().expect("a whole heap");
    }
}

pub(crate) fn a08_a_page_that_was_dirty_before_us() {
    for odd in [100, 1000, 3000] {
        in_a_copy(move || {
            // SAFETY: glibc is asked for memory by its own means, before the take-over.
            let dirty = unsafe { libc::sbrk(8192) };
            // SAFETY: glibc has just given these bytes.
            unsafe { dirty.write_bytes(0xff, 8192) };
            // SAFETY: nobody uses them any more.
            unsafe { libc::sbrk(odd - 8192) };
            let mut heap = heap_at_the_break();
            take_zeroed(&mut heap, 500);
            take_zeroed(&mut heap, 2 * PAGE);
            heap.check().expect("a whole heap");
        });
    }
}

pub(crate) fn a08_a_page_that_was_dirty_behind_a_fence() {
    let mut heap = heap_at_the_break();
    let small = take_zeroed(&mut heap, 500);
    let foreign = take_foreign(3 * PAGE);
    // Somebody else gives all but 100 bytes back; the rest of their page stays dirty.
    assert_eq!(brk(foreign.range.start + 100), foreign.range.start + 100);
    take_zeroed(&mut heap, 300 * KIB);
    take_zeroed(&mut heap, 500);
    small.assert_intact();
    heap.check().expect("a whole heap");
}
