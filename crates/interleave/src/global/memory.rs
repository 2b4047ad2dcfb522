//! The memory of a model: zeroed, at the same addresses in each run, and there until the next run begins.

use std::alloc::{Layout, alloc_zeroed};
use std::cell::Cell;

const BYTES: usize = 64 << 10;

thread_local! {
    static START: Cell<*mut u8> = const { Cell::new(std::ptr::null_mut()) };
    static USED: Cell<usize> = const { Cell::new(0) };
}

/// Begins a run: nobody uses what the last one took.
pub(super) fn begin() {
    if START.get().is_null() {
        let layout = Layout::from_size_align(BYTES, 4096).unwrap();
        // SAFETY: not of size 0. It stays for the rest of the process.
        START.set(unsafe { alloc_zeroed(layout) });
    }
    // Atomics do not change what lies there.
    USED.set(0);
}

/// So many of something of which all-zero bytes are one.
pub(super) fn zeroed_slice<T>(count: usize) -> &'static [T] {
    let layout = Layout::array::<T>(count).unwrap();
    let from = USED.get().next_multiple_of(layout.align().max(64));
    assert!(from + layout.size() <= BYTES);
    USED.set(from + layout.size());
    // SAFETY: within the memory.
    let at = unsafe { START.get().add(from) };
    // SAFETY: zeroed, aligned, and nobody else's in this run.
    unsafe { std::slice::from_raw_parts(at.cast(), count) }
}

/// Something of which all-zero bytes are one.
pub(super) fn zeroed<T>() -> &'static T {
    &zeroed_slice(1)[0]
}

/// Whether an address is one of the memory's.
pub(super) fn contains(at: usize) -> bool {
    let from = START.get().addr();
    (from..from + BYTES).contains(&at)
}
