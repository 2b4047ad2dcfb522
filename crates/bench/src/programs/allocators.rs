//! What stands in the place of malloc: the C library's own, this project's, and what peers the system has.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::spawn::Launch;
use crate::tools;

/// An allocator that the loader puts under a program.
#[derive(Clone, Debug)]
pub(crate) struct Allocator {
    pub(crate) name: String,
    /// The library for LD_PRELOAD; none for the C library's own.
    library: Option<PathBuf>,
    is_peer: bool,
    /// What else it is told.
    variable: Option<(&'static str, &'static str)>,
}

/// The C library's own, to which the others are compared.
pub(crate) const OWN: &str = "glibc";

/// How peers' libraries are called, up to their versions.
const PEERS: [&str; 5] = [
    "libjemalloc.so",
    "libmimalloc.so",
    "librpmallocwrap.so",
    "libsnmallocshim.so",
    "libtcmalloc_minimal.so",
];

impl Allocator {
    fn new(name: &str, library: Option<PathBuf>) -> Self {
        Self {
            name: name.into(),
            library,
            is_peer: false,
            variable: None,
        }
    }

    /// A peer, by the name of its library.
    fn peer(library: PathBuf) -> Self {
        let name = library.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_prefix("lib").unwrap_or(&name);
        let name = name.split(".so").next().unwrap_or_default();
        Self {
            is_peer: true,
            ..Self::new(name, Some(library.clone()))
        }
    }

    /// The launch, with this allocator under it.
    pub(crate) fn under(&self, launch: &Launch) -> io::Result<Launch> {
        let mut launch = launch.clone();
        if let Some(library) = &self.library {
            launch = launch.variable("LD_PRELOAD", library)?;
        }
        if let Some((name, value)) = self.variable {
            launch = launch.variable(name, value)?;
        }
        Ok(launch)
    }

    /// Refuses a library that the loader cannot put under a program: it says so, and goes on without.
    fn check(&self, program: &Path) -> io::Result<()> {
        let Some(library) = &self.library else {
            return Ok(());
        };
        let output = Command::new(program)
            .env("LD_PRELOAD", library)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        match said.lines().next() {
            None if output.status.success() => Ok(()),
            said => Err(io::Error::other(format!(
                "{}: {}",
                library.display(),
                said.unwrap_or("nothing runs under it")
            ))),
        }
    }
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match (&self.library, self.variable) {
            (_, Some((name, value))) => write!(f, " ({name}={value})"),
            (Some(library), None) if self.is_peer => write!(f, " ({})", library.display()),
            _ => Ok(()),
        }
    }
}

/// All of them: peers from the system's folders, and those that were named. `program` does nothing.
pub(crate) fn find(named: &[PathBuf], folder: &Path, program: &Path) -> io::Result<Vec<Allocator>> {
    let built = tools::build_package("../malloc/Cargo.toml", folder)?;
    let own = built.join("libtagheap_malloc.so");
    let by_library = Allocator {
        variable: Some(("TAGHEAP_TAGS", "library")),
        ..Allocator::new("tagheap by library", Some(own.clone()))
    };
    let own = Allocator::new("tagheap", Some(own));
    let mut all = vec![Allocator::new(OWN, None), own, by_library];
    let peers = installed().into_iter().chain(named.iter().cloned());
    all.extend(peers.map(Allocator::peer));
    for allocator in &all {
        allocator.check(program)?;
    }
    Ok(all)
}

/// The peers that the system's loader knows, one library each.
fn installed() -> Vec<PathBuf> {
    let known = ["ldconfig", "/sbin/ldconfig"].iter();
    let known = known.clone().find_map(|path| tools::answer(path, &["-p"]));
    let known = known.unwrap_or_default();
    let find = |peer: &&str| {
        let mut lines = known.lines().map(str::trim_start);
        let line = lines.find(|line| line.starts_with(peer) && line.contains("x86-64"));
        line.and_then(|line| Some(PathBuf::from(line.split_once(" => ")?.1)))
    };
    PEERS.iter().filter_map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_goes_by_its_library_without_a_version() {
        for (path, name) in [
            ("/usr/lib/libjemalloc.so.2", "jemalloc"),
            ("lib/libtcmalloc_minimal.so.4.5.10", "tcmalloc_minimal"),
            ("libmimalloc.so", "mimalloc"),
            ("other", "other"),
        ] {
            assert_eq!(Allocator::peer(path.into()).name, name);
        }
    }

    #[test]
    fn what_cannot_be_put_under_a_program_is_refused() {
        let program = Path::new("/bin/true");
        assert!(Allocator::new(OWN, None).check(program).is_ok());
        let missing = Allocator::peer("./libmissing.so".into());
        let refused = missing.check(program).unwrap_err().to_string();
        assert!(refused.starts_with("./libmissing.so: "), "{refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
}
