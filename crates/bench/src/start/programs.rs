//! The programs: without libc, and in C with glibc; each with ten allocations, and doing nothing.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::tools::{self, Tools};

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

/// Builds what the tools allow.
pub(crate) fn build(tools: &Tools) -> io::Result<Vec<Program>> {
    let target = tools::folder("bench-start")?;
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
    let built = tools::build_package("start-nolibc/Cargo.toml", &target)?;
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
    for (name, linked, program, possible) in kinds {
        if !possible || tools.gcc.is_none() {
            continue;
        }
        let output = target.join(format!("{program}-{linked}"));
        let mut command = Command::new("gcc");
        command.arg("-O2").arg("-o").arg(&output);
        command.arg(tools::source(&format!("start/{program}.c")));
        if linked == "static" {
            command.arg("-static");
        }
        tools::run(&mut command)?;
        add(name, output, linked, program == "nothing");
    }
    Ok(programs)
}
