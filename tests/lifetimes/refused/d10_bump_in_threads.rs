use tagheap::{Bump, Error, Heap, Kind, Pool, Reserve, SharedHeap, Tag};

fn main() -> Result<(), Error> {
    let heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?);
    let bump = Bump::new(Pool::new(&heap, Tag::new(1)));
    std::thread::scope(|scope| {
        scope.spawn(|| bump.check()); //~ E0277
    });
    Ok(())
}
