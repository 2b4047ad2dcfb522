//! Scopes of the program's own, by `tagheap_malloc.h`: with the library preloaded, linked, and absent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{build, library, line, scratch, source, succeed, tables, with_library};

/// Where the header is.
fn include() -> String {
    format!("-I{}", source("../../include").display())
}

/// What programs that include it are compiled with, besides.
const STRICT: [&str; 5] = [
    "-Wpedantic",
    "-Wshadow",
    "-Wundef",
    "-Wconversion",
    "-pthread",
];

fn compiled(compiler: &str, name: &str, file: &str, flags: &[&str]) -> PathBuf {
    let include = include();
    let flags = [&[include.as_str()], &STRICT[..], flags].concat();
    build(compiler, name, &[file], &flags)
}

fn says(command: &mut Command) -> String {
    succeed(command.env_remove("LD_PRELOAD").env_remove("TAGHEAP_TAGS"))
}

/// Whatever else tags memory.
fn keeps_what_is_promised(program: &Path) {
    for tags in ["", "library"] {
        let mut command = with_library(program);
        assert_eq!(succeed(command.env("TAGHEAP_TAGS", tags)), "kept\n");
    }
    assert_eq!(says(&mut Command::new(program)), "absent\n");
}

#[test]
fn scopes_of_c_hold_what_is_allocated_in_them() {
    let strict = ["-std=c99", "-Wstrict-prototypes", "-Wsign-conversion"];
    // Programs that may lie anywhere, and such that lie where they say, whether their code could lie elsewhere or not; as
    // they are debugged, and as they are used.
    let ways = [
        ["-pie", "-fPIE", "-O0"],
        ["-no-pie", "-fPIE", "-O0"],
        ["-no-pie", "-fno-pie", "-O0"],
        ["-pie", "-fPIE", "-O2"],
        ["-no-pie", "-fPIE", "-O2"],
        ["-no-pie", "-fno-pie", "-O2"],
        ["-no-pie", "-fno-pie", "-masm=intel"],
    ];
    for (number, way) in ways.iter().enumerate() {
        let flags = [&strict[..], way].concat();
        let name = format!("scopes-{number}");
        keeps_what_is_promised(&compiled("gcc", &name, "scopes.c", &flags));
    }
}

#[test]
fn scopes_of_cxx_hold_what_is_made_in_them() {
    for standard in ["-std=c++11", "-std=c++17", "-std=c++20"] {
        for code in ["-fPIE", "-fno-pie"] {
            let name = format!("scopes{standard}{code}");
            let flags = [standard, "-no-pie", code];
            keeps_what_is_promised(&compiled("g++", &name, "scopes.cpp", &flags));
        }
        let name = format!("scopes{standard}");
        keeps_what_is_promised(&compiled("g++", &name, "scopes.cpp", &[standard]));
    }
}

#[test]
fn scopes_of_programs_that_are_linked_with_the_library() {
    let folder = library().parent().unwrap().display();
    let (at, rpath) = (format!("-L{folder}"), format!("-Wl,-rpath,{folder}"));
    let with = [at.as_str(), &rpath, "-ltagheap_malloc"];
    let [c, cxx] = [["-std=c99"], ["-std=c++11"]].map(|standard| [&standard[..], &with].concat());
    let programs = [
        compiled("gcc", "scopes-linked", "scopes.c", &c),
        compiled("g++", "scopes-linked-cxx", "scopes.cpp", &cxx),
    ];
    for program in programs {
        assert_eq!(says(&mut Command::new(program)), "kept\n");
    }
}

/// Nor is it there where the loader is not.
#[test]
fn scopes_of_static_programs_and_on_other_platforms_are_absent() {
    let elsewhere = ["-std=c99", "-U__linux__"];
    let program = compiled("gcc", "scopes-elsewhere", "scopes.c", &elsewhere);
    assert_eq!(succeed(&mut with_library(program)), "absent\n");

    let (archive, name) = (
        Command::new("gcc").arg("-print-file-name=libc.a").output(),
        "libc.a",
    );
    if archive.unwrap().stdout.trim_ascii() == name.as_bytes() {
        println!("left out: no C library to link statically here");
        return;
    }
    let program = compiled("gcc", "scopes-static", "scopes.c", &["-std=c99", "-static"]);
    assert_eq!(succeed(&mut with_library(program)), "absent\n");
}

#[test]
fn a_signal_handler_has_scopes_of_its_own() {
    let flags = ["-std=c99", "-Wno-sign-conversion"];
    let program = compiled("gcc", "scope-steps", "scope_steps.c", &flags);
    for tags in ["", "library"] {
        let mut command = with_library(&program);
        // Where this is empty, it is as if it were not there; the program asks whether it is.
        if !tags.is_empty() {
            command.env("TAGHEAP_TAGS", tags);
        }
        assert_eq!(succeed(&mut command), "kept\n");
    }
}

