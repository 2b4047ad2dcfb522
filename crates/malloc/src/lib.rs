//! `malloc` and its family, and C++'s `operator new`, over the program's one [`Global`](heap::Global) heap: for programs
//! that were built without it.
//!
//! # Safety
//!
//! The functions keep what C17 (7.22.3), POSIX and C++17 (21.6.2) ask of them.

#![no_std]
#![allow(unsafe_code)]

#[cfg(not(panic = "abort"))]
extern crate std;

mod family;
mod fault;

use heap::Global;

/// The program's heap.
static HEAP: Global = Global::new();
