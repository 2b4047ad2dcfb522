//! The compiler, and this crate for it to link programs with.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::Errors;

pub(crate) struct Compiler {
    /// What other crates need to know of this one.
    metadata: PathBuf,
}

fn run(program: &str, otherwise: &str, with: impl FnOnce(&mut Command)) -> Output {
    let program = env::var_os(program).unwrap_or_else(|| OsString::from(otherwise));
    let mut command = Command::new(program);
    with(&mut command);
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

impl Compiler {
    pub(crate) fn new() -> Self {
        let output = run("CARGO", "cargo", |cargo| {
            cargo
                .args(["check", "--quiet", "--lib", "--message-format=json"])
                .args(["--features", "alloc,twin"])
                .args(["--package", env!("CARGO_PKG_NAME"), "--target-dir"])
                .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("lifetimes"))
                .current_dir(env!("CARGO_MANIFEST_DIR"));
        });
        let told = String::from_utf8(output.stdout).expect("text");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        // A line for each crate; the last is this one.
        let mut files = told
            .lines()
            .filter_map(|line| line.split_once("\"filenames\":[\""));
        let (_, file) = files.next_back().expect("a line for this crate");
        let (metadata, _) = file.split_once('"').expect("the end of a string");
        let metadata = PathBuf::from(metadata);
        Self { metadata }
    }

    /// The errors in a program, and all that is said about it.
    pub(crate) fn errors_of(&self, program: &Path) -> (Errors, String) {
        let metadata = self.metadata.display();
        let folder = self.metadata.parent().expect("a folder").display();
        let output = run("RUSTC", "rustc", |rustc| {
            rustc
                .args(["--edition=2024", "--crate-type=bin", "--emit=metadata"])
                .args(["--error-format=short", "--cap-lints=allow"])
                .arg(format!("--extern=tagheap={metadata}"))
                .arg(format!("-Ldependency={folder}"))
                .arg(format!("--out-dir={}", env!("CARGO_TARGET_TMPDIR")))
                .arg(program);
        });
        let told = String::from_utf8(output.stderr).expect("text");
        let errors = told.lines().filter_map(|line| error(line, program));
        (errors.collect(), told)
    }
}

/// The place and the code in a line such as `PATH:7:5: error[E0502]: cannot borrow`; 0 for a place elsewhere.
fn error(line: &str, program: &Path) -> Option<(usize, String)> {
    let (place, error) = line.split_once(": error[")?;
    let (code, _) = error.split_once(']')?;
    let place = place.strip_prefix(program.to_str()?);
    let number = place.and_then(|place| place.split(':').nth(1)?.parse().ok());
    Some((number.unwrap_or(0), code.to_owned()))
}
