use tagheap::{Error, Heap, LocalHeap, Pool, Reserve, Stack, Tag, Typed};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let mut stack = Stack::small(Pool::new(&heap, Tag::new(1)))?;
    let mark = stack.mark();
    let value = stack.alloc(5)?;
    stack.rewind(mark)?; //~ E0502
    *value = 6;
    Ok(())
}
