//! `malloc` and its family, and C++'s operators `new` and `delete`, over the program's one [`Global`] heap: for programs
//! that are built already. `LD_PRELOAD` puts this library in the C library's place.
//!
//! # The way of a request
//!
//! An entry (`entry`) hands on what it was called with, and from where. `family` and `operators` make a layout of it and
//! ask the heap; where the environment asks for that, under the tag of the library that called (`libraries`). What is not
//! for it to do goes to whom the call would have come to without it (`next`).
//!
//! # Safety
//!
//! The functions keep what C17 (7.22.3), POSIX and C++17 (21.6.2) ask of them; what those ask of callers, they rely on
//! no further than the heap does, which finds misuse.

#![no_std]
#![allow(unsafe_code)]

#[cfg(not(panic = "abort"))]
extern crate std;

mod entry;
mod family;
mod fault;
mod forks;
mod libraries;
mod next;
mod opening;
mod operators;

use heap::Global;

/// The program's heap.
static HEAP: Global = Global::new();

/// To what everything is aligned, as `max_align_t` of the System V ABI for x86-64 is.
const ALIGN: usize = 16;
