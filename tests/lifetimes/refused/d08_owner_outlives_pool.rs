use tagheap::{Error, Heap, LocalHeap, Pool, Reserve, Tag, Typed};

fn main() -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    let owner;
    {
        let pool = Pool::new(&heap, Tag::new(1));
        owner = pool.own(5)?; //~ E0597
    }
    println!("{owner}");
    Ok(())
}
