use tagheap::{Error, Heap, LocalHeap, Pool, Reserve, SizeClasses, Tag};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let pool = SizeClasses::new(Pool::new(&heap, Tag::new(1)));
    std::thread::scope(|scope| {
        scope.spawn(move || drop(pool)); //~ E0277
    });
    Ok(())
}
