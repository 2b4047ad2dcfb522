//! Who owns a tag, and in which order pools, values and tags may go: rows D05 to D11 of the gauntlet.
//!
//! D08, a pool that goes while its values are in use, and D10, pools in the wrong thread, do not compile: see
//! `tests/lifetimes`. D11 for every pair of one kind is the battery's `keeps_apart`.

use core::alloc::Layout;
use core::cell::RefCell;
use core::ptr::NonNull;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use tagheap::{
    Bump, Error, Heap, Kind, LocalHeap, Misuse, Own, Pool, Reserve, Share, SharedHeap, Tag, Typed,
};

use crate::in_reserve;

const PARENT: Tag = Tag::named("parent");
const CHILD: Tag = Tag::named("child");
const WORD: Layout = Layout::new::<u64>();

#[test]
fn d05_a_pool_whose_tag_was_released_by_hand_frees_nothing_of_the_next() {
    in_reserve(|heap| {
        let stale = Pool::new(heap, PARENT);
        let piece = stale.allocate(WORD).unwrap().cast();
        // SAFETY: nobody uses the piece, and the pool is dropped before the tag is taken again.
        unsafe { heap.release(PARENT) }.unwrap();
        // SAFETY: the pool must notice that the block is gone.
        let refused = unsafe { stale.deallocate(piece, WORD) };
        assert!(
            matches!(refused, Err(Error::Misuse(Misuse::Released { .. }))),
            "{refused:?}"
        );
        assert!(stale.check().is_err(), "its blocks are gone");
        drop(stale);
        let next = Pool::new(heap, PARENT);
        next.alloc(1).unwrap();
        assert_eq!(heap.stats_of(PARENT).unwrap().blocks, 1);
    });
}

#[test]
fn d05_every_power_of_two_is_a_tag_of_its_own() {
    in_reserve(|heap| {
        let pools: Vec<_> = (0..64)
            .map(|power| Pool::new(heap, Tag::new(1 << power)))
            .collect();
        for pool in &pools {
            pool.alloc(pool.tag().number()).unwrap();
        }
        for pool in pools {
            let tag = pool.tag();
            drop(pool);
            assert_eq!(heap.stats_of(tag).unwrap().blocks, 0);
            let again = Pool::new(heap, tag);
            again.alloc(0).unwrap();
        }
        heap.look(|heap| heap.check()).unwrap().unwrap();
    });
}

#[test]
fn d07_parent_and_child_pools_go_in_either_order() {
    in_reserve(|heap| {
        for parent_first in [true, false] {
            let parent = Bump::new(Pool::new(heap, PARENT));
            let child = Pool::new(heap, CHILD);
            parent.alloc(1).unwrap();
            child.alloc(2).unwrap();
            if parent_first {
                drop(parent);
                assert_eq!(heap.stats_of(CHILD).unwrap().blocks, 1);
                drop(child);
            } else {
                drop(child);
                assert_eq!(heap.stats_of(PARENT).unwrap().blocks, 1);
                drop(parent);
            }
            heap.look(|heap| heap.check()).unwrap().unwrap();
        }
    });
}

/// A value that, when it goes, drops another pool, which releases its tag.
struct Holder<'h> {
    pool: RefCell<Option<Pool<&'h LocalHeap<Reserve>>>>,
}

impl Drop for Holder<'_> {
    fn drop(&mut self) {
        self.pool.take();
    }
}

#[test]
fn d07_a_destructor_in_one_pool_releases_another() {
    in_reserve(|heap| {
        let parent = Pool::new(heap, PARENT);
        let child = Pool::new(heap, CHILD);
        child.alloc([0_u8; 100]).unwrap();
        let holder = parent.own(Holder {
            pool: RefCell::new(Some(child)),
        });
        drop(holder.unwrap());
        assert_eq!(heap.stats_of(CHILD).unwrap().blocks, 0);
        assert_eq!(heap.stats_of(PARENT).unwrap().blocks, 0);
        heap.look(|heap| heap.check()).unwrap().unwrap();
    });
}

#[test]
fn d07_a_pool_dropped_while_its_heap_is_looked_at_leaves_its_blocks() {
    in_reserve(|heap| {
        let pool = Pool::new(heap, PARENT);
        pool.alloc(1).unwrap();
        heap.look(|_| drop(pool)).unwrap();
        assert_eq!(heap.stats_of(PARENT).unwrap().blocks, 1);
        let refused = Pool::new(heap, PARENT).alloc(2).map(|_| ());
        assert_eq!(refused, Err(Misuse::TagInUse { tag: PARENT }.into()));
        // SAFETY: nobody is left to use it.
        unsafe { heap.release(PARENT) }.unwrap();
        Pool::new(heap, PARENT).alloc(2).unwrap();
    });
}

