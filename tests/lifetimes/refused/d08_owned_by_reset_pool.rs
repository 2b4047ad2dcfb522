use tagheap::{Error, Heap, Kind, LocalHeap, Pool, Reserve, Tag, Typed};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let mut pool = Pool::new(&heap, Tag::new(1));
    let owner = pool.own(5)?;
    pool.reset()?; //~ E0502
    drop(owner);
    Ok(())
}
