//! The library as a packager installs it, and a user finds it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::library::library;
use crate::tools::{PACKAGE, empty, have, repository, scratch, told};

fn make(target: &str, root: &Path) {
    let folder = library().parent().unwrap();
    let mut make = Command::new("make");
    make.args(["-C", PACKAGE, target, "PREFIX=/usr", "LIBDIR=/usr/lib/test"]);
    make.arg(format!("DESTDIR={}", root.display()));
    make.arg(format!("CARGO_TARGET_DIR={}", folder.display()));
    for variable in ["MAKEFLAGS", "MAKELEVEL", "RUSTFLAGS"] {
        make.env_remove(variable);
    }
    told(&mut make);
}

/// Every file in a folder, by its path there.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let path = path.strip_prefix(folder).unwrap();
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn installs_what_a_packager_expects() {
    if !have("make") {
        return;
    }
    let root = empty("installed");
    make("install", &root);
    let version = env!("CARGO_PKG_VERSION");
    let real = format!("libtagheap.so.{version}");
    let lib = "usr/lib/test";
    let mut wanted = vec![
        "usr/include/tagheap.h".to_owned(),
        "usr/include/tagheap.hpp".to_owned(),
        format!("{lib}/libtagheap.a"),
        format!("{lib}/libtagheap.so"),
        format!("{lib}/libtagheap.so.0"),
        format!("{lib}/{real}"),
        format!("{lib}/pkgconfig/tagheap.pc"),
    ];
    wanted.sort();
    assert_eq!(files(&root), wanted);
    let link = |name: &str| fs::read_link(root.join(lib).join(name)).unwrap();
    assert_eq!(link("libtagheap.so").to_str(), Some("libtagheap.so.0"));
    assert_eq!(link("libtagheap.so.0").to_str(), Some(real.as_str()));
    let pc = fs::read_to_string(root.join(lib).join("pkgconfig/tagheap.pc")).unwrap();
    assert!(
        pc.contains(&format!("Version: {version}\n")) && !pc.contains('@'),
        "{pc}"
    );
    assert!(
        !pc.contains(root.to_str().unwrap()),
        "no path of this machine: {pc}"
    );

    // Nothing is left behind, and a second time is no error.
    make("install", &root);
    if have("pkg-config") {
        by_pkg_config(&root);
    }
    make("uninstall", &root);
    assert_eq!(files(&root), Vec::<String>::new());
}

/// Builds and runs an example with what pkg-config says.
fn by_pkg_config(root: &Path) {
    let lib = root.join("usr/lib/test");
    let mut ask = Command::new("pkg-config");
    ask.args(["--cflags", "--libs", "tagheap"]);
    ask.env("PKG_CONFIG_LIBDIR", lib.join("pkgconfig"));
    ask.env("PKG_CONFIG_SYSROOT_DIR", root);
    ask.env_remove("PKG_CONFIG_PATH");
    let flags = told(&mut ask);
    let program = scratch("programs").join("by-pkg-config");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c99", "-o"]).arg(&program);
    gcc.arg(repository("examples/c/level.c"))
        .args(flags.split_whitespace());
    told(&mut gcc);
    let headers = told(Command::new("readelf").arg("-d").arg(&program));
    assert!(headers.contains("[libtagheap.so.0]"), "{headers}");
    let text = told(Command::new(&program).env("LD_LIBRARY_PATH", lib));
    assert!(text.contains("The heap grew by 0 bytes."), "{text}");
}
