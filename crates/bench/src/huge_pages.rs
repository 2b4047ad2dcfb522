//! Huge pages, for runs that are to have them: how each contender is told.
//!
//! What the benchmark makes, its own heaps and the arenas of peers that want memory given, asks here. Peers that take
//! their own memory from the kernel are told by the environment, as their manuals say.

use std::sync::atomic::{AtomicBool, Ordering};

use tagheap::Reserve;

/// What is in the environment of a worker: for jemalloc, glibc (and arenas over it), mimalloc.
pub(crate) const ENVIRONMENT: [(&str, &str); 3] = [
    ("_RJEM_MALLOC_CONF", "thp:always"),
    ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
    ("MIMALLOC_ALLOW_LARGE_OS_PAGES", "1"),
];

static WANTED: AtomicBool = AtomicBool::new(false);

/// Notes that this process is to have them.
pub(crate) fn want() {
    WANTED.store(true, Ordering::Relaxed);
}

pub(crate) fn are_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// The source of this project's heaps.
pub(crate) fn reserve() -> Reserve {
    let reserve = Reserve::new().expect("address space");
    match are_wanted() {
        true => reserve.in_huge_pages(),
        false => reserve,
    }
}
