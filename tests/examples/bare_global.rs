//! The global allocator in a program without libc, in one thread and without thread-local memory.

use std::process::Output;

use crate::program::{nolibc, run};
use crate::system_calls::{Answer, Filtered};
use crate::told;

/// All that the program asks of the kernel.
const CALLS: [libc::c_long; 10] = [
    libc::SYS_execve,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_write,
    libc::SYS_exit_group,
    libc::SYS_arch_prctl,
    libc::SYS_gettid,
    libc::SYS_getpid,
];

/// Tables of what is held: of each line the tag, and objects, bytes, held and peak.
pub(crate) fn reports(text: &str) -> Vec<Vec<(String, [usize; 4])>> {
    let mut reports = Vec::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if words == ["tag", "objects", "bytes", "held", "peak", "held"] {
            reports.push(Vec::new());
        } else if let (Some(report), [tag, numbers @ ..]) = (reports.last_mut(), &words[..])
            && let Ok(numbers) = { numbers.iter() }
                .map(|number| number.parse())
                .collect::<Result<Vec<usize>, _>>()
            && let Ok(numbers) = <[usize; 4]>::try_from(numbers)
        {
            report.push((String::from(*tag), numbers));
        }
    }
    reports
}

/// Objects and bytes by tag.
pub(crate) fn objects(report: &[(String, [usize; 4])]) -> Vec<(&str, usize, usize)> {
    { report.iter() }
        .map(|(tag, [objects, bytes, ..])| (tag.as_str(), *objects, *bytes))
        .collect()
}

fn holds_together(text: &str) {
    let reports = reports(text);
    let [before, after] = &reports[..] else {
        panic!("two tables: {text}");
    };
    // A vector of texts, and 50 texts of some 40 bytes; 56 texts, as many vectors, and the nodes of a tree.
    let poem = objects(before)[1];
    assert_eq!((poem.0, poem.1), ("poem", 51), "{text}");
    assert!(poem.2 > 50 * (40 + size_of::<String>()), "{text}");
    assert_eq!(objects(before)[0].0, "index", "{text}");
    assert!(objects(before)[0].1 > 2 * 56, "{text}");
    let gone = [
        ("index", 0, 0),
        ("poem", 0, 0),
        ("table", 0, 0),
        ("untagged", 0, 0),
    ];
    assert_eq!(objects(after), gone, "{text}");
    let held = |report: &[(String, [usize; 4])], tag: usize| report[tag].1[2];
    assert_eq!(held(after, 1), 0, "released: {text}");
    // Spans of 64 KiB, for two classes at least.
    let (spans, bytes) = (held(before, 1) >> 16, held(before, 1));
    assert!(spans >= 2 && bytes == spans << 16, "{text}");
    let released = format!("released in one call: {spans} blocks, {bytes} bytes");
    assert!(text.contains(&released), "{text}");
    assert!(
        text.contains("56 words, one of them in 50 lines."),
        "{text}"
    );
    assert!(
        text.contains("A table grew to 1280000 bytes where it was."),
        "{text}"
    );
    assert!(text.contains("Given back twice: double free: "), "{text}");
}

#[test]
fn global_works_without_libc_and_makes_ten_system_calls_and_no_other() {
    holds_together(&told(&run(nolibc("global").filtered(&CALLS, Answer::Kill))));
}

#[test]
fn every_system_call_of_global_is_needed() {
    for refused in CALLS.into_iter().skip(1) {
        let mut allowed = CALLS.to_vec();
        allowed.retain(|call| *call != refused);
        let output = run(nolibc("global").filtered(&allowed, Answer::Kill));
        assert!(!output.status.success(), "without system call {refused}");
    }
}

/// What the program says where the kernel answers this system call with an error.
fn refused(call: libc::c_long, errno: i32) -> Output {
    let mut allowed = CALLS.to_vec();
    allowed.retain(|allowed| *allowed != call);
    run(nolibc("global").filtered(&allowed, Answer::Errno(errno)))
}

const ERRORS: [i32; 3] = [libc::EPERM, libc::ENOSYS, libc::ENOMEM];

fn is_out_of_memory(output: &Output) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert_eq!(status.code(), Some(101), "{status}: {complaint}");
    assert!(complaint.contains("memory allocation of"), "{complaint}");
}

#[test]
fn global_refused_memory_says_so_and_ends() {
    // Its heap; the table of spans; what an index grows by.
    for call in [libc::SYS_brk, libc::SYS_mmap, libc::SYS_mremap] {
        for errno in ERRORS {
            is_out_of_memory(&refused(call, errno));
        }
    }
}

#[test]
fn global_without_spans_goes_on_with_blocks() {
    // Of the table nothing can be used.
    for errno in ERRORS {
        let text = told(&refused(libc::SYS_mprotect, errno));
        let reports = reports(&text);
        let poem = objects(&reports[0])[1];
        assert_eq!((poem.0, poem.1), ("poem", 51), "{text}");
        assert!(text.contains("released in one call: 51 blocks"), "{text}");
        assert!(text.contains("Given back twice: double free: "), "{text}");
    }
}

#[test]
fn global_goes_on_where_it_cannot_ask_for_thread_local_memory() {
    // As if there were none.
    for errno in ERRORS {
        holds_together(&told(&refused(libc::SYS_arch_prctl, errno)));
    }
}

#[test]
fn global_goes_on_in_little_address_space() {
    // Far less than the table of spans would like to have.
    holds_together(&told(&run(nolibc("global").bounded(16 << 20))));
    // And less than it must have.
    let output = run(nolibc("global").bounded(1 << 20));
    is_out_of_memory(&output);
}
