//! The three routines by their short names, and the program break beneath them.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::library::{library, take_over_library};
use crate::tools::{BARE, GCC, package, program, run, scratch, told};

/// What the driver says: the three addresses on each line.
fn addresses(text: &str) -> Vec<Vec<usize>> {
    let line = |line: &str| {
        let (_, words) = line.split_once(": ").unwrap();
        let words = words.split(", ");
        words
            .map(|word| usize::from_str_radix(word.trim_start_matches("0x"), 16).unwrap())
            .collect()
    };
    text.lines().map(line).collect()
}

fn drive(library: &Path, flags: &[&str]) {
    let text = told(&mut Command::new(program("driver.c", library, flags)));
    let lines = addresses(&text);
    assert_eq!(lines.len(), 3, "{text}");
    for line in &lines {
        assert_eq!(
            [line[1] - line[0], line[2] - line[1]],
            [0x1b0, 0x40],
            "{text}"
        );
    }
    assert_eq!(
        lines[0], lines[2],
        "the same requests find the same memory: {text}"
    );
}

#[test]
fn the_driver_prints_the_differences_of_the_assembly() {
    drive(library(), &[]);
    drive(library(), &["-static"]);
    drive(library(), &["-fsanitize=address"]);
    drive(take_over_library(), &[]);
}

#[test]
fn without_libc_they_are_on_the_raw_break() {
    let to = scratch("programs").join("bare");
    let mut more = BARE.map(std::path::PathBuf::from).to_vec();
    more.extend([
        package("freestanding/mem.s"),
        library().join("libtagheap.a"),
    ]);
    GCC.build(&to, &[package("tests/capi/bare.c")], more);
    let status = run(&mut Command::new(to)).status;
    assert_eq!(status.code(), Some(0), "see bare.c for the number");
}

#[test]
fn misuse_of_them_is_one_line_and_an_abort() {
    const SIGABRT: i32 = 6;
    let program = program("careless.c", library(), &[]);
    for (way, what) in [
        ("double", "double free: the block at 0x"),
        ("released", "released block: the block at 0x"),
        ("interior", "not a block: no payload starts at 0x"),
        ("odd", "not a block: no payload starts at 0x"),
        ("wild", "not from this heap: 0x"),
        ("low", "not from this heap: 0x1"),
        ("damaged", "damaged header at 0x"),
        ("damaged pool", "damaged header at 0x"),
    ] {
        let output = run(Command::new(&program).arg(way));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{way}: {complaint}");
        let wanted = format!("tagheap: fatal: {what}");
        assert!(complaint.starts_with(&wanted), "{way}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{way}: {complaint}");
        assert!(
            complaint.ends_with('\n') && output.stdout.is_empty(),
            "{way}"
        );
    }
    told(Command::new(&program).arg("refused"));
}

#[test]
fn whoever_has_such_names_himself_keeps_them() {
    told(&mut Command::new(program("own_names.c", library(), &[])));
}

#[test]
fn the_break_of_a_libc_is_refused_or_taken_over() {
    const TH_OK: &str = "0";
    const TH_BREAK_OWNED: &str = "38";
    for flags in [&[][..], &["-static"]] {
        let refused = program("breaks.c", library(), flags);
        told(Command::new(refused).arg(TH_BREAK_OWNED));
        let taken = program("breaks.c", take_over_library(), flags);
        told(Command::new(taken).arg(TH_OK));
    }
}
