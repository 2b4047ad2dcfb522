//! What the library's files name: nothing but its own, and nothing from others but what users were told.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::library::library;
use crate::tools::{package, scratch, told};

/// What C compilers and this library call by name, which `freestanding/mem.s` has.
const MEMORY: [&str; 5] = ["bcmp", "memcmp", "memcpy", "memmove", "memset"];

/// What is looked for, and not needed.
const OPTIONAL: [&str; 2] = ["__errno_location", "__libc_start_main"];

/// What GCC's start files look for in every shared object.
const START_FILES: [&str; 4] = [
    "_ITM_deregisterTMCloneTable",
    "_ITM_registerTMCloneTable",
    "__cxa_finalize",
    "__gmon_start__",
];

/// A symbol that others see, or that is looked for.
#[derive(Debug)]
struct Symbol {
    name: String,
    is_weak: bool,
    is_defined: bool,
}

/// The symbols of a file that are not its own alone, without versions. (`nm` would ask plugins for compilers'
/// intermediate code, and print what they complain of.)
fn symbols(table: &str, file: &Path) -> Vec<Symbol> {
    let text = told(Command::new("readelf").args(["--wide", table]).arg(file));
    let parse = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, _, _, _, bind, visibility, section, name, ..] = words[..] else {
            return None;
        };
        let name = name.split('@').next().unwrap_or(name);
        let is_global = ["GLOBAL", "WEAK"].contains(&bind);
        (is_global && visibility != "HIDDEN").then(|| Symbol {
            name: name.to_owned(),
            is_weak: bind == "WEAK",
            is_defined: section != "UND",
        })
    };
    text.lines().filter_map(parse).collect()
}

fn shared() -> Vec<Symbol> {
    symbols("--dyn-syms", &library().join("libtagheap.so"))
}

fn listed() -> BTreeSet<String> {
    let listed = fs::read_to_string(package("tests/capi/exported.txt")).unwrap();
    listed.lines().map(str::to_owned).collect()
}

/// Whether a symbol that is not there may be wanted.
fn is_told(symbol: &Symbol, optional: &[&str]) -> bool {
    let told = if symbol.is_weak { optional } else { &MEMORY };
    told.contains(&symbol.name.as_str())
}

#[test]
fn shared_library_exports_what_is_listed() {
    let defined = shared().into_iter().filter(|symbol| symbol.is_defined);
    let exported: BTreeSet<_> = defined.map(|symbol| symbol.name).collect();
    assert_eq!(exported, listed(), "tests/capi/exported.txt");
}

#[test]
fn header_declares_what_is_exported() {
    let header = fs::read_to_string(package("include/tagheap.h")).unwrap();
    for name in listed() {
        let is_declared = |before| header.contains(&format!("{before}{name}("));
        assert!(
            [' ', '*'].into_iter().any(is_declared),
            "{name} is not in the header"
        );
    }
}

#[test]
fn shared_library_needs_memory_routines_and_nothing_else() {
    let optional = [&OPTIONAL[..], &START_FILES].concat();
    for symbol in shared().iter().filter(|symbol| !symbol.is_defined) {
        assert!(is_told(symbol, &optional), "{symbol:?}");
    }
}

#[test]
fn archive_needs_memory_routines_and_nothing_else() {
    // All that any function of the library needs, in one object.
    let whole = scratch("programs").join("whole.o");
    let mut link = Command::new("gcc");
    link.args(["-nostdlib", "-r", "-o"]).arg(&whole);
    link.args(["-Wl,-u,th_check", "-Wl,-u,allocate"]);
    link.arg(library().join("libtagheap.a"));
    told(&mut link);
    let mut own = BTreeSet::new();
    for symbol in symbols("--symbols", &whole) {
        // Arithmetic of the compiler's own is weak.
        if !symbol.is_defined {
            assert!(is_told(&symbol, &OPTIONAL), "{symbol:?}");
        } else if !(symbol.is_weak && symbol.name.starts_with("__")) {
            own.insert(symbol.name);
        }
    }
    let mut wanted = listed();
    wanted.extend(["allocate", "deallocate", "deallocate_pool"].map(str::to_owned));
    assert_eq!(own, wanted);
}

#[test]
fn shared_library_is_hardened_and_has_a_soname() {
    let file = library().join("libtagheap.so");
    let told = |flag| told(Command::new("readelf").args([flag, "--wide"]).arg(&file));
    let dynamic = told("--dynamic");
    assert!(dynamic.contains("[libtagheap.so.0]"), "{dynamic}");
    assert!(dynamic.contains("BIND_NOW"), "{dynamic}");
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    assert!(
        needed.clone().all(|line| line.contains("[libc.so.6]")),
        "{dynamic}"
    );
    let headers = told("--program-headers");
    assert!(headers.contains("GNU_RELRO"), "{headers}");
    let stack = headers
        .lines()
        .find(|line| line.contains("GNU_STACK"))
        .unwrap();
    assert!(!stack.contains('E'), "{stack}");
    assert!(!headers.contains("RWE"), "{headers}");
}
