//! Every example in C, by every compiler there is.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::library::library;
use crate::system_calls::{Answer, Filtered};
use crate::tools::{
    self, BARE, C_COMPILERS, CXX_COMPILERS, Compiler, GCC, SANITIZED, can_sanitize, empty, have,
    package, repository, scratch, told,
};

fn source(name: &str) -> PathBuf {
    repository("examples/c").join(name)
}

/// An example built and run.
fn run(name: &str, compiler: Compiler, flags: &[&str], shared: bool) -> String {
    let program = format!("{name}-{}-{}-{shared}", compiler.name, flags.len());
    let program = scratch("examples").join(program);
    let folder = library();
    let mut more: Vec<_> = flags.iter().map(|flag| flag.to_string()).collect();
    if shared {
        more.push(format!("-L{}", folder.display()));
        more.push("-ltagheap".into());
    } else {
        more.push(folder.join("libtagheap.a").display().to_string());
    }
    compiler.build(&program, &[source(name)], more);
    told(Command::new(program).env("LD_LIBRARY_PATH", with_soname(folder)))
}

/// A folder in which the shared library has the name that programs ask for.
fn with_soname(library: &Path) -> PathBuf {
    let folder = scratch("soname");
    let link = folder.join("libtagheap.so.0");
    // Another test may do the same at once.
    let _ = std::os::unix::fs::symlink(library.join("libtagheap.so"), &link);
    assert!(link.exists(), "the shared library is there");
    folder
}

fn everywhere(name: &str, mut look: impl FnMut(&str)) {
    for compiler in C_COMPILERS {
        if !have(compiler.name) {
            continue;
        }
        look(&run(name, compiler, &[], false));
        look(&run(name, compiler, &[], true));
        if can_sanitize(compiler) {
            look(&run(name, compiler, SANITIZED, false));
        }
    }
    if have("valgrind") {
        let program = scratch("examples").join(format!("{name}-gcc-0-false"));
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--quiet", "--error-exitcode=9"])
            .arg(program);
        look(&told(&mut valgrind));
    }
}

fn addresses<'a>(text: &'a str, caption: &'a str) -> Vec<Vec<usize>> {
    let line = |line: &str| {
        let words = line.split([',', ' ']).filter(|word| !word.is_empty());
        words
            .map(|word| usize::from_str_radix(word.trim_start_matches("0x"), 16).unwrap())
            .collect()
    };
    let lines = text.lines().filter_map(|line| line.strip_prefix(caption));
    lines.map(line).collect()
}

#[test]
fn pools_prints_the_addresses_of_the_assembly_driver() {
    everywhere("pools.c", |text| {
        let lines = addresses(text, "Allocations:");
        assert_eq!(lines.len(), 2, "{text}");
        for line in &lines {
            let gaps = [line[1] - line[0], line[2] - line[1]];
            assert_eq!(gaps, [0x1b0, 0x40], "{text}");
        }
        assert_eq!(addresses(text, "Once more:"), lines[..1], "{text}");
        assert!(text.contains("|(heap) 128|1 432|2 64|2 112|"), "{text}");
        assert!(
            text.contains("A block is freed twice: double free"),
            "{text}"
        );
    });
}

#[test]
fn level_loads_the_next_level_into_the_memory_of_the_last() {
    everywhere("level.c", |text| {
        assert!(text.contains("The heap grew by 0 bytes."), "{text}");
        let levels: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("level "))
            .collect();
        assert_eq!(levels.len(), 3, "{text}");
        assert!(levels.iter().all(|line| *line == levels[0]), "{text}");
    });
}

