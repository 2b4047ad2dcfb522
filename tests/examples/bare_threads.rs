//! The global allocator in programs without libc that have threads, with thread-local memory and without.

use crate::bare_global::{objects, reports};
use crate::program::{nolibc, run};
use crate::system_calls::{Answer, Filtered};
use crate::told;

/// What threads ask of the kernel, for themselves or the heap; naps and yields only where they get into each other's way.
const CALLS: [libc::c_long; 17] = [
    libc::SYS_execve,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_write,
    libc::SYS_arch_prctl,
    libc::SYS_clone,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_nanosleep,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

#[test]
fn threads_send_each_other_memory_and_later_ones_take_theirs_over() {
    for _ in 0..10 {
        let text = told(&run(nolibc("threads").filtered(&CALLS, Answer::Kill)));
        assert!(text.contains("sent each other 12000 parcels."), "{text}");
        let reports = reports(&text);
        let [kept, after] = &reports[..] else {
            panic!("two tables: {text}");
        };
        // A keepsake and the parcel in which it waits.
        let tags = ["first", "fourth", "second", "third", "untagged"];
        let expected = tags.map(|tag| {
            if tag == "untagged" {
                (tag, 0, 0)
            } else {
                (tag, 2, 976)
            }
        });
        assert_eq!(objects(kept), expected, "{text}");
        assert_eq!(objects(after), tags.map(|tag| (tag, 0, 0)), "{text}");
        for line in [
            "first left, heirs: 1",
            "second gone, heirs: 1",
            "third left, heirs: 1",
            "fourth gone, heirs: 1",
            "Keepsakes: 4",
            "The heap is sound.",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}\n{text}");
        }
    }
}

#[test]
fn threads_without_memory_of_their_own_have_one_place_in_common() {
    for _ in 0..10 {
        let text = told(&run(nolibc("common").filtered(&CALLS, Answer::Kill)));
        let words: Vec<_> = text.split_whitespace().collect();
        let [
            "Four",
            "threads",
            "passed",
            "on",
            all,
            "vectors,",
            blocks,
            ..,
        ] = words[..]
        else {
            panic!("{text}");
        };
        let (all, blocks): (usize, usize) = (all.parse().unwrap(), blocks.parse().unwrap());
        assert!(all > 0 && all.is_multiple_of(80_000), "{text}");
        assert!(blocks > 0, "a block for who came second: {text}");
        let reports = reports(&text);
        assert_eq!(reports.len(), 1, "{text}");
        assert_eq!(objects(&reports[0]), [("untagged", 0, 0)], "{text}");
        assert!(text.ends_with("\nThe heap is sound.\n"), "{text}");
    }
}

#[test]
fn threads_refused_by_the_kernel_are_no_crash() {
    for (refused, complaint) in [
        (libc::SYS_arch_prctl, "refused by the kernel, error 12"),
        (libc::SYS_mmap, "refused by the kernel, error 12"),
        (libc::SYS_clone, "refused by the kernel, error 12"),
        (libc::SYS_brk, "memory allocation of"),
    ] {
        let mut allowed = CALLS.to_vec();
        allowed.retain(|call| *call != refused);
        let output = run(nolibc("threads").filtered(&allowed, Answer::Errno(libc::ENOMEM)));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(101), "{refused}: {said}");
        assert!(said.contains(complaint), "{refused}: {said}");
    }
}
