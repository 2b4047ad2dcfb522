//! Requests for which there is no memory: each is told, and answered as C has it.

use crate::tools::{build, run, source, succeed, with_library};

/// By which call it comes makes no difference.
#[test]
fn each_refusal_is_printed_where_a_report_is_asked_for() {
    let include = format!("-I{}", source("../../include").display());
    let program = build("gcc", "refusals", &["refusals.c"], &["-std=c11", &include]);
    assert_eq!(succeed(&mut with_library(&program)), "kept\n");
    let output = run(with_library(program).env("TAGHEAP_REPORT", "1"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let mut refused = told
        .lines()
        .filter_map(|line| line.strip_prefix("tagheap: out of memory: "));
    for size in 2_000_000..2_000_010 {
        let line = refused.next().unwrap_or_default();
        assert!(line.starts_with(&format!("{size} bytes ")), "{told}");
        assert!(
            line.contains(" for tag bounded: the tag's limit "),
            "{told}"
        );
    }
    assert_eq!(refused.next(), None);
}

/// C++'s own operator goes on where there is none, and asks again.
#[test]
fn each_refusal_of_new_is_printed_once() {
    let include = format!("-I{}", source("../../include").display());
    let flags = ["-std=c++17", &include];
    let program = build("g++", "refusals-new", &["refusals.cpp"], &flags);
    let output = run(with_library(program).env("TAGHEAP_REPORT", "1"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let refused = |size| told.matches(&format!(": {size} bytes ")).count();
    assert_eq!(
        [2_000_000, 2_000_001, 2_000_002].map(refused),
        [1; 3],
        "{told}"
    );
    // What C++'s own asks for where it aligns, at most so much more.
    assert_eq!(told.matches("out of memory").count(), 4, "{told}");
}

#[test]
fn a_signal_handler_in_the_middle_of_a_request_gets_none() {
    let program = build("gcc", "realloc-steps", &["realloc_steps.c"], &["-std=c99"]);
    for tags in ["", "library"] {
        let mut command = with_library(&program);
        assert_eq!(succeed(command.env("TAGHEAP_TAGS", tags)), "kept\n");
    }
}
