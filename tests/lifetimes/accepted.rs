//! What the refused programs do, done rightly.

use std::sync::Arc;

use tagheap::{
    Bump, Error, Heap, Kind, Level, LocalHeap, LockFree, Locked, Own, Pool, Priority, Reserve,
    SharedHeap, Source, Stack, Tag, Timed, Typed, WhenFull,
};

fn send<T: Send>() {}
fn share<T: Sync>() {}

fn of<K: Kind + Sync + 'static>() {
    send::<Own<'static, Arc<u8>, K>>();
}

fn locks_around<K: Kind + Send, S: Source + Send>() {
    send::<Heap<S>>();
    send::<LocalHeap<S>>();
    send::<SharedHeap<S>>();
    share::<SharedHeap<S>>();
    send::<Locked<K>>();
    share::<Locked<K>>();
    send::<Timed<K>>();
}

/// Values, slices, texts and owners, all gone before what they were in is.
fn in_any<K: Kind>(kind: &mut K) -> Result<(), Error> {
    *kind.alloc(5)? = 6;
    kind.alloc_slice_fill_with(5, |n| n)?[0] = 6;
    kind.alloc_slice_copy(&[1, 2])?[0] = 6;
    kind.alloc_str("ciao")?.make_ascii_uppercase();
    assert_eq!(&*kind.own_str("ciao")?, "ciao");
    *kind.own(5)?.leak() = 6;
    kind.reset()
}

#[test]
fn the_compiler_accepts_wrappers() -> Result<(), Error> {
    let heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?);
    let mut locked = Locked::new(Pool::new(&heap, Tag::new(1)));
    *locked.alloc(5)? = 6;
    locked.get_mut().reset()?;
    let mut kept = None;
    locked.look(|pool| kept = pool.alloc(5).ok().copied())?;
    assert_eq!(kept, Some(5));
    let mut timed = Timed::new(locked.into_inner());
    in_any(&mut timed)?;
    drop(timed.into_inner());
    let mut stack = Stack::small(Pool::new(&heap, Tag::new(2)))?;
    let mark = stack.mark();
    *stack.alloc(5)? = 6;
    stack.rewind(mark)?;
    let mut levels = Priority::new(Pool::new(&heap, Tag::new(3)), WhenFull::Refuse)?;
    *levels.at(Level::Critical).alloc(5)? = 6;
    levels.reset()?;
    drop((stack, levels));
    locks_around::<Pool<&'static SharedHeap<Reserve>>, Reserve>();
    drop(heap.into_inner());
    Ok(())
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
