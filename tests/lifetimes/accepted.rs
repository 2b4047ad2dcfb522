//! What the refused programs do, done rightly.

use std::sync::Arc;

use tagheap::{
    Bump, Error, Heap, Kind, LocalHeap, LockFree, Own, Pool, Reserve, SharedHeap, Tag, Typed,
};

fn send<T: Send>() {}

fn of<K: Kind + Sync + 'static>() {
    send::<Own<'static, Arc<u8>, K>>();
}

#[test]
fn the_compiler_accepts() -> Result<(), Error> {
    let mut heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
    {
        let mut bump = Bump::new(Pool::new(&heap, Tag::new(1)));
        let value = bump.alloc(5)?;
        *value = 6;
        bump.reset()?;
        let mark = bump.mark();
        bump.alloc_str("ciao")?.make_ascii_uppercase();
        bump.rewind(mark)?;
        let pool = Pool::new(&heap, Tag::new(2));
        let owner = pool.own(5)?;
        drop(owner);
        drop(pool);
    }
    *heap.get_mut() = Heap::new(Reserve::new()?)?;

    let shared = SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?);
    let bump = Bump::new(Pool::new(&shared, Tag::new(1)));
    std::thread::scope(|scope| {
        scope.spawn(move || bump.check());
        scope.spawn(|| Pool::new(&shared, Tag::new(2)).alloc(5).map(|five| *five));
    });
    of::<LockFree<&'static SharedHeap<Reserve>>>();
    Ok(())
}
