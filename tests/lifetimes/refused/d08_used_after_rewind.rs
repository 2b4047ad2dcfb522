use tagheap::{Bump, Error, Heap, LocalHeap, Pool, Reserve, Tag, Typed};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let mut bump = Bump::new(Pool::new(&heap, Tag::new(1)));
    let mark = bump.mark();
    let value = bump.alloc_str("ciao")?;
    bump.rewind(mark)?; //~ E0502
    value.make_ascii_uppercase();
    Ok(())
}
