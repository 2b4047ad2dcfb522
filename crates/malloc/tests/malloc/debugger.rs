//! A debugger that calls functions of the library in a program that it stopped anywhere.

use std::process::Command;

use crate::tools::{build, library, line};

fn ask(program: &str, steps: &[&str]) -> Option<String> {
    let mut command = Command::new("gdb");
    command.env_remove("LD_PRELOAD").args(["--batch", "-nx"]);
    for step in steps {
        command.args(["-ex", step]);
    }
    let output = command.arg(program).output().ok()?;
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn a_debugger_prints_the_table_wherever_it_stopped() {
    let program = build("gcc", "asks", &["asks.c"], &[]);
    let program = program.to_str().unwrap();
    let runs = ask(program, &["set startup-with-shell off", "run"]);
    if !runs.is_some_and(|told| told.contains("exited normally")) {
        println!("left out: no debugger that may run a program here");
        return;
    }
    let preload = format!("set environment LD_PRELOAD {}", library().display());
    let told = ask(
        program,
        &[
            "set startup-with-shell off",
            &preload,
            "break main",
            "run",
            // In the middle of a request, with the lock taken.
            "catch syscall mmap",
            "catch syscall mprotect",
            "continue",
            "call (void)malloc_stats()",
            "delete",
            "break has",
            "continue",
            "call (void)malloc_stats()",
        ],
    );
    let told = told.unwrap();
    let why = "tagheap: no report: re-entered: this thread is using the heap or pool already\n";
    assert!(told.contains(why), "{told}");
    let of = line(&told, "untagged").unwrap();
    assert_eq!(of[..2], [1, 100_000_000], "{told}");
}
