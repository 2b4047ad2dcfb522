//! Runs every example, as a newcomer would, and looks at what it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bare_global;
mod bare_threads;
mod program;
mod sanitizers;
mod system_calls;

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::program::{example, nolibc, readelf, run};
use crate::system_calls::{Answer, Filtered};

/// What the program wrote to its standard output; it must have ended well.
fn told(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", output.status);
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn hexadecimal(word: &str) -> usize {
    let digits = word.trim_end_matches([',', '.', ':']);
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("an address: {word}"))
}

/// The addresses on each line that begins with `caption`.
fn addresses(text: &str, caption: &str) -> Vec<Vec<usize>> {
    text.lines()
        .filter_map(|line| line.strip_prefix(caption))
        .map(|rest| rest.split_whitespace().map(hexadecimal).collect())
        .collect()
}

/// The numbers of a table's line: blocks, bytes, payload.
fn amounts(text: &str, tag: &str) -> Vec<[usize; 3]> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() == 4 && words[0] == tag)
        .map(|words| [1, 2, 3].map(|n| words[n].parse().expect("a number")))
        .collect()
}

#[test]
fn pools_prints_the_addresses_of_the_assembly_driver() {
    let text = told(&run(example("pools")));
    let lines = addresses(&text, "Allocations:");
    assert_eq!(lines.len(), 2, "{text}");
    for line in &lines {
        let [first, second, third] = line[..] else {
            panic!("three addresses: {text}");
        };
        assert_eq!([second - first, third - second], [0x1b0, 0x40], "{text}");
    }
    assert_eq!(addresses(&text, "Once more:"), lines[..1], "{text}");
}

#[test]
fn pools_draws_the_heap_after_every_step() {
    let text = told(&run(example("pools")));
    let drawn: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(" |"))
        .map(|(_, blocks)| blocks)
        .collect();
    let steps = [
        "(heap) 128|",
        "(heap) 128|1 432|",
        "(heap) 128|1 432|2 64|2 112|",
        "(heap) 128|1 432|",
        "(heap) 128|",
        "(heap) 128|1 432|2 64|2 112|",
    ];
    assert_eq!(drawn, steps, "{text}");
    assert_eq!(amounts(&text, "2"), [[2, 176, 112]; 2], "{text}");
}

#[test]
fn pools_lives_at_the_program_break() {
    let text = told(&run(example("pools")));
    if cfg!(not(target_env = "gnu")) {
        assert!(text.contains("reservation, not at the break"), "{text}");
        return;
    }
    let mapping = text
        .lines()
        .find_map(|line| line.strip_prefix("/proc/self/maps: "))
        .expect("the heap's line in the table of mappings");
    assert!(mapping.ends_with("[heap]"), "{text}");
    let (range, _) = mapping.split_once(' ').expect("a range");
    let (start, end) = range.split_once('-').expect("a range");
    let range = hexadecimal(start)..hexadecimal(end);
    for address in addresses(&text, "Allocations:").concat() {
        assert!(range.contains(&address), "{address:#x}: {text}");
    }
}

#[test]
fn level_loads_the_next_level_into_the_memory_of_the_last() {
    let text = told(&run(example("level")));
    let levels = amounts(&text, "level");
    assert_eq!(levels.len(), 3, "loaded, played, loaded again: {text}");
    assert!(levels.iter().all(|level| *level == levels[0]), "{text}");
    assert!(levels[0][0] > 400, "hundreds of blocks: {text}");
    let released = format!(
        "released in one call: {} blocks, {} bytes",
        levels[0][0], levels[0][1]
    );
    assert!(text.contains(&released), "{text}");
    let player = amounts(&text, "player");
    assert_eq!(player.len(), 4, "{text}");
    assert!(player.iter().all(|amount| *amount == player[0]), "{text}");
    assert_eq!(
        amounts(&text, "frame").len(),
        1,
        "frames leave nothing: {text}"
    );
    assert!(text.contains("The heap grew by 0 bytes."), "{text}");
}

/// What stands behind a tag in each line of a table that begins with it; the tag's name may have spaces.
fn behind<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.strip_prefix(tag)?.split_whitespace().next())
        .collect()
}

