//! The C library as C programs meet it: built, linked, run, misused, installed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod examples;
mod faces;
mod gauntlet;
mod header;
mod install;
mod library;
mod names;
mod statuses;
mod symbols;
#[path = "../../../../tests/examples/system_calls.rs"]
mod system_calls;
mod tools;
