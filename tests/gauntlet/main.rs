//! The gauntlet: bad input and bad luck, and the one defined answer to each.
//!
//! A test bears the letter and number of its row in the list of faults. Each is generic over the
//! configuration, and `stamp!` runs it on every one: see `support.rs` for the list.
//!
//! Rows without a test here:
//!
//! - A02: a heap's own interface is Rust's, so size 0 is A01's test; that values of no size ask for nothing is seen
//!   where there are values: `serves_nothing` in `tests/pools`, `tests/global`.
//! - A06: a [`Layout`](core::alloc::Layout) cannot be made of an alignment that is no power of two.
//! - A09, C04: null pointers and out parameters exist in C only; here a pointer is `NonNull`.
//! - C02: a stale free after the address was given to somebody else takes the block from its new
//!   holder. That is the documented gap; `misuse.rs` shows it with the tag claim that closes it.
//! - B09, B12, B13: the real program break: `tests/program_break`.
//! - B15, D08 to D11: pools and destructors, which a heap has not: `tests/pools`, `tests/lifetimes`.
//! - F01 to F07: threads, signals and forks, for which a heap is shared: `tests/pools`, `tests/global`; F04 under
//!   a model checker: `crates/interleave`.
//! - F08, F09: thread-locals, the ends of threads and programs, panics: `tests/global`. The loader is not asked to
//!   load this heap in place of libc's: there are no symbols for that.
//! - T01, T02: the twin and the model: `tests/parity`. T03: the twin's headers carry no check word to be damaged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    missing_docs,
    reason = "tests"
)]

#[macro_use]
mod support;

mod careless;
mod claims;
mod damage;
mod dumps;
mod exhaustion;
mod ground;
mod growth;
mod held;
mod huge_pages;
mod large;
mod limits;
mod mappings;
mod misuse;
mod purge;
mod release;
mod requests;
mod resize;
mod rig;
mod scene;
mod shadow;
mod stale;
mod tags;
