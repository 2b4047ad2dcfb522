use tagheap::{Error, Heap, LocalHeap, Pool, Reserve, SharedHeap, Tag, Typed};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let pool = Pool::new(&heap, Tag::new(1));
    let alone = heap.into_inner(); //~ E0505
    pool.alloc(5)?;
    drop(alone);

    let mut heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?);
    let pool = Pool::new(&heap, Tag::new(1));
    *heap.get_mut() = Heap::new(Reserve::new()?)?; //~ E0502
    pool.alloc(5)?;
    Ok(())
}
