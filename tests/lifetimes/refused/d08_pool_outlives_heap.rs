use tagheap::{Error, Heap, LocalHeap, Pool, Reserve, Tag, Typed};

fn main() -> Result<(), Error> {
    let pool;
    {
        let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
        pool = Pool::new(&heap, Tag::new(1)); //~ E0597
    }
    pool.alloc(5)?;
    Ok(())
}