/// In a scope, its tag; outside any, and in one that says so, that of the library.
#[test]
fn a_scope_is_more_than_the_library_whose_code_asks() {
    let program = compiled("gcc", "scoped", "scoped.c", &["-std=c99"]);
    let report = scratch("reports").join("scoped");
    let _ = fs::remove_file(&report);
    for tags in ["library", ""] {
        let mut command = with_library(&program);
        command.env("TAGHEAP_REPORT", &report);
        succeed(command.env("TAGHEAP_TAGS", tags));
    }
    let tables: [String; 2] = tables(&report).try_into().unwrap();
    for (table, outside) in tables.iter().zip(["scoped", "untagged"]) {
        let of = |tag| line(table, tag).unwrap()[..2].to_vec();
        assert_eq!(of("index of all words"), [7, 7 * 320], "{table}");
        assert_eq!(of("parser"), [7, 6 * 208 + 16], "{table}");
        assert_eq!(of(outside), [5, 5 * 112], "{table}");
        // The program's and the two titles, and no more tags.
        assert_eq!(table.lines().count(), 6, "{table}");
    }
}

/// Its names and its numbers: the other library's header may be there, too, in front of it or behind.
#[test]
fn the_header_stands_alone_and_beside_the_other() {
    let other = format!("-I{}", source("../../../capi/include").display());
    let same = "
        #define SAME(name) typedef char same_##name[(int)TH_MALLOC_##name == (int)TH_##name ? 1 : -1]
        SAME(OK); SAME(NO_MEMORY); SAME(RESERVED_TAG); SAME(REENTERED); SAME(OUT_OF_ORDER); SAME(NULL);
        SAME(BAD_TEXT);
        typedef char same_DAMAGED[(int)TH_MALLOC_DAMAGED == (int)TH_DAMAGED_HEADER ? 1 : -1];
        typedef char absent_is_no_other[(int)TH_MALLOC_ABSENT > (int)TH_DAMAGED_POOL ? 1 : -1];
    ";
    let [this, that] =
        ["tagheap_malloc.h", "tagheap.h"].map(|name| format!("#include \"{name}\"\n"));
    let texts = [
        format!("{this}{this}"),
        format!("{this}{that}{same}"),
        format!("{that}{this}{same}"),
    ];
    for (number, text) in texts.iter().enumerate() {
        let path = scratch("programs").join(format!("headers-{number}.c"));
        fs::write(
            &path,
            format!("{text}\nint main(void) {{ return TH_MALLOC_OK; }}\n"),
        )
        .unwrap();
        for how in [
            &["-xc", "-std=c99", "-Wstrict-prototypes"][..],
            &["-xc++", "-std=c++11"],
        ] {
            let mut command = Command::new("gcc");
            command.args(["-c", "-o", "/dev/null", "-Wall", "-Wextra", "-Werror"]);
            command.args(STRICT).args(how).args([&include(), &other]);
            succeed(command.arg(&path));
        }
    }
}

/// A program and what it prints stand there one behind the other.
#[test]
fn the_readme_says_what_its_program_says() {
    let readme = fs::read_to_string(source("../../../../README.md")).unwrap();
    let (_, behind) = readme.split_once("```c\n#include <stdio.h>").unwrap();
    let (text, behind) = behind.split_once("```\n").unwrap();
    assert!(text.contains("tagheap_malloc.h"), "{text}");
    let (_, behind) = behind.split_once("```text\n").unwrap();
    let (said, _) = behind.split_once("```\n").unwrap();
    let path = scratch("programs").join("readme.c");
    fs::write(&path, format!("#include <stdio.h>{text}")).unwrap();
    let program = compiled("gcc", "readme", path.to_str().unwrap(), &["-std=c99"]);
    assert_eq!(succeed(&mut with_library(program)), said);
}

#[test]
fn the_example_runs_with_the_library_and_without() {
    let example = source("../../../../examples/c/scopes.c");
    let program = compiled("gcc", "example", example.to_str().unwrap(), &["-std=c99"]);
    let said = says(&mut Command::new(&program));
    assert!(
        said.contains("1000 words") && !said.contains("tagheap"),
        "{said}"
    );
    let said = succeed(&mut with_library(&program));
    let of = line(&said, "words of the text").unwrap();
    assert_eq!(of[0], 1001, "{said}");
    assert_eq!(line(&said, "index").unwrap()[0], 1, "{said}");
}