#[test]
fn d09_a_destructor_that_panics_neither_leaks_nor_repeats_the_others() {
    struct Loud<'a>(usize, &'a RefCell<Vec<usize>>);
    impl Drop for Loud<'_> {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
            assert!(self.0 != 1, "as the test wants it");
        }
    }
    in_reserve(|heap| {
        let dropped = RefCell::new(Vec::new());
        let pool = Pool::new(heap, PARENT);
        let owners: Vec<Own<'_, Loud<'_>, _>> = (0..3)
            .map(|n| pool.own(Loud(n, &dropped)).unwrap())
            .collect();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(owners))).is_err());
        assert_eq!(*dropped.borrow(), [0, 1, 2], "each once");
        assert_eq!(pool.usage().unwrap().live(), 0);
        assert_eq!(heap.stats_of(PARENT).unwrap().blocks, 0);
    });
}

#[test]
fn d11_a_piece_of_one_pool_is_no_other_kinds() {
    in_reserve(|heap| {
        let pool = Pool::new(heap, PARENT);
        let bump = Bump::new(Pool::new(heap, CHILD));
        let (block, piece) = (pool.allocate(WORD).unwrap(), bump.allocate(WORD).unwrap());
        // SAFETY: the bump's piece: the pool must refuse it.
        let refused = unsafe { pool.deallocate(piece.cast(), WORD) };
        assert!(matches!(refused, Err(Error::Misuse(_))), "{refused:?}");
        // SAFETY: the pool's block: the bump must refuse it.
        let refused = unsafe { bump.deallocate(block.cast(), WORD) };
        let address = block.addr().get();
        assert_eq!(refused, Err(Misuse::NotFromHere { address }.into()));
        // SAFETY: the pool's block: grown by nobody else.
        let refused = unsafe { bump.grow(block.cast(), WORD, Layout::new::<[u64; 2]>()) };
        assert_eq!(refused, Err(Misuse::NotFromHere { address }.into()));
        let other = Pool::new(heap, Tag::new(9));
        // SAFETY: the pool's block: grown by nobody else.
        let refused = unsafe { other.grow(block.cast(), WORD, Layout::new::<[u64; 2]>()) };
        assert!(matches!(
            refused,
            Err(Error::Misuse(Misuse::TagMismatch { .. }))
        ));
    });
}

#[test]
fn a_callback_that_comes_back_to_the_heap_is_told_so() {
    in_reserve(|heap| {
        let inside = heap.look(|_| heap.allocate(PARENT, WORD)).unwrap();
        assert_eq!(inside, Err(Misuse::Reentered.into()));
        let pool = Pool::new(heap, PARENT);
        let inside = heap.look(|_| pool.allocate(WORD)).unwrap();
        assert_eq!(inside, Err(Misuse::Reentered.into()));
        assert_eq!(pool.usage().unwrap().failures, 1);
        pool.allocate(WORD).unwrap();
    });
}

#[test]
fn pools_of_one_heap_show_in_one_table() {
    let heap = LocalHeap::new(Heap::new(Reserve::new().unwrap()).unwrap());
    let pool = Pool::new(&heap, PARENT);
    let bump = Bump::new(Pool::new(&heap, CHILD));
    pool.alloc(1_u64).unwrap();
    bump.alloc(1_u64).unwrap();
    let table = heap.look(|heap| heap.table().to_string()).unwrap();
    assert!(
        table.contains("parent") && table.contains("child"),
        "{table}"
    );
    let heap = {
        drop((pool, bump));
        heap.into_inner()
    };
    heap.check().unwrap();
}

/// What a heap does for whoever has it alone, it does for several who share it.
fn marks_and_moves_blocks(heap: &impl Share) {
    let stats = |tag| heap.stats_of(tag).unwrap();
    let take = |tag| heap.allocate(tag, WORD).unwrap().cast();
    let old = take(PARENT);
    let mark = heap.mark().unwrap();
    let young = take(PARENT);
    assert_eq!((stats(PARENT).blocks, stats(PARENT).peak), (2, 96));
    // SAFETY: nobody uses the blocks, and no pool owns a tag.
    let released = unsafe { heap.release_since(PARENT, mark) }.unwrap();
    assert_eq!(released.blocks, 1);
    // SAFETY: the block is gone, which must be noticed.
    let again = unsafe { heap.deallocate(young, WORD) };
    assert!(matches!(again, Err(Error::Misuse(_))), "{again:?}");
    // SAFETY: no pool owns a tag.
    unsafe { heap.retag(old, CHILD) }.unwrap();
    heap.reset_peak(PARENT).unwrap();
    assert_eq!((stats(PARENT).blocks, stats(PARENT).peak), (0, 0));
    assert_eq!((stats(CHILD).blocks, stats(PARENT).allocations), (1, 2));
    // SAFETY: as above.
    let moved = unsafe { heap.merge(CHILD, PARENT) }.unwrap();
    assert_eq!((moved.blocks, moved.bytes), (1, 48));
    // SAFETY: as above.
    unsafe { heap.release(PARENT) }.unwrap();
    heap.forget(PARENT).unwrap();
    assert_eq!(stats(PARENT).allocations, 0, "forgotten");
    heap.look(|heap| heap.check()).unwrap().unwrap();
}

