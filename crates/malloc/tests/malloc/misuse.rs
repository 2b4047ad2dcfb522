//! Misuse ends the program with a line that names it, and where the call came from.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::tools::{build, run, source, succeed, with_library};

#[test]
fn misuse_is_named_and_so_is_its_place() {
    // Programs that may lie anywhere, and such that lie where they say.
    for how in ["-pie", "-no-pie"] {
        let flags = ["-std=gnu11", how];
        is_named(&build(
            "gcc",
            &format!("careless{how}"),
            &["careless.c"],
            &flags,
        ));
    }
}

fn is_named(program: &Path) {
    let source = fs::read_to_string(source("careless.c")).unwrap();
    let expected = [
        ("double free", "free"),
        ("double free", "free"),
        ("not a block", "free"),
        ("not a block", "free"),
        ("not from this heap", "free"),
        ("double free", "realloc"),
        ("double free", "malloc_usable_size"),
        ("damaged", "free"),
    ];
    for (number, (what, call)) in expected.into_iter().enumerate() {
        let output = run(with_library(program).arg(number.to_string()));
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(6), "{number}: {told}");
        let head = told.starts_with("tagheap: fatal: ") && told.lines().count() == 1;
        assert!(head && told.contains(what), "{number}: {told}");
        let (_, place) = told.split_once(&format!(" op={call} ptr=0x")).unwrap();
        let from = format!(" from={}+", program.display());
        let (_, offset) = place.split_once(&from).unwrap();
        let mut ask = Command::new("addr2line");
        let line = succeed(ask.arg("-e").arg(program).arg(offset.trim()));
        let case = source
            .lines()
            .position(|line| line.contains(&format!("case {number}:")));
        let expected = format!("careless.c:{}", case.unwrap() + 1);
        assert!(line.contains(&expected), "{number}: {line}");
    }
}
