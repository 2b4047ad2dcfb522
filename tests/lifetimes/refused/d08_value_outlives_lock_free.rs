use core::alloc::Layout;
use tagheap::{Error, Heap, LockFree, Pool, Reserve, SharedHeap, Tag, Typed};

fn main() -> Result<(), Error> {
    let heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?);
    let owner;
    {
        let pool = LockFree::new(Pool::new(&heap, Tag::new(1)), Layout::new::<u64>(), 8)?;
        owner = pool.own(7_u64)?; //~ E0597
    }
    println!("{owner}");
    Ok(())
}
