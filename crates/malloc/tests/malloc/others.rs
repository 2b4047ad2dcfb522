//! Programs that nobody here wrote, as far as this machine has them: each says the same as without the library.

use std::fs;
use std::process::Command;

use crate::tools::{line, run, scratch, source, tables, with_library};

/// Programs, what they are called with, and whether they must be here.
const PROGRAMS: [(&str, &[&str], bool); 10] = [
    ("ls", &["-la", "."], true),
    (
        "sort",
        &["--parallel=4", "/etc/services", "/etc/passwd"],
        false,
    ),
    (
        "sh",
        &[
            "-c",
            "for n in 1 2 3 4 5; do echo $n | cat; done; (exec sh -c 'echo inner')",
        ],
        true,
    ),
    (
        "gcc",
        &["-O2", "-fno-builtin", "-S", "-o", "-", "promises.c"],
        true,
    ),
    ("g++", &["-O1", "-S", "-o", "-", "promises.cpp"], true),
    (
        "python3",
        &[
            "-c",
            "import json, threading, subprocess, sys, zlib
def work(n):
    for i in range(200): json.loads(json.dumps({str(k): [k] * (k % 50) for k in range(100)}))
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True).stdout)
print(len(zlib.compress(bytes(10**6))), sorted(set(str(i) for i in range(10000)))[:5])",
        ],
        false,
    ),
    (
        "perl",
        &[
            "-e",
            "my %h; $h{$_} = 'x' x ($_ % 100) for 1 .. 50000; print scalar(keys %h), \"\\n\"",
        ],
        false,
    ),
    // Which opens its own libraries to look for names in themselves first.
    (
        "php",
        &[
            "-r",
            "for ($n = 0; $n < 50000; $n++) $a[] = str_repeat('x', $n % 100); echo md5(json_encode($a));",
        ],
        false,
    ),
    ("git", &["--version"], false),
    ("gdb", &["--batch", "-ex", "print 6 * 7"], false),
];

fn is_here(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn programs_say_what_they_say_without_it() {
    for (program, arguments, must_be_here) in PROGRAMS {
        if !must_be_here && !is_here(program) {
            println!("left out: no {program} here");
            continue;
        }
        let folder = source("");
        let mut plain = Command::new(program);
        // Python's own memory comes from malloc, too.
        plain.env_remove("LD_PRELOAD").env("PYTHONMALLOC", "malloc");
        let expected = run(plain.args(arguments).current_dir(&folder));
        assert!(expected.status.success(), "{program}: {expected:?}");
        for tags in ["", "library"] {
            let mut command = with_library(program);
            command
                .env("PYTHONMALLOC", "malloc")
                .env("TAGHEAP_TAGS", tags);
            let output = run(command.args(arguments).current_dir(&folder));
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program} {tags}: {told}");
            assert!(!told.contains("tagheap"), "{program} {tags}: {told}");
            assert_eq!(output.stdout, expected.stdout, "{program} {tags}");
        }
    }
}

/// Those that close standard error at their end, too, and each of their children.
#[test]
fn reports_of_many_processes_come_one_after_another() {
    let report = scratch("reports").join("processes");
    let _ = fs::remove_file(&report);
    let mut command = with_library("sh");
    command.args([
        "-c",
        "for n in 1 2 3 4 5 6 7 8; do ls / >/dev/null & done; wait",
    ]);
    command
        .env("TAGHEAP_REPORT", &report)
        .env("TAGHEAP_TAGS", "library");
    let output = run(&mut command);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let tables = tables(&report);
    let of_ls: Vec<_> = tables
        .iter()
        .filter(|table| line(table, "ls").is_some_and(|of| of[3] > 0))
        .collect();
    assert_eq!(of_ls.len(), 8, "{tables:?}");
    for table in &tables {
        assert!(
            line(table, "(all)").is_none() && table.contains("\n(all) "),
            "{table}"
        );
        assert_eq!(table.matches("what is held by tag").count(), 1, "{table}");
    }
}
