//! What the library puts in the place of what programs have: no more than that.

use std::fs;
use std::process::Command;

use crate::tools::{library, source, succeed};

/// All it defines for others.
const DEFINED: [&str; 53] = [
    "_ZdaPv",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdaPvSt11align_val_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvm",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPv",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdlPvm",
    "_ZdlPvmSt11align_val_t",
    "_Znam",
    "_ZnamRKSt9nothrow_t",
    "_ZnamSt11align_val_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_Znwm",
    "_ZnwmRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "__libc_calloc",
    "__libc_free",
    "__libc_malloc",
    "__libc_memalign",
    "__libc_pvalloc",
    "__libc_realloc",
    "__libc_valloc",
    "aligned_alloc",
    "calloc",
    "cfree",
    "dlopen",
    "free",
    "free_aligned_sized",
    "free_sized",
    "malloc",
    "malloc_stats",
    "malloc_trim",
    "malloc_usable_size",
    "memalign",
    "posix_memalign",
    "pvalloc",
    "realloc",
    "reallocarray",
    "tagheap_malloc_holding",
    "tagheap_malloc_report",
    "tagheap_malloc_reset_peak",
    "tagheap_malloc_set_limit",
    "tagheap_malloc_set_name",
    "tagheap_malloc_tags",
    "tagheap_scope_enter",
    "tagheap_scope_leave",
    "tagheap_scope_tag",
    "valloc",
];

/// The names of its own are the header's, all of them.
#[test]
fn the_header_declares_what_is_defined() {
    let header = fs::read_to_string(source("../../include/tagheap_malloc.h")).unwrap();
    let mut declared: Vec<_> = header
        .lines()
        .filter_map(|line| line.strip_prefix("TH_MALLOC_WEAK extern ")?.split_once('('))
        .filter_map(|(front, _)| front.split_whitespace().last())
        .collect();
    declared.sort_unstable();
    let own = DEFINED.iter().filter(|name| name.starts_with("tagheap_"));
    assert!(own.eq(&declared), "{declared:?}");
}

#[test]
fn it_defines_the_family_and_what_is_in_the_header() {
    let table = succeed(
        Command::new("readelf")
            .args(["--wide", "--dyn-syms"])
            .arg(library()),
    );
    let mut defined: Vec<_> = table
        .lines()
        .filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                [_, _, _, "FUNC" | "OBJECT" | "NOTYPE", _, _, section, name]
                    if section != "UND" =>
                {
                    Some(name)
                }
                _ => None,
            }
        })
        .collect();
    defined.sort_unstable();
    assert_eq!(defined, DEFINED);
}

#[test]
fn it_takes_the_c_library_alone() {
    let table = succeed(
        Command::new("readelf")
            .args(["--wide", "--dynamic"])
            .arg(library()),
    );
    let needed: Vec<_> = table
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .collect();
    assert!(!needed.is_empty(), "{table}");
    for line in needed {
        // Before glibc 2.34, it was three libraries.
        let names = ["libc.so.6", "libdl.so.2", "libpthread.so.0"];
        assert!(names.iter().any(|name| line.contains(name)), "{line}");
    }
}
