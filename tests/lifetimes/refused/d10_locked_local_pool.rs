use tagheap::{Error, Heap, Kind, LocalHeap, Locked, Pool, Reserve, Tag};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let pool = Locked::new(Pool::new(&heap, Tag::new(1)));
    std::thread::scope(|scope| {
        scope.spawn(|| pool.check()); //~ E0277
    });
    Ok(())
}
