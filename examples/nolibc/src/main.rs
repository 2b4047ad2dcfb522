//! A program without libc: `Vec`, `String` and `format!` over a tagged heap at the program break.
//!
//! It is static, starts at its own `_start`, and makes three system calls: `brk`, `write` and
//! `exit_group`. Everything under a tag goes in one call, as in any other program with this heap.
//!
//! ```text
//! cargo build --release --manifest-path examples/nolibc/Cargo.toml
//! examples/nolibc/target/release/nolibc
//! ```

#![no_std]
#![no_main]

extern crate alloc;

mod allocator;
mod bare;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::mem;

use allocator::Global;
use bare::Output;
use tagheap::Tag;

#[global_allocator]
static GLOBAL: Global = Global::new();

const PRIMES: Tag = Tag::named("primes");
const POEM: Tag = Tag::named("poem");

/// The program proper; called by `_start`, answers the exit status.
fn main() -> u8 {
    match tell() {
        Ok(()) => 0,
        Err(core::fmt::Error) => 1,
    }
}

fn tell() -> core::fmt::Result {
    let mut out = Output::standard();

    let primes: Vec<u64> = GLOBAL.under(PRIMES, || (2..).filter(is_prime).take(1_000).collect());
    let poem = GLOBAL.under(POEM, || {
        let mut lines: Vec<String> = Vec::new();
        for bottles in (1..=50).rev() {
            lines.push(format!("{bottles} green bottles hanging on the wall,"));
        }
        lines
    });
    let last = primes.last().copied().unwrap_or_default();
    writeln!(out, "The {}th prime is {last}.", primes.len())?;
    let first = poem.first().map_or("", |line| line);
    writeln!(out, "The poem begins: {first}")?;

    writeln!(out, "\nWho holds what, in a program without libc:\n")?;
    GLOBAL.print_table(&mut out)?;

    let place = poem.as_ptr().addr();
    // Their destructors would free line after line. The release takes them all at once.
    mem::forget(poem);
    // SAFETY: all that was allocated under this tag was the poem, which nobody has any more.
    let released = unsafe { GLOBAL.release(POEM) }.map_err(|_| core::fmt::Error)?;
    writeln!(out, "\nThe poem is released in one call: {released}.\n")?;
    GLOBAL.print_table(&mut out)?;

    let next = GLOBAL.under(POEM, || Vec::<String>::with_capacity(1));
    let lower = next.as_ptr().addr() <= place;
    let words = if lower { "in the memory of" } else { "behind" };
    writeln!(out, "\nThe next poem begins {words} the last one.")
}

fn is_prime(number: &u64) -> bool {
    let mut divisors = (2..).take_while(|divisor| divisor * divisor <= *number);
    divisors.all(|divisor| !number.is_multiple_of(divisor))
}
