//! Compiles rpmalloc out of its crate, which itself builds it without its heaps.
//!
//! Where the source is not found, a warning says so, and the benchmarks do without it.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(rpmalloc)");
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "rpmalloc")]
    rpmalloc::build();
}

#[cfg(feature = "rpmalloc")]
mod rpmalloc {
    use std::env;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    const CRATE: &str = "rpmalloc-sys";

    pub(crate) fn build() {
        let Some(source) = source() else {
            println!("cargo::warning={CRATE} has no source here: rpmalloc is left out");
            return;
        };
        let built = cc::Build::new()
            .file(source)
            .opt_level(3)
            .warnings(false)
            .define("_GNU_SOURCE", None)
            .define("RPMALLOC_FIRST_CLASS_HEAPS", "1")
            .try_compile("rpmalloc");
        match built {
            Ok(()) => println!("cargo::rustc-cfg=rpmalloc"),
            Err(error) => println!("cargo::warning=rpmalloc is left out: {error}"),
        }
    }

    /// Where the crate's C lies: Cargo tells where it unpacked the crate.
    fn source() -> Option<PathBuf> {
        let text = metadata(&["--offline"]).or_else(|| metadata(&[]))?;
        let manifests = text.split('"').map(Path::new);
        let mut folders = manifests.filter(|path| path.ends_with("Cargo.toml"));
        let folder = folders.find_map(|path| {
            let folder = path.parent()?;
            let name = folder.file_name()?.to_str()?;
            name.starts_with(CRATE).then_some(folder)
        })?;
        let source = folder.join("rpmalloc/rpmalloc/rpmalloc.c");
        source.exists().then_some(source)
    }

    /// What Cargo tells of the workspace's packages; offline only if it has fetched what all members need.
    fn metadata(options: &[&str]) -> Option<String> {
        let manifest = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).join("Cargo.toml");
        let metadata = Command::new(env::var_os("CARGO")?)
            .args(["metadata", "--format-version=1"])
            .args(options)
            .args(["--filter-platform", &env::var("TARGET").ok()?])
            .arg("--manifest-path")
            .arg(manifest)
            .output()
            .ok()?;
        let told = metadata.status.success().then_some(metadata.stdout)?;
        String::from_utf8(told).ok()
    }
}
