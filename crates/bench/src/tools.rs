//! What there is for building C programs and peers, and building with it.

use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What there is for building C programs.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) gcc: Option<String>,
    pub(crate) static_glibc: bool,
}

impl Tools {
    /// Asks the system.
    pub(crate) fn find() -> Self {
        let gcc = answer("gcc", &["-dumpfullversion"]);
        // A file that gcc does not find is answered as it was asked for.
        let library = answer("gcc", &["-print-file-name=libc.a"]);
        let static_glibc = library.is_some_and(|path| Path::new(&path).is_absolute());
        Self { gcc, static_glibc }
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gcc = self
            .gcc
            .as_deref()
            .unwrap_or("missing (start without C programs)");
        let library = match self.static_glibc {
            true => "there",
            false => "missing (start without static C programs)",
        };
        let glibc = glibc_version();
        let built = |is: bool| if is { "built in" } else { "left out" };
        let mimalloc = built(cfg!(feature = "mimalloc"));
        let snmalloc = built(cfg!(feature = "snmalloc"));
        let jemalloc = built(cfg!(feature = "jemalloc"));
        let rpmalloc = built(cfg!(rpmalloc));
        write!(
            f,
            "C peers: glibc {glibc} (malloc); gcc {gcc}; static glibc {library}; mimalloc {mimalloc} \
             (feature `mimalloc`, needs gcc); snmalloc {snmalloc} (feature `snmalloc`, needs g++); \
             jemalloc {jemalloc} (feature `jemalloc`, needs gcc and make); rpmalloc {rpmalloc} \
             (feature `rpmalloc`, needs gcc)"
        )
    }
}

fn glibc_version() -> String {
    // SAFETY: answers a string that lives as long as the library.
    let version = unsafe { libc::gnu_get_libc_version() };
    // SAFETY: as above; it ends in a zero byte.
    let version = unsafe { std::ffi::CStr::from_ptr(version) };
    version.to_string_lossy().into_owned()
}

/// What a program prints, without the ends' white space; `None` where there is none, or it fails.
pub(crate) fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// A file or folder of this package.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder for what is built, beside this program.
pub(crate) fn folder(name: &str) -> io::Result<PathBuf> {
    let executable = env::current_exe()?;
    let beside = executable.parent();
    let folder = beside.unwrap_or(Path::new(".")).join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Builds a package into a folder; where its products are then.
pub(crate) fn build_package(package: &str, folder: &Path) -> io::Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--manifest-path"]);
    command.arg(source(package)).arg("--target-dir").arg(folder);
    // What the build of this program was told is not meant for that one.
    command
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(&mut command)?;
    Ok(folder.join("release"))
}

/// Runs a tool, which must succeed.
pub(crate) fn run(command: &mut Command) -> io::Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let fault = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("{command:?}: {status}"),
        Err(error) => format!("{}: {error}", command.get_program().display()),
    };
    Err(io::Error::other(fault))
}
