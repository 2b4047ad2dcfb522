//! A program without libc whose threads share the global allocator: each allocates under a tag of its own, and gives
//! back what the others sent. Some say that they go and some do not; who comes later takes over what they leave.
//!
//! ```text
//! cargo run --release --manifest-path examples/nolibc/Cargo.toml --bin threads
//! ```
//!
//! # Safety
//!
//! The variable of each thread is reached as the linker laid it out, by threads that have such memory.

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

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::arch::{asm, global_asm};
use core::fmt::{self, Write};
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use bare::Output;
use image::Image;
use mailbox::Mailbox;
use tagheap::{Global, Tag, scope};
use thread::Thread;

#[global_allocator]
// SAFETY: the break has no owner but this heap. Whoever moves the break otherwise is a libc, and this program has
// none: it is static, and linked without one.
static HEAP: Global = unsafe { Global::over_break() };

/// One of the four threads that work at once, and of the four that come later.
struct Worker {
    tag: Tag,
    /// Whether it says that it goes.
    leaves: bool,
    parcels: Mailbox<Parcel>,
    keepsakes: Mailbox<Box<Keepsake>>,
    /// Where its keepsake lies.
    kept_at: AtomicUsize,
    /// How many later threads go on where it left off.
    heirs: AtomicUsize,
}

impl Worker {
    const fn new(tag: &str, leaves: bool) -> Self {
        Self {
            tag: Tag::named(tag),
            leaves,
            parcels: Mailbox::new(),
            keepsakes: Mailbox::new(),
            kept_at: AtomicUsize::new(0),
            heirs: AtomicUsize::new(0),
        }
    }
}

static WORKERS: [Worker; 4] = [
    Worker::new("first", true),
    Worker::new("second", false),
    Worker::new("third", true),
    Worker::new("fourth", false),
];

/// What threads send each other.
struct Parcel {
    from: usize,
    count: usize,
    label: String,
    numbers: Vec<usize>,
}

/// What a thread leaves behind: of another size than all else, so that its span has nothing else in it.
type Keepsake = [u64; 120];

/// How many parcels each sends to each other.
const PARCELS: usize = 1000;

/// How many parcels came as they were sent.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);

/// How many of the later threads are done, and wait for the others.
static DONE: AtomicUsize = AtomicUsize::new(0);

/// The program proper; called by `_start`, answers the exit status.
fn main() -> u8 {
    let image = Image::of_program();
    // Before the first request: the heap finds out then, once for all, whether threads have memory of their own.
    if let Err(refused) = thread::settle(&image) {
        bare::die(&refused);
    }
    match tell(&image, &mut Output::standard()) {
        Ok(()) => 0,
        Err(fmt::Error) => 1,
    }
}

fn tell(image: &Image, out: &mut Output) -> fmt::Result {
    run(image, work, |_| true);
    let received = RECEIVED.load(Ordering::Relaxed);
    writeln!(out, "Four threads sent each other {received} parcels.\n")?;
    writeln!(out, "{}\n", HEAP.report())?;

    // One by one: while one tidies what is left of a thread, that is nobody else's.
    run(image, inherit, |number| {
        DONE.load(Ordering::Acquire) > number
    });
    for worker in &WORKERS {
        let heirs = worker.heirs.load(Ordering::Relaxed);
        let word = if worker.leaves { "left" } else { "gone" };
        writeln!(out, "{} {word}, heirs: {heirs}", worker.tag)?;
    }

    let kept = { WORKERS.iter() }.flat_map(|worker| worker.keepsakes.empty());
    let whole = kept.filter(|keepsake| keepsake.iter().all(|word| *word == 7));
    writeln!(out, "Keepsakes: {}\n", whole.count())?;
    writeln!(out, "{}", HEAP.report())?;
    match HEAP.check() {
        Ok(()) => writeln!(out, "\nThe heap is sound."),
        Err(error) => bare::die(&error),
    }
}

/// Starts a thread for each worker, one after the other has done its work so far, and waits for all.
fn run(image: &Image, work: fn(usize), is_ready: fn(usize) -> bool) {
    let start = |number| {
        let thread = Thread::start(image, true, work, number).unwrap_or_else(|no| bare::die(&no));
        while !is_ready(number) {
            kernel::give_way();
        }
        thread
    };
    for thread in [0, 1, 2, 3].map(start) {
        thread.join().unwrap_or_else(|no| bare::die(&no));
    }
}

