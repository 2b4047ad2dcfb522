//! Where the examples' programs are, and how to run them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The program of `examples/NAME.rs`, next to this test's: `cargo test` has built it, unless it was asked for
/// this test alone.
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().expect("a path");
    // target/PROFILE/deps/examples-HASH
    let profile = test.ancestors().nth(2).expect("two folders up");
    let program = profile.join("examples").join(name);
    if !is_current(&program, name) {
        build(profile, name);
    }
    Command::new(program)
}

/// Whether the program exists and is younger than all that it is made from.
fn is_current(program: &Path, name: &str) -> bool {
    let Ok(built) = fs::metadata(program).and_then(|data| data.modified()) else {
        return false;
    };
    let root = Path::new(ROOT);
    let example = format!("examples/{name}.rs");
    let sources = ["src", "asm", "crates", &example].map(|source| root.join(source));
    sources.iter().all(|source| newest(source) <= built)
}

fn newest(path: &Path) -> SystemTime {
    let own = fs::metadata(path).and_then(|data| data.modified());
    let own = own.expect("a time of change");
    let Ok(folder) = fs::read_dir(path) else {
        return own;
    };
    folder
        .map(|entry| newest(&entry.expect("an entry").path()))
        .fold(own, SystemTime::max)
}

fn build(profile: &Path, name: &str) {
    let mut command = cargo("build");
    command.args(["--example", name]).current_dir(ROOT);
    command
        .arg("--target-dir")
        .arg(profile.parent().expect("a folder up"));
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(profile) => {
            command.args(["--profile", profile]);
        }
    }
    succeed(command);
}

/// A program without libc, of `examples/nolibc`, which is a package of its own.
pub(crate) fn nolibc(name: &str) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let programs = BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nolibc");
        let mut command = cargo("build");
        command
            .args(["--release", "--locked", "--manifest-path"])
            .arg(Path::new(ROOT).join("examples/nolibc/Cargo.toml"))
            .arg("--target-dir")
            .arg(&target);
        // Flags meant for this test, such as a sanitizer's, do not suit a program without libc.
        for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            command.env_remove(flags);
        }
        succeed(command);
        target.join("release")
    });
    Command::new(programs.join(name))
}

pub(crate) fn run(mut command: Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What `readelf` says about the program that `command` would run.
pub(crate) fn readelf(questions: &[&str], command: Command) -> String {
    let mut readelf = Command::new("readelf");
    readelf.args(questions).arg(command.get_program());
    String::from_utf8(succeed(readelf).stdout).expect("text")
}

fn cargo(what: &str) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args([what, "--quiet"]);
    command
}

fn succeed(command: Command) -> Output {
    let name = format!("{command:?}");
    let output = run(command);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name}: {}\n{complaint}",
        output.status
    );
    output
}
