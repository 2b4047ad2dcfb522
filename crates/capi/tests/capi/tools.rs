//! Programs that tests call, and what they say.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// This package's folder.
pub(crate) const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// A path in this package.
pub(crate) fn package(path: &str) -> PathBuf {
    Path::new(PACKAGE).join(path)
}

/// A path in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    package("../..").join(path)
}

/// A folder for what tests build.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Whether a tool is there; if not, says on one line what is left out.
pub(crate) fn have(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: no {tool} here");
    }
    found
}

pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command that must end well; its standard output.
pub(crate) fn told(command: &mut Command) -> String {
    let output = run(command);
    let mut complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8_lossy(&output.stdout);
    write!(complaint, "\n{text}").unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{complaint}",
        output.status
    );
    text.into_owned()
}
