use std::rc::Rc;
use std::sync::Arc;

use tagheap::{Error, Heap, LocalHeap, Pool, Reserve, SharedHeap, Tag};

fn main() -> Result<(), Error> {
    let heap = Rc::new(LocalHeap::new(Heap::new(Reserve::new()?)?));
    let pool = Pool::new(heap, Tag::new(1));
    std::thread::spawn(move || drop(pool)); //~ E0277
    let heap = Arc::new(LocalHeap::new(Heap::new(Reserve::new()?)?));
    let pool = Pool::new(heap, Tag::new(1));
    std::thread::spawn(move || drop(pool)); //~ E0277
    let heap = Rc::new(SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?));
    let pool = Pool::new(heap, Tag::new(1));
    std::thread::spawn(move || drop(pool)); //~ E0277
    Ok(())
}