#[test]
fn b10_nolibc_runs_on_the_raw_break_by_four_system_calls() {
    for compiler in C_COMPILERS.into_iter().filter(|it| have(it.name)) {
        let program = scratch("examples").join(format!("nolibc-{}", compiler.name));
        let sources = [source("nolibc.c")];
        let mut more: Vec<_> = BARE.map(PathBuf::from).into();
        more.push(package("freestanding/mem.s"));
        more.push(library().join("libtagheap.a"));
        compiler.build(&program, &sources, more);
        let mut calls = vec![
            libc::SYS_execve,
            libc::SYS_brk,
            libc::SYS_write,
            libc::SYS_exit_group,
        ];
        let text = told(&mut Command::new(&program).filtered(&calls, Answer::Kill));
        assert!(text.contains("begins where the last one did"), "{text}");
        calls.retain(|call| *call != libc::SYS_brk);
        let refused =
            tools::run(&mut Command::new(&program).filtered(&calls, Answer::Errno(libc::ENOMEM)));
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stdout.starts_with(b"out of memory"), "{refused:?}");
        let headers = told(Command::new("readelf").args(["-lWd"]).arg(&program));
        for word in ["INTERP", "NEEDED", "DYNAMIC", "RWE"] {
            assert!(!headers.contains(word), "{word}: {headers}");
        }
    }
}

#[test]
fn makefile_builds_them_all() {
    if !have("make") {
        return;
    }
    let folder = empty("make");
    for name in [
        "Makefile",
        "pools.c",
        "level.c",
        "nolibc.c",
        "scopes.c",
        "requests.cpp",
    ] {
        std::fs::copy(source(name), folder.join(name)).unwrap();
    }
    let target = library().parent().unwrap();
    let mut make = Command::new("make");
    make.arg("-C").arg(&folder);
    make.arg(format!("ROOT={}", repository("").display()));
    make.arg(format!("CARGO_TARGET_DIR={}", target.display()));
    // Rules of the make that called this test, and flags for other compilations.
    for variable in ["MAKEFLAGS", "MAKELEVEL", "CFLAGS", "RUSTFLAGS"] {
        make.env_remove(variable);
    }
    told(&mut make);
    let in_cxx = have("g++").then_some("requests");
    for name in ["pools", "level", "nolibc", "scopes"]
        .into_iter()
        .chain(in_cxx)
    {
        told(&mut Command::new(folder.join(name)));
    }
}

#[test]
fn header_is_one_of_cxx_too() {
    let text = "
        #define TAGHEAP_NAMES
        #include \"tagheap.h\"
        #include \"tagheap.h\"
        static bool see(const th_block *block, void *context) {
            ++*static_cast<int *>(context);
            return block != nullptr;
        }
        static void ring(uint64_t, const th_usage *usage, void *context) {
            *static_cast<size_t *>(context) += usage->used;
        }
        int main() {
            th_status why = TH_NULL;
            th_heap *heap = th_heap_reserve(0, TH_LOCKED, &why);
            int blocks = 0;
            void *block = th_allocate(heap, th_tag_named(\"cxx\"), 10, 16, &why);
            if (block == nullptr || th_walk(heap, see, &blocks) != TH_OK || blocks != 2) return 1;
            deallocate(allocate(1, 2));
            size_t told = 0;
            th_pool_options with = {};
            with.bound = 4096;
            with.alarm = ring;
            with.context = &told;
            th_pool *arena = th_pool_bump(heap, th_tag_named(\"frame\"), &with, &why);
            th_pool_moment moment = {};
            if (th_pool_rewind(arena, moment) != TH_STALE_MARK || th_pool_mark(arena, &moment) != TH_OK) return 1;
            while (th_pool_allocate(arena, 100, 8, &why) != nullptr) {}
            if (why != TH_FULL || told * 10 < 4096 * 9 || told > 4096) return 1;
            if (th_pool_rewind(arena, moment) != TH_OK || th_pool_destroy(arena) != TH_OK) return 1;
            return th_heap_destroy(heap);
        }
    ";
    let path = scratch("examples").join("cxx.cpp");
    std::fs::write(&path, text).unwrap();
    for compiler in CXX_COMPILERS {
        if !have(compiler.name) {
            continue;
        }
        let program = scratch("examples").join(format!("cxx-{}", compiler.name));
        let archive = library().join("libtagheap.a");
        compiler.build(&program, std::slice::from_ref(&path), [archive]);
        told(&mut Command::new(program));
    }
}

#[test]
fn header_stands_alone() {
    let path = scratch("examples").join("alone.c");
    std::fs::write(
        &path,
        "#include \"tagheap.h\"\nint main(void) { return TH_OK; }\n",
    )
    .unwrap();
    let program = scratch("examples").join("alone");
    GCC.build(&program, &[path], ["-Wstrict-prototypes", "-Wundef"]);
    told(&mut Command::new(program));
}
