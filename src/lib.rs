#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]
#![warn(clippy::std_instead_of_core)]

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("tagheap runs on x86-64 Linux only");

#[cfg(test)]
extern crate std;

// The floors, lowest first: a file uses only floors below its own.

/* 0: pure values */
mod words;

/* 1: the kernel, sources of memory, tables */
mod ground;

/* 2: the row of blocks */
mod memory;

/* 3: which block, and what becomes of its rest */
mod policy;

/* 4: what is known of each tag */
mod tags;

/* 4: all of it together */
mod heap;

/* 7: the heap as others see it */
mod faces;

pub use heap::Heap;

pub use ground::table::IndexMemory;
pub use policy::directory::Directory;
pub use policy::placement::Placement;
pub use policy::rule::{Rule, Split, Whole};
pub use policy::scan::Scan;

pub use ground::source::buffer::Buffer;
pub use ground::source::program_break::{Break, BreakCall};
pub use ground::source::reserve::Reserve;
#[cfg(feature = "take-over")]
pub use ground::source::take_over::TakeOverError;
pub use ground::source::{Refusal, Source};

pub use words::draw::{Drawing, Table};
pub use words::error::{Corruption, Error, Misuse, OutOfMemory, Shortage};
pub use words::extent::Extent;
pub use words::header::{Freed, Header, Key};
pub use words::root::Root;
pub use words::size::{Fit, HEADER, SMALLEST, UNIT};
pub use words::stats::{Amount, Forecast, Mark, Name, Stats, TagStats};
pub use words::tag::Tag;
pub use words::walk::{Block, Bytes, Image, State, Walk};

#[cfg(feature = "twin")]
pub use faces::twin;
