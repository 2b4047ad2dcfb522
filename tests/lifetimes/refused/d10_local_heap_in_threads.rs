use tagheap::{Error, Heap, LocalHeap, Reserve, Share};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    std::thread::scope(|scope| {
        scope.spawn(|| heap.trim()); //~ E0277
    });
    Ok(())
}
