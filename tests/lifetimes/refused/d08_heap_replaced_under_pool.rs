use tagheap::{Error, Heap, LocalHeap, Pool, Reserve, Tag, Typed};

fn main() -> Result<(), Error> {
    let mut heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let pool = Pool::new(&heap, Tag::new(1));
    *heap.get_mut() = Heap::new(Reserve::new()?)?; //~ E0502
    pool.alloc(5)?;
    Ok(())
}
