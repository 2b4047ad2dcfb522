//! Programs that do what few do: have operators of their own, fork in the middle of everything, open libraries that wait.

use std::path::Path;
use std::process::Command;

use crate::tools::{build, succeed, with_library};

/// What a program says, which is the same without the library.
#[track_caller]
fn says_the_same(program: &Path, arguments: &[&Path]) -> String {
    let mut plain = Command::new(program);
    let said = succeed(plain.env_remove("LD_PRELOAD").args(arguments));
    for tags in ["", "library"] {
        let mut command = with_library("timeout");
        command.env("TAGHEAP_TAGS", tags).arg("20").arg(program);
        assert_eq!(succeed(command.args(arguments)), said, "{tags}");
    }
    said
}

#[test]
fn operators_of_the_program_are_gone_on_to() {
    let flags = ["-std=c++17", "-Wno-sized-deallocation"];
    let program = build("g++", "replaced", &["replaced.cpp"], &flags);
    assert_eq!(says_the_same(&program, &[]), "10 made, 10 gone\n");
    let flags = ["-std=c++17", "-Wno-sized-deallocation", "-DALIGNED"];
    let program = build("g++", "replaced-aligned", &["replaced.cpp"], &flags);
    assert_eq!(says_the_same(&program, &[]), "15 made, 15 gone\n");
}

/// Of a program that was built long ago, and of one that has a `malloc` of its own in front of the C library's.
#[test]
fn other_names_of_the_family_are_of_the_same_memory() {
    let program = build("gcc", "names", &["names.c"], &["-std=gnu11"]);
    assert_eq!(says_the_same(&program, &[]), "given back\n");
}

fn opener() -> std::path::PathBuf {
    build("gcc", "opened", &["opened.c"], &["-ldl"])
}

#[test]
fn a_library_of_cxx_in_a_program_of_c_is_refused_as_it_expects() {
    let flags = ["-shared", "-fPIC"];
    let library = build("g++", "librefused.so", &["refused.cpp"], &flags);
    says_the_same(&opener(), &[&library]);
}

#[test]
fn a_library_may_wait_for_a_thread_while_it_is_opened() {
    let flags = ["-shared", "-fPIC", "-pthread"];
    let library = build("gcc", "libwaits.so", &["waits.c"], &flags);
    says_the_same(&opener(), &[&library]);
}

/// It would give the C library what this one made.
#[test]
fn a_library_that_looks_in_itself_first_finds_this_one() {
    let flags = ["-shared", "-fPIC", "-pthread"];
    let library = build("gcc", "libdeep.so", &["waits.c"], &flags);
    says_the_same(&opener(), &[&library, Path::new("deep")]);
}

#[test]
fn a_program_may_ask_for_much_at_its_end_before_all_else() {
    let program = build("gcc", "ends", &["ends.c"], &[]);
    assert_eq!(says_the_same(&program, &[]), "done\n");
}

#[test]
fn a_fork_waits_for_nobody_who_waits_for_it() {
    let program = build("gcc", "files", &["files.c"], &["-pthread"]);
    assert_eq!(says_the_same(&program, &[]), "over\n");
}

#[test]
fn the_way_back_from_operators_is_found() {
    let program = build("g++", "steps", &["steps.cpp"], &["-ldl"]);
    assert_eq!(succeed(&mut with_library(program)), "seen, 0\n");
}
