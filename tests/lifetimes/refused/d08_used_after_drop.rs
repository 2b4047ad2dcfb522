use tagheap::{Error, Heap, LocalHeap, Pool, Reserve, Tag, Typed};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let pool = Pool::new(&heap, Tag::new(1));
    let value = pool.alloc_slice_copy(&[1, 2])?;
    drop(pool); //~ E0505
    value[0] = 6;
    Ok(())
}
