use tagheap::{Error, Heap, LocalHeap, Reserve, Share, Tag};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    heap.release(Tag::new(1))?; //~ E0133
    Ok(())
}