/// What each of the four does.
fn work(number: usize) {
    let Some(worker) = WORKERS.get(number) else {
        return;
    };
    expect(
        own_number() == NOBODY,
        "a thread begins with the variable as linked",
    );
    set_own_number(number);
    let others = || (0..).zip(&WORKERS).filter(|(other, _)| *other != number);
    let mut received = 0;
    scope(worker.tag, || {
        let keepsake = Box::new([7; 120]);
        worker
            .kept_at
            .store(ptr::from_ref(&*keepsake).addr(), Ordering::Relaxed);
        worker.keepsakes.put(keepsake);
        for count in 0..PARCELS {
            for (_, other) in others() {
                other.parcels.put(Parcel::new(number, count));
            }
            received += receive(worker);
        }
    });
    // Outside the scope: what is given back, or grows, keeps the tag that it has.
    while received < PARCELS * (WORKERS.len() - 1) {
        received += receive(worker);
        kernel::give_way();
    }
    RECEIVED.fetch_add(received, Ordering::Relaxed);
    expect(
        own_number() == number,
        "no other thread writes to its variable",
    );
    if worker.leaves {
        HEAP.leave();
    }
}

impl Parcel {
    fn new(from: usize, count: usize) -> Self {
        Self {
            from,
            count,
            label: label(from, count),
            // From slots to blocks of the heap's own.
            numbers: vec![count; 1 + count % 1500],
        }
    }
}

fn label(from: usize, count: usize) -> String {
    format!("parcel {count} from number {from}")
}

/// Takes what came, and looks at it.
fn receive(worker: &Worker) -> usize {
    let mut received = 0;
    for mut parcel in worker.parcels.empty() {
        let Parcel { from, count, .. } = parcel;
        let numbers = &mut parcel.numbers;
        expect(
            parcel.label == label(from, count),
            "nobody wrote to a label",
        );
        expect(numbers.len() == 1 + count % 1500, "all numbers came");
        expect(
            numbers.iter().all(|number| *number == count),
            "nobody wrote to them",
        );
        // Under the sender's tag, from this thread's stock.
        numbers.push(received);
        received += 1;
    }
    received
}

/// What each of the later four does: looks whose spans it has.
fn inherit(_: usize) {
    for worker in &WORKERS {
        let keepsake = scope(worker.tag, || Box::<Keepsake>::new([0; 120]));
        let place = ptr::from_ref(&*keepsake).addr();
        if place >> 16 == worker.kept_at.load(Ordering::Relaxed) >> 16 {
            worker.heirs.fetch_add(1, Ordering::Relaxed);
        }
    }
    // None goes before all have come, or one could be another's heir.
    DONE.fetch_add(1, Ordering::Release);
    while DONE.load(Ordering::Relaxed) < WORKERS.len() {
        kernel::give_way();
    }
}

fn expect(holds: bool, what: &str) {
    if !holds {
        bare::die(&format_args!("it should be that {what}"));
    }
}

/// Whose the variable is at first.
const NOBODY: usize = 99;

// A variable of each thread, which does not begin as zero; Rust has a word for these in std only.
global_asm!(
    ".pushsection .tdata.nolibc_number, \"awT\", @progbits",
    ".globl nolibc_number",
    ".hidden nolibc_number",
    ".type nolibc_number, @object",
    ".size nolibc_number, 8",
    ".balign 8",
    "nolibc_number:",
    ".quad {nobody}",
    ".popsection",
    nobody = const NOBODY,
);

fn own_number() -> usize {
    let number;
    // SAFETY: reads the calling thread's variable.
    unsafe {
        asm!("mov {}, fs:[nolibc_number@TPOFF]", out(reg) number,
             options(nostack, preserves_flags, readonly));
    }
    number
}

fn set_own_number(number: usize) {
    // SAFETY: writes the calling thread's variable.
    unsafe {
        asm!("mov fs:[nolibc_number@TPOFF], {}", in(reg) number, options(nostack, preserves_flags));
    }
}
