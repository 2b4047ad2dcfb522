#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(std_allocator, feature(allocator_api))]
#![deny(unsafe_code)]
#![warn(clippy::std_instead_of_core)]

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("tagheap runs on x86-64 Linux only");

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

// The floors, lowest first: a file uses only floors below its own. They are there on one platform only, so
// that any other gets the one error above.

/* 0: pure values */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod words;

/* 1: the kernel, sources of memory, tables */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod ground;

/* 2: the row of blocks */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod memory;

/* 3: which block, and what becomes of its rest */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod policy;

/* 4: what is known of each tag */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tags;

/* 4: all of it together */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod heap;

/* 5: one heap in several hands */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod sharing;

/* 6: kinds of pools over the heap */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod pools;

/* 7: one heap for a whole program */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod global;

/* 7: the heap as others see it */
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod faces;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub use crate::{
    global::{
        Global, Holding, HoldingChange, Holdings, current_tag, replace_tag, scope, scope_async,
    },
    ground::clock::assume_cycles_per_second,
    ground::fatal::fatal,
    ground::source::{
        Refusal, Source,
        buffer::Buffer,
        program_break::{Break, BreakCall},
        reserve::Reserve,
    },
    ground::table::IndexMemory,
    heap::Heap,
    policy::{
        directory::Directory,
        placement::Placement,
        rule::{Rule, Split, Whole},
        scan::Scan,
    },
    pools::{
        buddy::Buddy,
        bump::{Bump, mark::BumpMark},
        classes::Classes,
        fixed::Fixed,
        free_list::FreeList,
        kind::Kind,
        lock_free::LockFree,
        locked::Locked,
        pool::Pool,
        priority::{Level, Priority},
        sets::WhenFull,
        size_classes::SizeClasses,
        stack::{Stack, mark::StackMark},
        timed::{Elapsed, Operation, Timed, Timing},
        typed::{Typed, own::Own},
    },
    sharing::{
        local_heap::LocalHeap,
        share::Share,
        shared_heap::{Futex, SharedHeap},
        thread::assume_one_thread,
    },
    words::{
        change::{Change, Changes, Numbers, TagChange},
        draw::{Drawing, Table},
        error::{Corruption, Error, Misuse, OutOfMemory, Shortage},
        extent::Extent,
        header::{Freed, Header, Key},
        root::Root,
        size::{Fit, HEADER, SMALLEST, UNIT},
        stats::{Amount, Forecast, Mark, Name, Stats, TagStats},
        tag::Tag,
        usage::{Alarm, Bell, Measure, Usage},
        walk::{Block, Bytes, Image, State, Walk},
    },
};

#[cfg(feature = "take-over")]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub use crate::ground::source::take_over::TakeOverError;

#[cfg(feature = "twin")]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub use crate::faces::twin;
