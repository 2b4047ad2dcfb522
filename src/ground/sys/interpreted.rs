//! What stands in the kernel's place where Miri interprets the program, which has few of its calls: mappings are
//! allocations of Rust's, whose bounds it watches.
//!
//! There is no program break, and no clock but a counter that goes on by the same number at each look.
//!
//! # Safety
//!
//! Each function does what the one of its name in `kernel` does, as far as it is asked here: a mapping is moved and given
//! back whole, and what is only reserved can be read and written, too.
#![allow(unsafe_code)]

extern crate std;

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use std::alloc::System;

use rustix::io::{Errno, Result};
use rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};

use crate::ground::sys::PAGE;

/// Bytes from which on a mapping is refused: no memory of an interpreter is there only when it is touched.
const TOO_LARGE: usize = 32 << 20;

fn layout(bytes: usize) -> Result<Layout> {
    let layout = Layout::from_size_align(bytes, PAGE).ok();
    let layout = layout.filter(|layout| (1..TOO_LARGE).contains(&layout.size()));
    layout.ok_or(Errno::NOMEM)
}

pub(super) unsafe fn mmap_anonymous(
    _: *mut c_void,
    bytes: usize,
    _: ProtFlags,
    _: MapFlags,
) -> Result<*mut c_void> {
    // The system's, for the program's may be ours.
    // SAFETY: not of size 0.
    let base = unsafe { System.alloc_zeroed(layout(bytes)?) };
    if base.is_null() {
        return Err(Errno::NOMEM);
    }
    // Reached by its address, too, as the kernel's is.
    base.expose_provenance();
    Ok(base.cast())
}

pub(super) unsafe fn mremap(
    base: *mut c_void,
    old: usize,
    new: usize,
    _: MremapFlags,
) -> Result<*mut c_void> {
    let (access, flags) = (ProtFlags::empty(), MapFlags::PRIVATE);
    // SAFETY: new memory touches nobody's.
    let moved = unsafe { mmap_anonymous(ptr::null_mut(), new, access, flags)? };
    // SAFETY: the caller's own, and what is new; as many bytes as both have.
    unsafe { moved.copy_from_nonoverlapping(base, old.min(new)) };
    // SAFETY: the caller's own.
    unsafe { munmap(base, old)? };
    Ok(moved)
}

pub(super) unsafe fn mremap_fixed(
    _: *mut c_void,
    _: usize,
    _: usize,
    _: MremapFlags,
    _: *mut c_void,
) -> Result<*mut c_void> {
    Err(Errno::NOSYS)
}

pub(super) unsafe fn munmap(base: *mut c_void, bytes: usize) -> Result<()> {
    // SAFETY: the caller's own, of that size.
    unsafe { System.dealloc(base.cast(), layout(bytes)?) };
    Ok(())
}

pub(super) unsafe fn madvise(start: *mut c_void, bytes: usize, advice: Advice) -> Result<()> {
    if advice == Advice::LinuxDontNeed {
        // SAFETY: the caller's own, and nobody needs what it holds.
        unsafe { start.write_bytes(0, bytes) };
    }
    Ok(())
}

pub(super) unsafe fn mprotect(_: *mut c_void, _: usize, _: MprotectFlags) -> Result<()> {
    Ok(())
}

pub(crate) unsafe fn brk(_: usize) -> usize {
    0
}

pub(crate) fn cycles() -> u64 {
    const STEP: u64 = 100;
    static CYCLES: AtomicU64 = AtomicU64::new(0);
    CYCLES.fetch_add(STEP, Ordering::Relaxed)
}

pub(crate) fn monotonic_time() -> Option<[u64; 2]> {
    None
}
