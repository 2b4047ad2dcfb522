//! What the scripts that need nightly say where they cannot run, with another `rustup` in the place of the real one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the sanitizers so that `rustup` is this shell script, or is not there at all, and cargo only says its arguments.
fn run_with(case: &str, rustup: Option<&str>, arguments: &[&str]) -> Output {
    run_script("sanitizers", case, rustup, arguments)
}

fn run_script(name: &str, case: &str, rustup: Option<&str>, arguments: &[&str]) -> Output {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).join(case);
    let _ = fs::remove_dir_all(&tools);
    fs::create_dir_all(&tools).expect("a folder");
    let put = |name: &str, text: &str| {
        let tool = tools.join(name);
        fs::write(&tool, format!("#!/bin/sh\n{text}\n")).expect("a file");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("permissions");
    };
    put("cargo", "echo \"$RUSTFLAGS\" \"$@\"");
    if let Some(text) = rustup {
        put("rustup", text);
    }
    let folders = format!("{}:/usr/bin:/bin", tools.display());
    Command::new("/bin/bash")
        .arg(format!("{}/scripts/{name}.sh", env!("CARGO_MANIFEST_DIR")))
        .args(arguments)
        .env("PATH", folders)
        .env_remove("RUSTFLAGS")
        .output()
        .expect("a shell")
}

fn assert_missing(output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("the nightly toolchain is missing"), "{told}");
    assert!(output.stdout.is_empty(), "nothing ran: {output:?}");
}

#[test]
fn it_says_when_the_nightly_toolchain_is_missing() {
    if !Path::new("/usr/bin/rustup").exists() && !Path::new("/bin/rustup").exists() {
        assert_missing(&run_with("none", None, &[]));
    }
    // Stable alone, as `rustup` answers then; or a nightly of another day, which `+nightly` is not.
    let others = "case $1 in\n\
        toolchain) echo stable-x86_64-unknown-linux-gnu; echo nightly-2020-01-01-x86_64-unknown-linux-gnu;;\n\
        *) echo \"error: toolchain 'nightly' is not installed\" >&2; exit 1;;\nesac";
    assert_missing(&run_with("others", Some(others), &[]));
}

#[test]
fn it_runs_what_is_asked_for_where_the_toolchain_is() {
    // It goes on with its list after the line that is looked for.
    let there = "[ \"$1\" = toolchain ] || exit 0\n\
        echo nightly-x86_64-unknown-linux-gnu\nsleep 0.2\necho stable-x86_64-unknown-linux-gnu || exit 1";
    let output = run_with("there", Some(there), &["address"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(told.contains("-Zsanitizer=address"), "{told}");
    assert!(
        told.contains("--cfg=asan"),
        "what is held is hidden: {told}"
    );
    assert!(!told.contains("-Zsanitizer=thread"), "{told}");
    let output = run_with("there, for both", Some(there), &[]);
    let told = String::from_utf8_lossy(&output.stdout);
    for name in ["address", "thread"] {
        assert!(told.contains(&format!("-Zsanitizer={name}")), "{told}");
    }
    let output = run_with("there, for none", Some(there), &["memory"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn the_fuzzer_says_what_is_missing() {
    let none = "echo \"error: toolchain 'nightly' is not installed\" >&2; exit 1";
    assert_missing(&run_script("fuzz", "none", Some(none), &["heap", "1"]));
    for arguments in [&["heaps"][..], &["heap", "no-such-input"]] {
        let output = run_script("fuzz", "there", Some("exit 0"), arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(output.stdout.is_empty(), "nothing ran: {output:?}");
    }
}