#[test]
fn a_heap_in_several_hands_has_marks_and_moves_blocks() {
    in_reserve(marks_and_moves_blocks);
    marks_and_moves_blocks(&crate::threads::shared());
}

/// As above, for blocks that change their size, and for sets of tags.
fn resizes_and_releases_sets(heap: &impl Share) {
    let more = Layout::new::<[u64; 100]>();
    let word = |block: NonNull<u8>, index| {
        let at = block.cast::<u64>().as_ptr().wrapping_add(index);
        // SAFETY: within the block, and written before.
        unsafe { at.read() }
    };
    let block = heap.allocate_zeroed(PARENT, WORD).unwrap().cast();
    assert_eq!(word(block, 0), 0);
    // SAFETY: as large, and the test's.
    unsafe { block.cast::<u64>().write(7) };
    // SAFETY: the test's block.
    let block = unsafe { heap.grow(block, WORD, more) }.unwrap().cast();
    // SAFETY: the test's block.
    let block = unsafe { heap.shrink(block, more, WORD) }.unwrap().cast();
    // SAFETY: the test's block.
    let block = unsafe { heap.grow_zeroed(block, WORD, more) }
        .unwrap()
        .cast();
    assert_eq!((word(block, 0), word(block, 1), word(block, 99)), (7, 0, 0));
    assert_eq!(heap.stats_of(PARENT).unwrap().requested, more.size());
    // SAFETY: another's tag, which must be noticed.
    let refused = unsafe { heap.deallocate_in(CHILD, block, more) };
    assert!(matches!(
        refused,
        Err(Error::Misuse(Misuse::TagMismatch { .. }))
    ));
    // SAFETY: the test's block.
    unsafe { heap.deallocate_in(PARENT, block, more) }.unwrap();

    let third = Tag::new(3);
    for tag in [PARENT, CHILD, third, PARENT] {
        heap.allocate(tag, WORD).unwrap();
    }
    let pick = |tag| {
        let busy = heap.look(|_| ());
        assert_eq!(busy, Err(Misuse::Reentered));
        tag != third
    };
    // SAFETY: nobody uses the blocks, and no pool owns a tag.
    let gone = unsafe { heap.release_where(pick) }.unwrap();
    assert_eq!((gone.blocks, gone.bytes), (3, 3 * 48));
    assert_eq!(heap.stats_of(third).unwrap().blocks, 1);
    heap.look(|heap| heap.check()).unwrap().unwrap();
}

#[test]
fn a_heap_in_several_hands_resizes_blocks_and_releases_sets_of_tags() {
    in_reserve(resizes_and_releases_sets);
    resizes_and_releases_sets(&crate::threads::shared());
}

/// Several pools of one struct, whichever goes first; each releases its own.
#[test]
fn a_heap_goes_with_the_last_of_the_pools_that_own_it() {
    struct Both {
        first: Bump<Rc<LocalHeap<Reserve>>>,
        second: Pool<Rc<LocalHeap<Reserve>>>,
    }
    for first_goes in [true, false] {
        let heap = Rc::new(LocalHeap::new(Heap::new(Reserve::new().unwrap()).unwrap()));
        let seen = Rc::downgrade(&heap);
        let mut both = Both {
            first: Bump::new(Pool::new(heap.clone(), PARENT)),
            second: Pool::new(heap, CHILD),
        };
        assert_eq!(both.first.alloc_str("harbour").unwrap(), "harbour");
        both.second.alloc([1_u8; 5000]).unwrap();
        both.first.reset().unwrap();
        both.first.alloc(3).unwrap();
        assert!(
            seen.upgrade()
                .is_some_and(|mut heap| Rc::get_mut(&mut heap).is_none())
        );
        let Both { first, second } = both;
        let blocks = |tag| seen.upgrade().unwrap().stats_of(tag).unwrap().blocks;
        if first_goes {
            drop(first);
            assert_eq!((blocks(PARENT), blocks(CHILD)), (0, 1));
            second.alloc(6).unwrap();
            drop(second);
        } else {
            drop(second);
            assert_eq!((blocks(PARENT), blocks(CHILD)), (1, 0));
            first.alloc(6).unwrap();
            drop(first);
        }
        assert!(seen.upgrade().is_none());
    }
}

#[test]
fn a_heap_goes_with_the_last_of_the_threads_that_own_it() {
    let heap: SharedHeap<_> = SharedHeap::new(Heap::new(Reserve::new().unwrap()).unwrap());
    let heap = Arc::new(heap);
    let seen = Arc::downgrade(&heap);
    let threads: Vec<_> = (1..=4)
        .map(|number| {
            let pool = Pool::new(Arc::clone(&heap), Tag::new(number));
            thread::spawn(move || {
                let words: Vec<_> = (0..500).map(|n| pool.alloc(number * n).unwrap()).collect();
                let sum: u64 = words.iter().map(|word| **word).sum();
                assert_eq!(sum, number * 500 * 499 / 2);
                pool.heap().look(|heap| heap.check()).unwrap().unwrap();
            })
        })
        .collect();
    drop(heap);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert!(seen.upgrade().is_none());
}
