//! A program without libc whose threads have no thread-local memory, or come to it too late: the heap has one place
//! for all, which one thread uses at a time, while any other gets blocks of the heap's own.
//!
//! The scope is common too, so nobody is in one here: a tag would be that of whoever came last.
//!
//! ```text
//! cargo run --release --manifest-path examples/nolibc/Cargo.toml --bin common
//! ```

#![no_std]
#![no_main]

extern crate alloc;

#[path = "../bare.rs"]
mod bare;
#[path = "../image.rs"]
mod image;
#[path = "../kernel.rs"]
mod kernel;
#[path = "../mailbox.rs"]
mod mailbox;
#[path = "../thread.rs"]
mod thread;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use bare::Output;
use image::Image;
use mailbox::Mailbox;
use tagheap::Global;
use thread::Thread;

#[global_allocator]
// SAFETY: the break has no owner but this heap. Whoever moves the break otherwise is a libc, and this program has
// none: it is static, and linked without one.
static HEAP: Global = unsafe { Global::over_break() };

/// What the threads send each other in a ring.
static RING: [Mailbox<Vec<usize>>; 4] = [const { Mailbox::new() }; 4];

/// How many vectors each sends.
const VECTORS: usize = 20_000;

/// Words of a vector: of one that gets a slot with bytes to spare, and of one that is too large for any.
const SMALL: usize = 135;
const LARGE: usize = 1500;

/// How many came as they were sent.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);

/// How many small ones had a block of the heap's own.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// The program proper; called by `_start`, answers the exit status.
fn main() -> u8 {
    match tell(&mut Output::standard()) {
        Ok(()) => 0,
        Err(fmt::Error) => 1,
    }
}

fn tell(out: &mut Output) -> fmt::Result {
    // The first request, by which the heap finds out that threads have no memory of their own.
    let first = vec![7; 7];
    let image = Image::of_program();
    thread::settle(&image).unwrap_or_else(|no| bare::die(&no));

    // Until two came into the heap at once, which is a matter of chance, if of a likely one.
    for _ in 0..100 {
        pass_on(&image);
        if BLOCKS.load(Ordering::Relaxed) > 0 {
            break;
        }
    }
    let received = RECEIVED.load(Ordering::Relaxed);
    let blocks = BLOCKS.load(Ordering::Relaxed);
    writeln!(
        out,
        "Four threads passed on {received} vectors, {blocks} small ones in blocks.\n"
    )?;
    let kept = first.iter().all(|number| *number == 7);
    drop(first);
    writeln!(out, "{}", HEAP.report())?;
    match HEAP.check() {
        Ok(()) if kept => writeln!(out, "\nThe heap is sound."),
        Ok(()) => Err(fmt::Error),
        Err(error) => bare::die(&error),
    }
}

/// Runs two threads with memory of their own, and two without.
fn pass_on(image: &Image) {
    let start = |number| {
        let has_memory = number < 2;
        Thread::start(image, has_memory, work, number).unwrap_or_else(|no| bare::die(&no))
    };
    for thread in [0, 1, 2, 3].map(start) {
        thread.join().unwrap_or_else(|no| bare::die(&no));
    }
}

/// What each does: sends to the next, and gives back what came.
fn work(number: usize) {
    let next = RING.get((number + 1) % RING.len());
    let (Some(mine), Some(next)) = (RING.get(number), next) else {
        return;
    };
    let mut received = 0;
    for count in 0..VECTORS {
        if count % 1000 == number {
            // Whoever goes gives up what all have. The next who comes takes it over.
            HEAP.leave();
        }
        next.put(vec![count; length_of(count)]);
        received += receive(mine);
    }
    while received < VECTORS {
        received += receive(mine);
        kernel::give_way();
    }
    RECEIVED.fetch_add(received, Ordering::Relaxed);
}

/// Mostly of one class, which all four want from the same span.
fn length_of(count: usize) -> usize {
    if count.is_multiple_of(100) {
        LARGE
    } else {
        SMALL
    }
}

/// Whether a small vector has a block of the heap's own in place of a slot: then it has no more bytes than it needs,
/// but for 16.
fn is_block(numbers: &Vec<usize>) -> bool {
    let bytes = size_of_val(numbers.as_slice());
    let usable = NonNull::new(numbers.as_ptr().cast_mut()).map(|at| HEAP.usable_size(at.cast()));
    numbers.len() == SMALL && matches!(usable, Some(Ok(usable)) if usable < bytes + 16)
}

/// Takes what came, and looks at it.
fn receive(mine: &Mailbox<Vec<usize>>) -> usize {
    let mut received = 0;
    for mut numbers in mine.empty() {
        let count = numbers.first().copied().unwrap_or_default();
        if numbers.len() != length_of(count) || numbers.iter().any(|number| *number != count) {
            bare::die(&"somebody else wrote to a vector");
        }
        if is_block(&numbers) {
            BLOCKS.fetch_add(1, Ordering::Relaxed);
        }
        numbers.push(received);
        received += 1;
    }
    received
}
