//! The programs: without libc, and in C with glibc; each with ten allocations, and doing nothing.

use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program built for measuring.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    /// Whether it allocates through tagheap.
    pub(crate) is_own: bool,
    /// How it is linked, and whether it allocates.
    linked: &'static str,
    idle: bool,
}

impl Program {
    /// Whether this is the same program doing nothing.
    pub(crate) fn is_idle_form_of(&self, other: &Self) -> bool {
        self.idle && self.linked == other.linked
    }
}

/// What there is for building C programs.
#[derive(Debug)]
pub(crate) struct Tools {
    gcc: Option<String>,
    static_glibc: bool,
}

impl Tools {
    /// Asks the system.
    pub(crate) fn find() -> Self {
        let answer = |arguments: &[&str]| -> Option<String> {
            let output = Command::new("gcc").args(arguments).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.trim().to_owned())
        };
        let gcc = answer(&["-dumpfullversion"]);
        // A file that gcc does not find is answered as it was asked for.
        let library = answer(&["-print-file-name=libc.a"]);
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

/// Builds what the tools allow.
pub(crate) fn build(tools: &Tools) -> io::Result<Vec<Program>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let executable = env::current_exe()?;
    let target = executable.parent().unwrap_or(here).join("bench-start");
    std::fs::create_dir_all(&target)?;

    let package = here.join("start-nolibc/Cargo.toml");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--manifest-path"]);
    command.arg(package).arg("--target-dir").arg(&target);
    // What the build of this program was told is not meant for that one.
    command
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(&mut command)?;

    let mut programs = Vec::new();
    let mut add = |name, path: PathBuf, linked: &'static str, idle: bool| {
        programs.push(Program {
            name,
            path,
            is_own: linked == "no libc" && !idle,
            linked,
            idle,
        });
    };
    let built = target.join("release");
    add("no libc, tagheap", built.join("ten"), "no libc", false);
    add("no libc, nothing", built.join("nothing"), "no libc", true);
    let kinds = [
        ("glibc static, malloc", "static", "ten", tools.static_glibc),
        (
            "glibc static, nothing",
            "static",
            "nothing",
            tools.static_glibc,
        ),
        ("glibc dynamic, malloc", "dynamic", "ten", true),
        ("glibc dynamic, nothing", "dynamic", "nothing", true),
    ];
    for (name, linked, source, possible) in kinds {
        if !possible || tools.gcc.is_none() {
            continue;
        }
        let output = target.join(format!("{source}-{linked}"));
        let mut command = Command::new("gcc");
        command.arg("-O2").arg("-o").arg(&output);
        command.arg(here.join("start").join(source).with_extension("c"));
        if linked == "static" {
            command.arg("-static");
        }
        run(&mut command)?;
        add(name, output, linked, source == "nothing");
    }
    Ok(programs)
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let fault = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("{command:?}: {status}"),
        Err(error) => format!("{}: {error}", command.get_program().display()),
    };
    Err(io::Error::other(fault))
}
