//! Programs in C that do what they should not, and what they may from many threads.

use std::collections::BTreeMap;
use std::process::Command;

use crate::library::library;
use crate::tools::{SANITIZED, program, told};

const WAYS: [&[&str]; 2] = [&[], SANITIZED];

/// How often each line was told.
fn lines(text: &str) -> BTreeMap<&str, usize> {
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        *lines.entry(line).or_default() += 1;
    }
    lines
}

#[test]
fn bad_input_from_c_ends_as_the_header_says() {
    const HEAPS: usize = 5;
    for flags in WAYS {
        let text = told(&mut Command::new(program("gauntlet.c", library(), flags)));
        let rows = lines(&text);
        assert!(rows.values().all(|times| *times == HEAPS), "{rows:?}");
        for id in [
            "a01", "a04_a05", "a06", "c01", "c03", "c04", "c05", "c08", "c09", "c10", "d01", "d02",
            "d03", "d04", "d06", "e01", "g05",
        ] {
            assert!(rows.keys().any(|row| row.starts_with(id)), "{id}: {rows:?}");
        }
    }
}

pub(crate) const KINDS: [&str; 13] = [
    "blocks",
    "fixed",
    "fixed_growing",
    "lock_free",
    "bump",
    "size_classes",
    "size_classes_with_chunk",
    "classes",
    "priority",
    "stack",
    "stack_with_limit",
    "free_list",
    "buddy",
];

#[test]
fn every_kind_of_pool_serves_c() {
    for flags in WAYS {
        let text = told(&mut Command::new(program("kinds.c", library(), flags)));
        let kinds = lines(&text);
        for kind in KINDS.into_iter().chain(["orders", "locks"]) {
            assert_eq!(kinds.get(kind), Some(&3), "{kind}: {kinds:?}");
        }
        assert_eq!(kinds.get("parts"), Some(&2), "{kinds:?}");
        assert_eq!(kinds.get("trim"), Some(&10), "{kinds:?}");
        for options in ["chunks", "limits"] {
            assert_eq!(kinds.get(options), Some(&6), "{options}: {kinds:?}");
        }
    }
}

#[test]
fn changes_between_two_moments_are_told() {
    for flags in WAYS {
        let text = told(&mut Command::new(program("changes.c", library(), flags)));
        let rows = lines(&text);
        let wanted = ["changes", "snapshots", "tables"].map(|row| (row, 3));
        assert_eq!(rows, wanted.into());
    }
}

#[test]
fn watermarks_call_and_moments_are_gone_back_to_and_times_are_taken() {
    for flags in WAYS {
        for source in ["alarms.c", "moments.c", "times.c"] {
            let text = told(&mut Command::new(program(source, library(), flags)));
            assert!(text.lines().eq(KINDS), "{source}: {text}");
        }
    }
}

#[test]
fn threads_and_children_and_handlers_share_a_heap() {
    for flags in WAYS {
        let flags = [flags, &["-std=c11", "-pthread"]].concat();
        let text = told(&mut Command::new(program("threads.c", library(), &flags)));
        assert_eq!(text, "threads\n");
    }
}
