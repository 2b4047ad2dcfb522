//! Every kind of pool in one static buffer: no kernel, no libc, no allocator.
//!
//! Only the printing is the system's. A device would put the buffer in its own memory, and send the lines out by its
//! own means: `examples/nolibc` has the same in a program without libc, and `tests/pools` runs it under a filter that
//! lets no system call pass.
//!
//! ```text
//! cargo run --example embedded
//! ```

use core::alloc::Layout;
use core::fmt::Arguments;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use tagheap::{
    Buddy, Buffer, Bump, Classes, Error, Fixed, FreeList, Heap, Kind, Level, LocalHeap, LockFree,
    Locked, Operation, Pool, Priority, Share, SizeClasses, Stack, Tag, Timed, Typed, WhenFull,
};

/// Bytes that all of it takes.
pub(crate) const BYTES: usize = 20 * 1024;

/// Cycles of the device's counter in a second.
pub(crate) const CYCLES: u64 = 2_000_000_000;

/// All the memory there is.
static mut MEMORY: [MaybeUninit<u8>; BYTES] = [MaybeUninit::uninit(); BYTES];

/// Whether a pool called, which may be in the midst of anything.
static FILLS_UP: AtomicBool = AtomicBool::new(false);

/// A reading of a sensor.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: u32,
    celsius: f32,
}

pub(crate) fn main() -> Result<(), Error> {
    // The lock of a pool need not ask the kernel which thread it is in, nor the clock of one how fast it runs.
    tagheap::assume_one_thread();
    tagheap::assume_cycles_per_second(CYCLES);
    let memory = &raw mut MEMORY;
    // SAFETY: called once, and nobody else names it.
    let memory = unsafe { &mut *memory };
    run(memory, &mut |line| println!("{line}"))
}

/// Does all of it in this memory, and says how it went.
pub(crate) fn run(
    memory: &mut [MaybeUninit<u8>],
    say: &mut dyn FnMut(Arguments<'_>),
) -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Buffer::uninit(memory))?);
    let pool = |name| Pool::new(&heap, Tag::named(name));

    // Readings come and go one by one.
    let readings = Fixed::new(pool("readings"), Layout::new::<Reading>(), 32)?;
    // What goes out is built piece by piece and sent whole.
    let call = |_, _: &_| FILLS_UP.store(true, Ordering::Relaxed);
    let mut line = Bump::new(pool("line").bounded(1024).alarmed(call));
    // What must not fail has slots of its own.
    let sizes = [(32, 4), (64, 4), (128, 2), (64, 4)];
    let control = Priority::with_sizes(pool("control"), sizes, WhenFull::Borrow)?;
    // An interrupt takes these without a lock.
    let interrupts = LockFree::new(pool("irq"), Layout::new::<u32>(), 8)?;
    // What has a deadline is timed, in cycles, and what two tasks share is locked.
    let motor = Fixed::new(pool("motor"), Layout::new::<[u32; 4]>(), 8)?;
    let motor = Timed::new(motor).limited_to_cycles(Operation::Allocate, 1_000_000);
    let tasks = Locked::new(Pool::new(&heap, Tag::named("tasks")));
    // Entries of any size come, and go one by one.
    let log = SizeClasses::with_chunk(pool("log"), 1024);
    // And the other kinds, each in a corner of its own.
    let images = pool("images");
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
    let latest = kept.iter().flatten().map(|reading| reading.at);
    let latest = latest.max().unwrap_or_default();
    say(format_args!(
        "{warmest} degrees at most, the last reading is number {latest}\n"
    ));

    for _ in 0..3 {
        line.reset()?;
        line.alloc_str("readings: ")?;
        line.alloc_slice_fill_with(7, |n| n as u16)?;
    }
    let stop = control.at(Level::Critical).own(*b"stop the motor")?;
    let signal = interrupts.own(4711_u32)?;
    let turn = motor.own([90_u32; 4])?;
    let task = tasks.own_str("blink")?;
    let started = log.own_str("started")?;
    log.alloc_str("warm enough")?;
    drop(started);
    let image = images.own([0_u8; 600])?;
    let frame = frames.own([0_u8; 300])?;
    let packet = packets.own_slice_copy(&[7_u8; 48])?;
    let call = calls.allocate(Layout::new::<[u64; 4]>())?;
    let scrap = scraps.own_str("ciao")?;
    say(format_args!(
        "{signal} {scrap} {task} {} {} {} {} {}\n",
        turn.len(),
        image.len(),
        frame.len(),
        packet.len(),
        stop.len()
    ));
    // SAFETY: handed out above, and not used any more.
    unsafe { calls.deallocate(call.cast(), Layout::new::<[u64; 4]>()) }?;

    heap.look(|heap| say(format_args!("{}\n", heap.table())))?;
    say(format_args!("{readings}\n{control}\n{frames}\n"));
    say(format_args!("{}\n", motor.timing(Operation::Allocate)));
    for (name, usage) in [
        ("readings", readings.usage()?),
        ("line", line.usage()?),
        ("control", control.usage()?),
        ("irq", interrupts.usage()?),
        ("motor", motor.usage()?),
        ("tasks", tasks.usage()?),
        ("log", log.usage()?),
        ("images", images.usage()?),
        ("frames", frames.usage()?),
        ("packets", packets.usage()?),
        ("calls", calls.usage()?),
        ("scraps", scraps.usage()?),
    ] {
        say(format_args!("{name:<9} {usage}"));
    }
    say(format_args!(""));
    while line.alloc([0_u8; 16]).is_ok() {
        if FILLS_UP.swap(false, Ordering::Relaxed) {
            say(format_args!("line fills up: {}", line.usage()?));
        }
    }
    if let Err(refusal) = line.alloc([0_u8; 16]) {
        say(format_args!("{refusal}"));
    }
    Ok(heap.look(|heap| heap.check())??)
}
