//! Programs that tests call, and what they say.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

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
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// An empty folder.
pub(crate) fn empty(name: &str) -> PathBuf {
    let folder = scratch(name);
    fs::remove_dir_all(&folder).unwrap();
    scratch(name)
}

/// Whether a tool is there; if not, says on one line that something is left out.
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

/// A compiler of C or C++ and how it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler {
    pub(crate) name: &'static str,
    pub(crate) flags: &'static [&'static str],
}

const C: &[&str] = &["-std=c99", "-pedantic"];
const CXX: &[&str] = &["-x", "c++", "-std=c++17"];

/// GCC for C, which every one of these tests needs.
pub(crate) const GCC: Compiler = Compiler {
    name: "gcc",
    flags: C,
};

pub(crate) const C_COMPILERS: [Compiler; 2] = [
    GCC,
    Compiler {
        name: "clang",
        flags: C,
    },
];

pub(crate) const CXX_COMPILERS: [Compiler; 2] = [
    Compiler {
        name: "g++",
        flags: CXX,
    },
    Compiler {
        name: "clang++",
        flags: CXX,
    },
];

/// Flags for a program that looks after itself.
pub(crate) const SANITIZED: &[&str] =
    &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// Whether a compiler can link a sanitizer's runtime.
pub(crate) fn can_sanitize(compiler: Compiler) -> bool {
    let folder = scratch("sanitized");
    // A file for each test, as they run at once.
    let test = thread::current()
        .name()
        .unwrap_or_default()
        .replace(':', "_");
    let text = folder.join(format!("{test}.c"));
    fs::write(&text, "int main(void) { return 0; }\n").unwrap();
    let mut command = Command::new(compiler.name);
    command
        .args(SANITIZED)
        .arg(text)
        .arg("-o")
        .arg(folder.join(test));
    let can = command.output().is_ok_and(|output| output.status.success());
    if !can {
        println!("skipped: no AddressSanitizer for {}", compiler.name);
    }
    can
}

/// Flags for a program without libc.
pub(crate) const BARE: [&str; 5] = [
    "-nostdlib",
    "-static",
    "-ffreestanding",
    "-fno-stack-protector",
    "-Wl,--gc-sections",
];

impl Compiler {
    /// Builds a program from these sources, with these flags and inputs behind them.
    pub(crate) fn build(
        self,
        program: &Path,
        sources: &[PathBuf],
        more: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) {
        let mut command = Command::new(self.name);
        command.args(["-O1", "-g", "-Wall", "-Wextra", "-Werror"]);
        command.arg("-I").arg(package("include"));
        command.args(self.flags).arg("-o").arg(program);
        command.args(sources).args(["-x", "none"]).args(more);
        told(&mut command);
    }
}

/// A program built by GCC from a source of these tests, statically linked with the library in a folder.
pub(crate) fn program(source: &str, library: &Path, flags: &[&str]) -> PathBuf {
    let name = format!("{source}{}", flags.concat().replace(['/', ','], "_"));
    let to = scratch("programs").join(name);
    let source = package("tests/capi").join(source);
    let archive = library.join("libtagheap.a");
    let flags = flags.iter().map(OsStr::new);
    GCC.build(&to, &[source], flags.chain([archive.as_os_str()]));
    to
}
