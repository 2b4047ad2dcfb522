//! The assembly twin by itself: assembled by plain `as`, linked into a program without libc, on the raw break.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

#[test]
fn it_runs_on_the_raw_break_of_a_program_without_libc() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (object, program) = (folder.join("heap.o"), folder.join("twin-driver"));
    let assembled = Command::new("as")
        .arg("-o")
        .arg(&object)
        .arg(root.join("asm/heap.s"))
        .status();
    assert!(assembled.unwrap().success(), "plain `as` assembles it");
    let built = Command::new("gcc")
        .args([
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-nostdlib",
            "-static",
            "-ffreestanding",
        ])
        .args(["-fno-stack-protector", "-o"])
        .arg(&program)
        .arg(root.join("tests/twin/driver.c"))
        .arg(&object)
        .status();
    assert!(built.unwrap().success(), "gcc links it without libc");
    let status = Command::new(&program).status().unwrap();
    assert_eq!(status.code(), Some(0), "see driver.c for the number");
}
