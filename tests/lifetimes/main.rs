//! What the compiler must refuse: uses after a reset, a rewind, a release (D08), and from the wrong thread (D10), and safe
//! code in the place of what is trusted (P01).
//!
//! The programs under `refused/` differ from ones that compile in the lines that end in a comment such as
//! `//~ E0502`: there, and nowhere else, the compiler must find this error. Its words are not compared, for every
//! compiler has others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod accepted;
mod compiler;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::compiler::Compiler;

/// Lines, and the codes of the errors there.
type Errors = BTreeSet<(usize, String)>;

const MARK: &str = "//~ ";

/// The errors that a program says it has.
fn marked(program: &Path) -> Errors {
    let text = fs::read_to_string(program).unwrap();
    let lines = (1..).zip(text.lines());
    let marks = lines.filter_map(|(line, text)| Some((line, text.split_once(MARK)?.1.to_owned())));
    marks.collect()
}

/// Compiles all programs whose names begin so; answers how many those are.
fn refuses(row: &str) -> usize {
    let compiler = Compiler::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lifetimes/refused");
    let programs = fs::read_dir(folder).unwrap();
    let programs = programs.map(|program| program.unwrap().path());
    let programs = programs.filter(|program| {
        let name = program.file_name().unwrap();
        name.to_str().unwrap().starts_with(row)
    });
    programs
        .inspect(|program| {
            let (found, told) = compiler.errors_of(program);
            let marked = marked(program);
            assert!(!marked.is_empty(), "{}: no mark", program.display());
            assert_eq!(found, marked, "{}:\n{told}", program.display());
        })
        .count()
}

#[test]
fn d08_nothing_outlives_its_pool() {
    assert!(refuses("d08_") >= 14);
}

#[test]
fn d10_what_stays_in_a_thread_is_neither_sent_nor_shared() {
    assert!(refuses("d10_") >= 10);
}

#[test]
fn p01_safe_code_does_not_stand_in_for_what_is_trusted() {
    assert!(refuses("p01_") >= 2);
}