/// The objects that the table says a tag has, each time it is printed.
fn objects(text: &str, tag: &str) -> Vec<usize> {
    let all = behind(text, tag).into_iter();
    all.filter(|objects| !objects.starts_with(['+', '-']))
        .map(|objects| objects.parse().expect("a number"))
        .collect()
}

#[test]
fn global_tells_which_part_holds_the_memory() {
    let output = run(example("global"));
    let text = told(&output);
    assert!(output.stderr.is_empty(), "no report unasked: {output:?}");
    // A thousand pages and the vector of them, until they are dropped.
    assert_eq!(objects(&text, "pages "), [1001, 0, 0], "{text}");
    assert_eq!(behind(&text, "pages ")[1], "-1001", "{text}");
    assert_eq!(objects(&text, "counts "), [0; 3], "{text}");
    assert_eq!(objects(&text, "scratch "), [0], "{text}");
    let words = text.split_once(" different words").expect("a count").0;
    let words: usize = words
        .rsplit(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    // The words and the table of them.
    assert_eq!(
        objects(&text, "index of all words "),
        [words + 1; 3],
        "{text}"
    );
}

#[test]
fn global_reports_at_the_end_what_is_left() {
    let mut program = example("global");
    program.env("TAGHEAP_REPORT", "1");
    let output = run(program);
    let text = told(&output);
    let report = String::from_utf8(output.stderr).expect("text");
    assert!(
        report.starts_with("tagheap: what is held by tag"),
        "{report}"
    );
    let index = objects(&text, "index of all words ");
    assert_eq!(
        objects(&report, "index of all words "),
        index[..1],
        "{report}"
    );
    assert_eq!(objects(&report, "pages "), [0], "{report}");
}

#[test]
fn t01_parity_finds_no_difference_between_heap_and_twin() {
    for rule in ["whole", "split"] {
        let mut parity = example("parity");
        parity.args(["--ops", "20000", "--refuse", "5", "--model", "--rule", rule]);
        let text = told(&run(parity));
        assert!(text.contains("20000 operations, 0 differences"), "{text}");
    }
}

#[test]
fn parity_ends_with_1_at_a_difference() {
    let mut parity = example("parity");
    parity.args(["--ops", "20000", "--plant"]);
    let output = run(parity);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn parity_ends_with_2_where_it_cannot_say() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no.trace");
    fs::write(&file, "release tag 1\r\nrelease tag one\n").unwrap();
    let mut parity = example("parity");
    let output = run({
        parity.arg("--trace").arg(&file);
        parity
    });
    let text = String::from_utf8(output.stderr).unwrap();
    let wanted = "no.trace: line 2: not an operation: release tag one\n";
    assert!(text.ends_with(wanted), "{text}");
    assert_eq!(output.status.code(), Some(2));

    let mut parity = example("parity");
    parity.args(["--ops", "20000", "--plant"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = parity.stdout(writer).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(2));
}

#[test]
fn programs_without_libc_are_static_and_need_nobody() {
    for name in ["nolibc", "embedded", "global", "threads", "common"] {
        let headers = readelf(&["--wide", "--program-headers", "--dynamic"], nolibc(name));
        assert!(headers.contains("LOAD"), "{name}: {headers}");
        for word in ["INTERP", "NEEDED", "DYNAMIC"] {
            assert!(!headers.contains(word), "{name}: {word}: {headers}");
        }
    }
}

#[test]
fn b10_nolibc_makes_four_system_calls_and_no_other() {
    let allowed = [
        libc::SYS_execve,
        libc::SYS_brk,
        libc::SYS_write,
        libc::SYS_exit_group,
    ];
    let text = told(&run(nolibc("nolibc").filtered(&allowed, Answer::Kill)));
    let [before, after] = amounts(&text, "primes")[..] else {
        panic!("two tables: {text}");
    };
    assert_eq!(before, after, "{text}");
    assert_eq!(
        amounts(&text, "poem").len(),
        1,
        "gone by the second table: {text}"
    );
    assert!(
        text.contains("begins in the memory of the last one."),
        "{text}"
    );
}

#[test]
fn every_system_call_of_nolibc_is_needed() {
    // That the filter kills at all, and that none of the three is allowed for nothing.
    for refused in [libc::SYS_brk, libc::SYS_write, libc::SYS_exit_group] {
        let mut allowed = vec![
            libc::SYS_execve,
            libc::SYS_brk,
            libc::SYS_write,
            libc::SYS_exit_group,
        ];
        allowed.retain(|call| *call != refused);
        let output = run(nolibc("nolibc").filtered(&allowed, Answer::Kill));
        assert!(!output.status.success(), "without system call {refused}");
    }
}

#[test]
fn b05_nolibc_without_a_break_says_so_and_ends() {
    let allowed = [libc::SYS_execve, libc::SYS_write, libc::SYS_exit_group];
    // What a filter answers in the place of `brk` is no address at all.
    for errno in [libc::EPERM, libc::ENOSYS, libc::ENOMEM] {
        let output = run(nolibc("nolibc").filtered(&allowed, Answer::Errno(errno)));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(101),
            "{}: {complaint}",
            output.status
        );
        assert!(complaint.contains("memory allocation of"), "{complaint}");
    }
}

#[test]
fn kinds_does_what_the_sources_did_and_draws_each_kind() {
    let text = told(&run(example("kinds")));
    for line in [
        "out of memory: 1500 bytes aligned to 1 for tag stack: the pool serves up to 1024 bytes",
        "out of memory: 600 bytes aligned to 1 for tag stack: the pool is full, 504 of 1024 in use",
        "[0, 1, 2, 3, 4] and \"ciao\" in one block",
        "96 of 1024 bytes used (peak 96), 6 allocated, 0 given back, 0 refused",
        "0 of 1024 bytes used (peak 96), 6 allocated, 6 given back, 0 refused",
        "5 of 120 slots used (peak 5), 5 allocated, 0 given back, 0 refused",
        "1 of 64 slots used (peak 2), 64 allocated, 63 given back, 0 refused",
        "All pools are gone, and the heap holds 0 blocks of theirs.",
    ] {
        assert!(text.lines().any(|there| there == line), "{line}\n{text}");
    }
    assert!(text.contains("double free: "), "{text}");
    assert!(text.contains("place of the one that went: true"), "{text}");
    // Four threads with ten objects each, at once, behind a lock and without one.
    let shared = "(peak 40), 40 allocated, 40 given back, 0 refused";
    assert_eq!(text.matches(shared).count(), 2, "{text}");
    let pictures = text.matches("|[64] x64|").count();
    assert_eq!(pictures, 2, "given back: {text}");
    // Of each kind, and of each level of the priorities.
    for picture in [
        "|(heap) 128|[432]|level 48|",
        "|24|[936]|",
        "|16 x2|[112]|16|[14960]|",
        "|200|304|[520]|",
        "|16 x6|[928]|",
        "|16 x2|[16] x3|16 x5|",
        "|16|[16] x3|",
        "|512|128|[128]|[256]|[1024]|[2048]|",
        "|32 x2|[32] x62|",
        "|128|[128] x31|",
        "|1024|[1024] x7|",
        "|256|[256] x15|",
        "|8|[8] x63|",
        "|(heap) 128|hunted 48 x3|",
    ] {
        assert!(text.contains(picture), "{picture}\n{text}");
    }
}

fn has_every_kind_in_one_buffer(text: &str) {
    for tag in [
        "readings", "line", "control", "irq", "motor", "tasks", "log", "images", "frames",
        "packets", "calls", "scraps",
    ] {
        assert!(amounts(text, tag)[0][0] > 0, "{tag}\n{text}");
    }
    let limit = ", limit 500000 ns (1000000 cycles) exceeded ";
    assert!(text.contains(limit), "{text}");
    assert!(text.contains("line fills up: "), "{text}");
    assert!(
        text.contains("out of memory: 16 bytes aligned to 1 for tag line"),
        "{text}"
    );
}

#[test]
fn embedded_has_every_kind_in_one_buffer() {
    has_every_kind_in_one_buffer(&told(&run(example("embedded"))));
}

#[test]
fn embedded_without_libc_asks_the_kernel_only_to_print() {
    let allowed = vec![libc::SYS_execve, libc::SYS_write, libc::SYS_exit_group];
    let text = told(&run(nolibc("embedded").filtered(&allowed, Answer::Kill)));
    has_every_kind_in_one_buffer(&text);
    for refused in &allowed[1..] {
        let mut allowed = allowed.clone();
        allowed.retain(|call| call != refused);
        let output = run(nolibc("embedded").filtered(&allowed, Answer::Kill));
        assert!(!output.status.success(), "without system call {refused}");
    }
}
