//! Memory for contenders that want it given.

use std::ptr::{self, NonNull};

use crate::huge_pages;

/// Bytes given: several times what the largest workload needs. Only what is touched costs memory.
pub(crate) const BYTES: usize = 1 << 30;

/// Zeroed memory of a mapping that stays until the process ends.
pub(crate) fn map() -> NonNull<[u8]> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping touches nobody's memory.
    let start = unsafe { libc::mmap(ptr::null_mut(), BYTES, access, kind, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED, "1 GiB of address space");
    if huge_pages::are_wanted() {
        // SAFETY: the mapping is new.
        unsafe { libc::madvise(start, BYTES, libc::MADV_HUGEPAGE) };
    }
    let start = NonNull::new(start.cast()).unwrap();
    NonNull::slice_from_raw_parts(start, BYTES)
}
