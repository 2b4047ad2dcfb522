use tagheap::{Bump, Error, Heap, LocalHeap, Pool, Reserve, Tag, Typed};

fn longer<'a>(heap: &'a LocalHeap<Reserve>) -> Result<&'a mut u32, Error> {
    let bump = Bump::new(Pool::new(heap, Tag::new(1)));
    bump.alloc(5) //~ E0515
}

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    longer(&heap)?;
    Ok(())
}
