use tagheap::{Bump, Error, Heap, Kind, LocalHeap, Pool, Reserve, Tag, Typed};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let mut bump = Bump::new(Pool::new(&heap, Tag::new(1)));
    let value = bump.alloc(5)?;
    bump.reset()?; //~ E0502
    *value = 6;
    Ok(())
}
