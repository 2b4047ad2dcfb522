//! The library, built as a user builds it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::tools::{package, scratch, told};

/// The folder with libtagheap.a and libtagheap.so, in release.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("library", &[]))
}

/// As [`library`], with the feature `take-over`.
pub(crate) fn take_over_library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("take-over", &["--features", "take-over"]))
}

fn build(name: &str, more: &[&str]) -> PathBuf {
    let target = scratch(name);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--lib",
        "--manifest-path",
    ]);
    command.arg(package("Cargo.toml"));
    command.arg("--target-dir").arg(&target).args(more);
    // Flags meant for this test, such as a sanitizer's, do not suit a library without std.
    for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(flags);
    }
    told(&mut command);
    target.join("release")
}
