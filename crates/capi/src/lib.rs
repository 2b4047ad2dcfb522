//! The C face of tagheap: what `include/tagheap.h` declares.
//!
//! Types and functions bear the header's names, and their comments are the header's, written for readers of
//! C. The header is made from them by a test, see `tests/capi/header.rs`.
//!
//! A release build has no std and no libc in it. One that unwinds, as debug builds do, cannot be without std on
//! a stable compiler; so those link it, and are for checking only.

#![no_std]
#![deny(unsafe_code)]
#![allow(non_camel_case_types, reason = "the header's names")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the header says what a caller owes, in the words of C"
)]

#[cfg(not(panic = "abort"))]
extern crate std;

// The header has things in this order.

/* Heaps. */
pub mod create;

pub mod blocks;

pub mod tags;

pub mod look;

pub mod changes;

/* Pools on them. */
pub mod alarm;

pub mod kinds;

pub mod pool;

pub mod moments;

pub mod times;

pub mod pooled;

/* One heap for the whole program. */
pub mod global;

/* The rest. */
pub mod status;

pub mod version;

// What is not in the header.

mod answer;
mod fault;
mod ground;
pub mod handle;
mod hosted;
mod latest;
mod making;
mod registry;
mod sharing;
mod text;
