//! The header says what the library is.

use std::{env, fs};

use crate::tools::{PACKAGE, package};

/// Set this variable to write the header instead of comparing it.
const WRITE: &str = "TAGHEAP_WRITE_HEADER";

#[test]
fn header_is_what_the_sources_say() {
    let config = cbindgen::Config::from_file(package("cbindgen.toml")).expect("a configuration");
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_crate(PACKAGE)
        .generate();
    let mut made = Vec::new();
    bindings.expect("a header").write(&mut made);
    let made = String::from_utf8(made).expect("text");

    let path = package("include/tagheap.h");
    if env::var_os(WRITE).is_some() {
        fs::write(&path, &made).expect("written");
    }
    let stands = fs::read_to_string(&path).unwrap_or_default();
    if stands != made {
        let at = stands
            .lines()
            .zip(made.lines())
            .take_while(|(a, b)| a == b)
            .count();
        let line = made.lines().nth(at).unwrap_or_default();
        panic!(
            "include/tagheap.h is not up to date from line {} on:\n{line}\nSet {WRITE}=1 and run this test \
             to write it.",
            at + 1
        );
    }
}
