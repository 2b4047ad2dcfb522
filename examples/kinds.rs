//! Every kind of pool in one short piece, each on the same heap under a tag of its own, and a picture of it.
//!
//! Used memory is drawn bare, free memory in brackets, equal neighbours counted.
//!
//! ```text
//! cargo run --example kinds
//! ```

use core::alloc::Layout;
use core::fmt::Display;
use core::time::Duration;

use tagheap::{
    Buddy, Bump, Classes, Error, Fixed, FreeList, Heap, Kind, Level, LockFree, Locked, Operation,
    Pool, Priority, Reserve, Share, SharedHeap, SizeClasses, Stack, Tag, Timed, Typed, WhenFull,
};

fn main() -> Result<(), Error> {
    let heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new()?)?);
    pool(&heap)?;
    bump(&heap)?;
    size_classes(&heap)?;
    stack(&heap)?;
    free_list(&heap)?;
    fixed(&heap)?;
    classes(&heap)?;
    buddy(&heap)?;
    priority(&heap)?;
    locked(&heap)?;
    lock_free(&heap)?;
    timed(&heap)?;
    pass_through(&heap)?;
    let left = heap.look(|heap| heap.check().map(|()| heap.stats()))???;
    println!(
        "All pools are gone, and the heap holds {} blocks of theirs.",
        left.used.blocks
    );
    Ok(())
}

type Shared<'h> = &'h SharedHeap<Reserve>;

fn title(kind: &str, what: &str) {
    println!("== {kind}: {what}\n");
}

fn show(picture: impl Display, kind: &impl Kind) -> Result<(), Error> {
    println!("{picture}\n{}\n", kind.usage()?);
    Ok(())
}

fn pool(heap: Shared) -> Result<(), Error> {
    title(
        "Pool",
        "a tag owned; each request is a block of the heap's own",
    );
    let pool = Pool::new(heap, Tag::named("level"));
    let mesh = pool.own_slice_fill_with(100, |n| n as f32)?;
    let name = pool.alloc_str("harbour")?;
    println!("{name} has {} corners; the mesh is unloaded.\n", mesh.len());
    drop(mesh);
    show(heap.look(|heap| heap.drawing().to_string())?, &pool)
}

fn bump(heap: Shared) -> Result<(), Error> {
    title(
        "Bump",
        "an arena; a cursor moves, and a reset takes it back",
    );
    let mut request = Bump::new(Pool::new(heap, Tag::named("request")));
    for path in ["/harbour", "/harbour/ships", "/"] {
        request.reset()?;
        let path = request.alloc_str(path)?;
        let parts = request.alloc_slice_fill_with(path.split('/').count(), |n| n)?;
        println!("{path} has {} parts", parts.len() - 1);
    }
    show(&request, &request)
}

fn size_classes(heap: Shared) -> Result<(), Error> {
    title(
        "SizeClasses",
        "an arena whose objects also go singly, each to a list of its size",
    );
    let level = SizeClasses::new(Pool::new(heap, Tag::named("scene")));
    let ships = level.own_str("three ships")?;
    let place = ships.as_ptr();
    let _harbour = level.alloc_str("a harbour")?;
    drop(ships);
    let next = level.alloc_str("one whale")?;
    println!(
        "The next takes the place of the one that went: {}",
        next.as_ptr() == place
    );
    let crew = level.own([0_u8; 100])?;
    let _captain = level.alloc(1_u64)?;
    drop(crew);
    show(&level, &level)
}

/// 200 and 300 bytes fit into 1024; 1500 are too many for any stack of that size, 600 for what is left.
fn stack(heap: Shared) -> Result<(), Error> {
    title("Stack", "last in, first out; anything else is an error");
    let stack = Stack::small(Pool::new(heap, Tag::named("stack")))?;
    let layout = |bytes| Layout::array::<u8>(bytes).unwrap_or(Layout::new::<u8>());
    let first = stack.allocate(layout(200))?;
    let second = stack.allocate(layout(300))?;
    for bytes in [1500, 600] {
        if let Err(refusal) = stack.allocate(layout(bytes)) {
            println!("{refusal}");
        }
    }
    // SAFETY: handed out above; the stack refuses, since the second lies upon it.
    if let Err(refusal) = unsafe { stack.deallocate(first.cast(), layout(200)) } {
        println!("{refusal}");
    }
    show(&stack, &stack)?;
    for (piece, bytes) in [(second, 300), (first, 200)] {
        // SAFETY: handed out above, and not used any more.
        unsafe { stack.deallocate(piece.cast(), layout(bytes)) }?;
    }
    show(&stack, &stack)
}

/// Five integers and a word in one block of 1024 bytes, given back in reverse order.
fn free_list(heap: Shared) -> Result<(), Error> {
    title(
        "FreeList",
        "any size and type in one block, given back in any order",
    );
    let pool = FreeList::small(Pool::new(heap, Tag::named("free list")))?;
    let mut integers = Vec::new();
    for n in 0..5_i32 {
        integers.push(pool.own(n)?);
    }
    let word = pool.own_str("ciao")?;
    println!("{integers:?} and {:?} in one block", &*word);
    show(&pool, &pool)?;
    drop(word);
    while integers.pop().is_some() {}
    show(&pool, &pool)
}

