//! Every kind of pool in one static buffer: no kernel, no libc, no allocator.
//!
//! Only the printing is the system's. A device would put the buffer in its own memory, and send the lines out
//! by its own means; `tests/pools` runs the same under a filter that lets no system call pass.
//!
//! ```text
//! cargo run --example embedded
//! ```

use core::alloc::Layout;
use core::mem::MaybeUninit;

use tagheap::{
    Buddy, Buffer, Bump, Classes, Error, Fixed, FreeList, Heap, Kind, Level, LocalHeap, LockFree,
    Pool, Priority, Share, Stack, Tag, Typed, WhenFull,
};

/// All the memory there is.
static mut MEMORY: [MaybeUninit<u8>; 16 * 1024] = [MaybeUninit::uninit(); 16 * 1024];

/// A reading of a sensor.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: u32,
    celsius: f32,
}

fn main() -> Result<(), Error> {
    // SAFETY: called once, and nobody else names it.
    let memory = unsafe { &mut *(&raw mut MEMORY) };
    let heap = LocalHeap::new(Heap::new(Buffer::uninit(memory))?);
    let pool = |name| Pool::new(&heap, Tag::named(name));

    // Readings come and go one by one.
    let readings = Fixed::new(pool("readings"), Layout::new::<Reading>(), 32)?;
    // What goes out is built piece by piece and sent whole.
    let mut line = Bump::new(pool("line").bounded(1024).alarmed(|tag, usage| {
        println!("{tag} fills up: {usage}");
    }));
    // What must not fail has slots of its own.
    let sizes = [(32, 4), (64, 4), (128, 2), (64, 4)];
    let control = Priority::with_sizes(pool("control"), sizes, WhenFull::Borrow)?;
    // An interrupt takes these without a lock.
    let interrupts = LockFree::new(pool("irq"), Layout::new::<u32>(), 8)?;
    // And the other kinds, each in a corner of its own.
    let frames = Buddy::new(pool("frames"), 2048, 64)?;
    let packets = Classes::new(pool("packets"), [(64, 8), (256, 2)], WhenFull::Refuse)?;
    let calls = Stack::small(pool("calls"))?;
    let scraps = FreeList::small(pool("scraps"))?;

    let mut kept = [const { None }; 8];
    for (at, slot) in (0_u32..).zip(&mut kept) {
        let celsius = 20.5 + at as f32;
        *slot = Some(readings.own(Reading { at, celsius })?);
    }
    kept[3] = None;
    let warmest = kept.iter().flatten().map(|reading| reading.celsius);
    let warmest = warmest.fold(f32::MIN, f32::max);
    let latest = kept.iter().flatten().map(|reading| reading.at).max();
    println!("{warmest} degrees at most, the last reading is number {latest:?}\n");

    for _ in 0..3 {
        line.reset()?;
        line.alloc_str("readings: ")?;
        line.alloc_slice_fill_with(7, |n| n as u16)?;
    }
    let stop = control.at(Level::Critical).own(*b"stop the motor")?;
    let signal = interrupts.own(4711_u32)?;
    let frame = frames.own([0_u8; 300])?;
    let packet = packets.own_slice_copy(&[7_u8; 48])?;
    let mark = calls.allocate(Layout::new::<[u64; 4]>())?;
    let scrap = scraps.own_str("ciao")?;
    println!(
        "{signal} {scrap} {} {} {}\n",
        frame.len(),
        packet.len(),
        stop.len()
    );
    // SAFETY: handed out above, and not used any more.
    unsafe { calls.deallocate(mark.cast(), Layout::new::<[u64; 4]>()) }?;

    println!("{}\n", heap.look(|heap| heap.table().to_string())?);
    println!("{readings}\n{control}\n{frames}\n");
    for (name, usage) in [
        ("readings", readings.usage()?),
        ("line", line.usage()?),
        ("control", control.usage()?),
        ("irq", interrupts.usage()?),
        ("frames", frames.usage()?),
        ("packets", packets.usage()?),
        ("calls", calls.usage()?),
        ("scraps", scraps.usage()?),
    ] {
        println!("{name:<9} {usage}");
    }
    println!();
    while line.alloc([0_u8; 16]).is_ok() {}
    if let Err(refusal) = line.alloc([0_u8; 16]) {
        println!("{refusal}");
    }
    Ok(heap.look(|heap| heap.check())??)
}
