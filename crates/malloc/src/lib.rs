//! `malloc` and its family, and C++'s operators `new` and `delete`, over the program's one [`Global`] heap: for programs
//! that are built already. `LD_PRELOAD` puts this library in the C library's place.
//!
//! # The way of a request
//!
//! An entry (`entry`) hands on what it was called with, and from where. `family` and `operators` make a layout of it and
//! ask the heap; where the environment asks for that, under the tag of the library that called (`libraries`), unless the
//! thread is in a scope that has a tag (`scopes`). What is not for it to do goes to whom the call would have come to without
//! it (`next`).
//!
//! # What programs ask of it by name
//!
//! `include/tagheap_malloc.h` has functions for programs of C and C++ that know of it: scopes (`scopes`), names, limits and
//! numbers of tags (`tags`), the table (`report`). They are inline there, and look first whether the ones behind them are
//! there, which have names of their own and are weak: so a program links and runs without the library. How a call ends is a
//! number (`status`), as in `crates/capi`, whose header may be included beside it, and whose library may be there too: no name
//! is in both.
//!
//! What is in a scope is changed by the thread that is in it alone, and by its signal handlers: two words of thread-local
//! memory, and the tag that the heap keeps for the thread. No request looks at the two unless memory is tagged by library.
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
mod report;
mod scopes;
mod status;
mod tags;

use heap::Global;

/// The program's heap.
static HEAP: Global = Global::new();

/// To what everything is aligned, as `max_align_t` of the System V ABI for x86-64 is.
const ALIGN: usize = 16;
