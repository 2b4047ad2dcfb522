//! Locks of other crates in place of the futex.

use core::alloc::Layout;

use tagheap::{
    Directory, Heap, Kind, Locked, Misuse, Pool, Reserve, Share, SharedHeap, Split, Tag,
};

type Spinning = spin::Mutex<()>;
type SpinningHeap = SharedHeap<Reserve, Split, Directory, Spinning>;

const WORD: Layout = Layout::new::<u64>();

#[test]
fn a_heap_and_a_pool_work_behind_a_spinning_lock() {
    let heap = SpinningHeap::new(Heap::new(Reserve::new().unwrap()).unwrap());
    let pool = Locked::<_, Spinning>::with_lock(Pool::new(&heap, Tag::new(1)));
    let work = || {
        for _ in 0..1000 {
            let piece = pool.allocate(WORD).unwrap();
            // SAFETY: handed out above, and not used any more.
            unsafe { pool.deallocate(piece.cast(), WORD) }.unwrap();
        }
    };
    std::thread::scope(|scope| {
        // Joined one by one: what a scope's end orders, ThreadSanitizer does not see.
        let threads = [(); 4].map(|()| scope.spawn(work));
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(pool.usage().unwrap().allocations, 4000);
    drop(pool);
    assert_eq!(heap.stats_of(Tag::new(1)).unwrap().blocks, 0);
    heap.look(|heap| heap.check()).unwrap().unwrap();
}

#[test]
fn f05_re_entry_is_told_behind_any_lock() {
    let heap = SpinningHeap::new(Heap::new(Reserve::new().unwrap()).unwrap());
    let inside = heap.look(|_| heap.allocate(Tag::new(1), WORD)).unwrap();
    assert_eq!(inside, Err(Misuse::Reentered.into()));
    heap.allocate(Tag::new(1), WORD).unwrap();
}
