//! `tagheap.hpp`: heaps, pools and containers of C++.

use std::iter;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gauntlet::KINDS;
use crate::library::library;
use crate::tools::{
    CXX_COMPILERS, Compiler, SANITIZED, can_sanitize, have, package, repository, run, scratch, told,
};

/// What a careful user has switched on.
const CAREFUL: &[&str] = &[
    "-pedantic",
    "-Wshadow",
    "-Wconversion",
    "-Wold-style-cast",
    "-Wnon-virtual-dtor",
    "-pthread",
];

fn compilers() -> impl Iterator<Item = Compiler> {
    CXX_COMPILERS.into_iter().filter(|it| have(it.name))
}

/// Flags by which a program is built, once each: none, and those of sanitizers where the compiler has them.
fn ways(compiler: Compiler) -> Vec<&'static [&'static str]> {
    let sanitized = can_sanitize(compiler).then_some(SANITIZED);
    iter::once([].as_slice()).chain(sanitized).collect()
}

/// A program linked with the library, by a name that tells how it was built.
fn build(compiler: Compiler, sources: &[PathBuf], name: &str, flags: &[&[&str]]) -> PathBuf {
    let flags = flags.concat();
    let built = format!("{name}-{}{}", compiler.name, flags.concat());
    let program = scratch("faces").join(built.replace(['/', ','], "_"));
    let archive = library().join("libtagheap.a");
    let more = flags.iter().map(Path::new).chain([archive.as_path()]);
    compiler.build(&program, sources, more);
    program
}

/// A source of a few lines.
fn written(name: &str, text: &str) -> PathBuf {
    let path = scratch("faces").join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn containers_live_in_every_kind() {
    for compiler in compilers() {
        // C++17, and a later one.
        let later = iter::once(["-std=c++20"].as_slice());
        for flags in ways(compiler).into_iter().chain(later) {
            let flags = [CAREFUL, flags];
            let source = package("tests/capi/faces.cpp");
            let program = build(compiler, &[source], "faces", &flags);
            let text = told(&mut Command::new(program));
            let kinds = KINDS.into_iter().chain(["faces"]);
            assert!(text.lines().eq(kinds), "{text}");
        }
    }
}

#[test]
fn each_function_that_makes_a_heap_or_pool_is_there() {
    let text = |name: &str| std::fs::read_to_string(package("include").join(name)).unwrap();
    let (header, face) = (text("tagheap.h"), text("tagheap.hpp"));
    for (kind, made) in [("pool", KINDS.len()), ("heap", 3)] {
        let declared = format!("th_{kind} *th_{kind}_");
        let names = header
            .lines()
            .filter_map(|line| line.strip_prefix(&declared)?.split('(').next());
        let names: Vec<_> = names.collect();
        assert_eq!(names.len(), made, "{names:?}");
        for name in names {
            assert!(face.contains(&format!("static {kind} {name}(")), "{name}");
        }
    }
}

#[test]
fn without_exceptions_a_refusal_is_one_line_and_an_abort() {
    let text = "
        #include \"tagheap.hpp\"
        int main() {
            tagheap::heap heap = tagheap::heap::reserve(1 << 20);
            tagheap::tagged level(heap, 1), same(heap, 1);
            if (level == same || level != level) return 1;
            level.deallocate(level.allocate(2 << 20), 2 << 20);
            return 0;
        }
    ";
    let source = written("bare.cpp", text);
    for compiler in compilers() {
        let flags: &[&[&str]] = &[CAREFUL, &["-fno-exceptions", "-fno-rtti"]];
        let program = build(compiler, std::slice::from_ref(&source), "bare", flags);
        let output = run(&mut Command::new(program));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
        let line = said.strip_prefix("tagheap: fatal: out of memory: ");
        assert!(line.is_some_and(|line| line.lines().count() == 1), "{said}");
    }
}

#[test]
fn several_files_of_a_program_include_it() {
    let main = "
        #include \"tagheap.hpp\"
        #include \"tagheap.hpp\"
        std::size_t blocks(const tagheap::heap &heap);
        int main() {
            tagheap::heap heap = tagheap::heap::reserve();
            tagheap::pool pool = tagheap::pool::blocks(heap, 7);
            void *piece = pool.allocate(10);
            const std::size_t counted = blocks(heap);
            pool.deallocate(piece, 10);
            return counted != 2;
        }
    ";
    let other = "
        #include \"tagheap.hpp\"
        std::size_t blocks(const tagheap::heap &heap);
        std::size_t blocks(const tagheap::heap &heap) {
            th_stats stats;
            return th_stats_of_heap(heap, &stats) == TH_OK ? stats.used.blocks : 0;
        }
    ";
    let sources = [written("main.cpp", main), written("other.cpp", other)];
    for compiler in compilers() {
        told(&mut Command::new(build(
            compiler,
            &sources,
            "files",
            &[CAREFUL],
        )));
    }
}

#[test]
fn requests_is_what_the_readme_says() {
    let source = repository("examples/c/requests.cpp");
    for compiler in compilers() {
        for flags in ways(compiler) {
            let flags = [CAREFUL, flags];
            let program = build(compiler, std::slice::from_ref(&source), "requests", &flags);
            let text = told(&mut Command::new(program));
            let rows: Vec<_> = text
                .lines()
                .filter(|line| line.starts_with("request \""))
                .collect();
            assert_eq!(rows.len(), 3, "{text}");
            assert!(text.contains("\nsession"), "{text}");
        }
    }
}
