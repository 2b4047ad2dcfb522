//! Every kind of pool: one battery over all of them, and beside it what is special to each.

use core::alloc::Layout;
use tagheap::*;

#[test]
fn smoke() {
    let heap = LocalHeap::new(Heap::new(Reserve::new().unwrap()).unwrap());
    let mut b = Bump::new(Pool::new(&heap, Tag::new(1)));
    for n in 0..10_000u64 {
        let v = b.alloc(n).unwrap();
        assert_eq!(*v, n);
        b.check().unwrap();
    }
    println!("{}", b.usage().unwrap());
    b.reset().unwrap();
    println!("{}", b.usage().unwrap());
    let m = b.mark();
    b.allocate(Layout::from_size_align(100_000, 4096).unwrap())
        .unwrap();
    b.rewind(m).unwrap();
    b.check().unwrap();
    println!("{}", b.usage().unwrap());
    drop(b);
    assert_eq!(heap.stats_of(Tag::new(1)).unwrap().blocks, 0);
}
