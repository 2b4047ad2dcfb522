//! `libtagheap_malloc.so` in the C library's place: under programs that say what C asks of it, that misuse it, whose
//! libraries hold memory, that tag it themselves, and under such as are on most machines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod debugger;
mod libraries;
mod loaded;
mod misuse;
mod others;
mod promises;
mod refusals;
mod scopes;
mod symbols;
mod tools;
