//! A program without libc and without thread-local memory over the global allocator: who holds what, by tag, to
//! the object.
//!
//! ```text
//! cargo run --release --manifest-path examples/nolibc/Cargo.toml --bin global
//! ```

#![no_std]
#![no_main]

extern crate alloc;

#[path = "../bare.rs"]
mod bare;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::fmt::{self, Write};
use core::mem;

use bare::Output;
use tagheap::{Global, Tag, scope};

#[global_allocator]
// SAFETY: the break has no owner but this heap. Whoever moves the break otherwise is a libc, and this program has
// none: it is static, and linked without one.
static HEAP: Global = unsafe { Global::over_break() };

const POEM: Tag = Tag::named("poem");
const INDEX: Tag = Tag::named("index");
const TABLE: Tag = Tag::named("table");

/// The program proper; called by `_start`, answers the exit status.
fn main() -> u8 {
    match tell(&mut Output::standard()) {
        Ok(()) => 0,
        Err(fmt::Error) => 1,
    }
}

fn tell(out: &mut Output) -> fmt::Result {
    let poem = scope(POEM, || {
        let mut lines: Vec<String> = Vec::new();
        for bottles in (1..=50).rev() {
            lines.push(format!("{bottles} green bottles hanging on the wall,"));
        }
        lines
    });
    let index = scope(INDEX, || index(&poem));
    let (words, walls) = (index.len(), index.get("wall,").map_or(0, Vec::len));
    writeln!(out, "{words} words, one of them in {walls} lines.")?;
    writeln!(out, "\n{}", HEAP.report())?;
    lengthen(out)?;

    // Their destructors would free line after line. The release takes them all at once.
    mem::forget(poem);
    // SAFETY: all that was allocated under this tag was the poem, which nobody has any more; there is one thread.
    let released = unsafe { HEAP.release(POEM) }.map_err(|_| fmt::Error)?;
    writeln!(out, "The poem is released in one call: {released}.")?;
    drop(index);
    give_back_twice(out)?;
    HEAP.check().map_err(|_| fmt::Error)?;
    writeln!(out, "\n{}", HEAP.report())
}

/// In which lines each word is.
fn index(lines: &[String]) -> BTreeMap<String, Vec<usize>> {
    let mut index = BTreeMap::<String, Vec<usize>>::new();
    for (number, line) in lines.iter().enumerate() {
        for word in line.split(' ') {
            index.entry(String::from(word)).or_default().push(number);
        }
    }
    index
}

/// What is too large for a slot is a block of the heap's own, and the last of the row grows where it is.
fn lengthen(out: &mut Output) -> fmt::Result {
    let mut table = scope(TABLE, || Vec::<u64>::with_capacity(10_000));
    let place = table.as_ptr();
    // Outside the scope: memory keeps the tag that it has.
    while table.len() < 100_000 {
        table.push(1);
    }
    let words = if table.as_ptr() == place {
        "where it was"
    } else {
        "elsewhere"
    };
    let held = HEAP.holding(TABLE).map_err(|_| fmt::Error)?;
    writeln!(out, "\nA table grew to {} bytes {words}.", held.bytes)
}

/// What would end the program from a destructor is an error where somebody asks.
fn give_back_twice(out: &mut Output) -> fmt::Result {
    let layout = Layout::new::<[u64; 4]>();
    let memory = HEAP.allocate(layout).map_err(|_| fmt::Error)?.cast();
    // SAFETY: just allocated, and used by nobody.
    unsafe { HEAP.deallocate(memory, layout) }.map_err(|_| fmt::Error)?;
    // SAFETY: used by nobody; nothing was allocated in between, so this is found.
    match unsafe { HEAP.deallocate(memory, layout) } {
        Ok(()) => Err(fmt::Error),
        Err(error) => writeln!(out, "Given back twice: {error}"),
    }
}
