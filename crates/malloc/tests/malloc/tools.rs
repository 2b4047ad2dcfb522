//! The library, built as a user builds it, and programs that run with it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A file of these tests.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/malloc")
        .join(name)
}

/// A folder for what tests build.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The library, in release.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = scratch("library");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--release", "--locked", "--lib"]);
        command
            .arg("--manifest-path")
            .arg(source("../../Cargo.toml"));
        command.arg("--target-dir").arg(&target);
        // Flags meant for this test, such as a sanitizer's, do not suit a library without std.
        for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            command.env_remove(flags);
        }
        succeed(&mut command);
        target.join("release/libtagheap_malloc.so")
    })
}

/// Runs a command; how it ended.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command that must end well; its standard output.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{told}",
        output.status
    );
    assert!(!told.contains("tagheap: fatal"), "{command:?}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Builds a program, or with flags for that a library, of sources of these tests.
pub(crate) fn build(compiler: &str, name: &str, sources: &[&str], flags: &[&str]) -> PathBuf {
    let to = scratch("programs").join(name);
    let mut command = Command::new(compiler);
    // Else compilers know what malloc and free do, and leave calls out.
    command.args(["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-builtin"]);
    command.arg("-o").arg(&to);
    command.args(sources.iter().map(|name| source(name)));
    succeed(command.args(flags));
    to
}

/// A program to be run with the library, if it is on this machine.
pub(crate) fn with_library(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", library());
    for name in ["TAGHEAP_REPORT", "TAGHEAP_TAGS"] {
        command.env_remove(name);
    }
    command
}

/// The tables in a report, each with the line that names its program.
pub(crate) fn tables(report: &Path) -> Vec<String> {
    let told = fs::read_to_string(report).unwrap();
    told.split("tagheap: ").skip(1).map(str::to_owned).collect()
}

/// Of the line of a table for a tag: objects, bytes, and those held now and at most.
pub(crate) fn line(table: &str, tag: &str) -> Option<[usize; 4]> {
    let line = table.lines().find_map(|line| {
        let rest = line.strip_prefix(tag)?;
        rest.starts_with(' ').then_some(rest)
    })?;
    let numbers: Vec<_> = line
        .split_whitespace()
        .map(|word| word.parse().ok())
        .collect();
    match numbers[..] {
        [Some(objects), Some(bytes), Some(held), peak] => Some([objects, bytes, held, peak?]),
        _ => None,
    }
}
