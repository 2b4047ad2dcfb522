//! What C and C++ promise.

use crate::tools::{build, succeed, with_library};

/// Each by default and with memory tagged by library.
fn keeps(program: &std::path::Path) {
    assert_eq!(succeed(&mut with_library(program)), "kept\n");
    let tagged = succeed(with_library(program).env("TAGHEAP_TAGS", "library"));
    assert_eq!(tagged, "kept\n");
}

#[test]
fn the_functions_of_c_keep_what_is_promised() {
    keeps(&build(
        "gcc",
        "promises",
        &["promises.c"],
        &["-std=gnu11", "-pthread"],
    ));
}

#[test]
fn the_operators_of_cxx_keep_what_is_promised() {
    let flags = ["-std=c++17", "-pthread"];
    keeps(&build("g++", "operators", &["promises.cpp"], &flags));
}