fn fixed(heap: Shared) -> Result<(), Error> {
    title("Fixed", "equal slots, bounded or growing");
    let pool = Fixed::growing(
        Pool::new(heap, Tag::named("particles")),
        Layout::new::<[f32; 4]>(),
        8,
    )?;
    let mut particles = Vec::new();
    for n in 0..12_u8 {
        particles.push(pool.own([f32::from(n); 4])?);
    }
    drop(particles.drain(2..5));
    show(&pool, &pool)?;
    let slot = pool.allocate(Layout::new::<[f32; 4]>())?.cast();
    // SAFETY: handed out above, and not used any more.
    unsafe { pool.deallocate(slot, Layout::new::<[f32; 4]>()) }?;
    // SAFETY: given back already: the pool finds that.
    if let Err(refusal) = unsafe { pool.deallocate(slot, Layout::new::<[f32; 4]>()) } {
        println!("{refusal}\n");
    }
    Ok(())
}

fn classes(heap: Shared) -> Result<(), Error> {
    title(
        "Classes",
        "slots of several sizes; a request goes to the smallest that fits",
    );
    let sizes = [(16, 4), (64, 4), (256, 2)];
    let pool = Classes::new(
        Pool::new(heap, Tag::named("messages")),
        sizes,
        WhenFull::Refuse,
    )?;
    let small = pool.alloc_slice_copy(&[1_u8; 12])?;
    let large = pool.alloc_slice_copy(&[2_u8; 65])?;
    println!("{} bytes and {} bytes", small.len(), large.len());
    show(&pool, &pool)
}

fn buddy(heap: Shared) -> Result<(), Error> {
    title(
        "Buddy",
        "powers of two that split, and merge when both halves are free",
    );
    let pool = Buddy::new(Pool::new(heap, Tag::named("pages")), 4096, 64)?;
    let page = pool.own([0_u8; 500])?;
    let part = pool.own([0_u8; 100])?;
    show(&pool, &pool)?;
    drop((page, part));
    show(&pool, &pool)
}

fn priority(heap: Shared) -> Result<(), Error> {
    title("Priority", "slots set aside for what must not fail");
    let pool = Priority::new(Pool::new(heap, Tag::named("control")), WhenFull::Borrow)?;
    let layouts = [
        (Level::Critical, Layout::new::<[u8; 32]>()),
        (Level::Normal, Layout::new::<[u8; 128]>()),
        (Level::Large, Layout::new::<[u8; 1024]>()),
        (Level::Temporary, Layout::new::<[u8; 256]>()),
    ];
    for (level, layout) in layouts {
        pool.allocate_at(level, layout)?;
    }
    let alarm = pool.at(Level::Critical).own("engine too hot")?;
    println!("{alarm}: kept where ordinary requests do not reach");
    show(&pool, &pool)
}

/// Four threads allocate ten objects of 64 bytes each and give them back.
fn locked(heap: Shared) -> Result<(), Error> {
    title("Locked", "any kind for several threads, one at a time");
    let slots = Fixed::new(
        Pool::new(heap, Tag::named("locked")),
        Layout::new::<[u64; 8]>(),
        64,
    )?;
    share_out(&Locked::new(slots))
}

fn lock_free(heap: Shared) -> Result<(), Error> {
    title(
        "LockFree",
        "equal slots for threads and signal handlers, without a lock",
    );
    let pool = Pool::new(heap, Tag::named("lockfree"));
    share_out(&LockFree::new(pool, Layout::new::<[u64; 8]>(), 64)?)
}

fn share_out(pool: &(impl Kind + Sync + Display)) -> Result<(), Error> {
    let done = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let done = &done;
            scope.spawn(move || {
                let objects: Vec<_> = (0..10).map(|n| pool.own([thread * 10 + n; 8])).collect();
                // All hold theirs at once.
                done.wait();
                objects
            });
        }
    });
    println!("{pool}\n{}\n", pool.usage()?);
    Ok(())
}

fn timed(heap: Shared) -> Result<(), Error> {
    title(
        "Timed",
        "how long each operation took, last and longest, against a limit",
    );
    let pool = Fixed::new(
        Pool::new(heap, Tag::named("motor")),
        Layout::new::<u64>(),
        64,
    )?;
    let pool = Timed::new(pool).limited(Operation::Allocate, Duration::from_micros(50));
    let _position = pool.alloc(0_u64)?;
    for n in 1..64_u64 {
        drop(pool.own(n)?);
    }
    println!("{pool}");
    show(pool.kind(), &pool)
}

fn pass_through(heap: Shared) -> Result<(), Error> {
    title(
        "any kind, passing through",
        "each object a block of the heap's, for hunting faults",
    );
    let pool = Pool::new(heap, Tag::named("hunted")).pass_through(true);
    let bump = Bump::new(pool);
    for n in 0..3_u64 {
        bump.alloc(n)?;
    }
    show(heap.look(|heap| heap.drawing().to_string())?, &bump)
}
