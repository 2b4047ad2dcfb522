//! G: little stack, great sizes, other people's data.

use tagheap::{Error, Tag};

use crate::support::{Careless, Config, HeapOf, Reserved, Rig, bytes, heap_over, layout};
use crate::support::{Ground, block_size};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");

stamp!(buffer_and_reserve:
    g01_every_operation_runs_on_a_small_stack,
    g06_zeroed_memory_shows_nothing_of_other_tags,
);

stamp!(reserve:
    g04_sizes_of_gigabytes_touch_no_pages,
    g04_sizes_of_terabytes_are_met_or_refused,
);

/// The least stack that the system gives a thread.
const STACK: usize = 16 << 10;

fn g01_every_operation_runs_on_a_small_stack<C: Config>()
where
    HeapOf<C>: Send,
{
    let ground = C::Ground::new(C::MANY * 100 + (1 << 16));
    let mut heap = heap_over::<C>(ground.source()).unwrap();
    for n in 0..C::MANY {
        let tag = if n % 2 == 0 { A } else { B };
        heap.allocate(tag, bytes(n % 60)).unwrap();
    }
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(STACK);
        let work = small.spawn_scoped(scope, move || {
            let block = heap.allocate(A, layout(100, 256)).ok()?.cast();
            let grown = heap.enlarge(block, layout(100, 256), bytes(3000)).ok()?;
            let shrunk = heap.reduce(grown, bytes(3000), bytes(10)).ok()?;
            heap.free(shrunk, bytes(10)).ok()?;
            let blocks = heap.walk().filter(Result::is_ok).count();
            // Every second block goes; then what is between them, so that everything merges.
            let first = heap.release_tag(A).ok()?.blocks;
            heap.check().ok()?;
            let second = heap.release_if(|_| true).ok()?.blocks;
            heap.check().ok()?;
            heap.trim();
            Some((blocks, first, second, heap.stats().ok()?.used.blocks))
        });
        let (blocks, first, second, left) = work.unwrap().join().unwrap().unwrap();
        assert!(blocks > C::MANY);
        assert_eq!((first, second, left), (C::MANY / 2, C::MANY / 2, 0));
    });
}

/// Bytes of memory that this process really has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn g04_sizes_of_gigabytes_touch_no_pages<C: Config<Ground = Reserved>>() {
    let ground = Reserved::new(1 << 36);
    let mut heap = heap_over::<C>(ground.source()).unwrap();
    let before = resident();
    let mut at = heap.allocate(A, bytes(1)).unwrap().addr().get() + 16 + 32;
    for size in [
        (16 << 20) - 1,
        16 << 20,
        (16 << 20) + 1,
        1 << 31,
        (1 << 32) + 1,
        5 << 30,
    ] {
        for zeroed in [false, true] {
            let block = if zeroed {
                heap.allocate_zeroed(B, bytes(size)).unwrap()
            } else {
                heap.allocate(B, bytes(size)).unwrap()
            };
            assert_eq!((block.addr().get(), block.len()), (at, size));
            at += block_size(size);
            let block = block.cast();
            assert_eq!(heap.tag_of(block), Ok(B));
            assert_eq!(heap.usable_size(block), Ok(size.next_multiple_of(16)));
            assert!(heap.free(block, bytes(size + 16)).is_err());
        }
        heap.check().unwrap();
    }
    let last = heap.allocate(A, bytes(1)).unwrap().cast();
    // In place: nothing is copied.
    let last = heap.enlarge(last, bytes(1), bytes(6 << 30)).unwrap();
    let (old, new) = (bytes(6 << 30), bytes(7 << 30));
    let last = heap.enlarge_zeroed(last, old, new).unwrap();
    let last = heap.reduce(last, new, bytes(3 << 30)).unwrap();
    assert!(resident() < before + (1 << 30), "pages were touched");
    assert_eq!(heap.release_tag(B).unwrap().blocks, 12);
    heap.check().unwrap();
    heap.free(last, bytes(3 << 30)).unwrap();
    heap.check().unwrap();
    if C::SPLITS {
        let stats = heap.stats().unwrap();
        assert_eq!(stats.free.blocks, 0);
        assert!(stats.granted < 64 << 20, "much unused memory is given back");
    }
    assert!(resident() < before + (1 << 30), "pages were touched");
}

fn g04_sizes_of_terabytes_are_met_or_refused<C: Config<Ground = Reserved>>() {
    let ground = Reserved::new(1 << 42);
    let mut heap = heap_over::<C>(ground.source()).unwrap();
    let first = heap.allocate(A, bytes(100)).unwrap().cast();
    let mut refused = 0;
    for shift in 36..48 {
        match heap.allocate(B, bytes(1 << shift)) {
            Ok(block) => {
                assert_eq!(block.len(), 1 << shift);
                assert!(shift < 42, "no more than was reserved");
                heap.check().unwrap();
                heap.release_tag(B).unwrap();
            }
            Err(error) => {
                assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
                refused += 1;
            }
        }
        heap.check().unwrap();
        assert_eq!(heap.tag_of(first), Ok(A));
    }
    assert!(refused >= 6);
}

fn g06_zeroed_memory_shows_nothing_of_other_tags<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 18);
    for round in 0..40 {
        let tag = Tag::new(1 + round as u64);
        for n in 0..10 {
            // Written full by the rig.
            rig.take(tag, 100 * n + round);
        }
        if round % 4 == 0 {
            rig.take(A, 10);
        }
        rig.release_one(tag);
        if round % 5 == 0 {
            rig.heap.trim();
        }
        for n in 0..10 {
            rig.allocate_zeroed(B, layout(700 - 50 * n, 1 << n))
                .unwrap();
        }
        rig.release_one(B);
        // Where the memory for indexes is bounded, it is for the accounts of a few tags only.
        rig.heap.forget(tag);
    }
    rig.contents();
}
