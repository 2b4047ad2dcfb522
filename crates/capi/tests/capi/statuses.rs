//! Every status has a number and a line of its own.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::library::library;
use crate::tools::{GCC, package, scratch, told};

#[test]
fn every_status_has_a_line_of_its_own() {
    let header = fs::read_to_string(package("include/tagheap.h")).unwrap();
    let (_, behind) = header.split_once("typedef enum {").expect("the statuses");
    let (inside, _) = behind.split_once("} th_status;").expect("their end");
    let names: Vec<_> = inside
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.trim())
        .collect();
    assert!(names.len() > 30, "{names:?}");

    let mut source = String::from("#include <stdio.h>\n#include \"tagheap.h\"\nint main(void) {\n");
    for name in &names {
        writeln!(source, "puts(th_strerror({name}));").unwrap();
    }
    for unknown in ["-1", "9", "47", "1000", "2147483647", "(-2147483647 - 1)"] {
        writeln!(source, "puts(th_strerror({unknown}));").unwrap();
    }
    source.push_str("return 0;\n}\n");
    let (text, program) = (
        scratch("programs").join("statuses.c"),
        scratch("programs").join("statuses"),
    );
    fs::write(&text, source).unwrap();
    GCC.build(&program, &[text], [library().join("libtagheap.a")]);

    let said = told(&mut Command::new(program));
    let (known, unknown) = said
        .lines()
        .enumerate()
        .partition::<Vec<_>, _>(|(i, _)| *i < names.len());
    let different: BTreeSet<_> = known.iter().map(|(_, line)| *line).collect();
    assert_eq!(different.len(), names.len(), "{said}");
    assert!(
        !different.contains("unknown status") && !different.contains(""),
        "{said}"
    );
    assert!(
        unknown.iter().all(|(_, line)| *line == "unknown status"),
        "{said}"
    );
}
