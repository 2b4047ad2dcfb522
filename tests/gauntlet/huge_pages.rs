//! A reservation that asks for huge pages: what the kernel is told, and what becomes of the ends of rows.

use core::ptr::NonNull;
use std::fs;
use std::panic::{self, AssertUnwindSafe};

use tagheap::{Global, Heap, Reserve, Source, Tag};

use crate::mappings::{self, Mapping};
use crate::support::bytes;

const HUGE: usize = 2 << 20;
const STEP: usize = 128 << 10;
const A: Tag = Tag::named("a");

/// All mappings; `None` where the kernel knows of no huge pages.
fn mappings() -> Option<Vec<Mapping>> {
    fs::metadata("/sys/kernel/mm/transparent_hugepage").ok()?;
    Some(mappings::all())
}

/// Whether the kernel was asked for huge pages there.
fn is_asked(mapping: &Mapping) -> bool {
    mapping.has_flag("hg")
}

/// Whether the kernel was asked for huge pages at an address; `None` where it knows of none.
fn is_advised(address: usize) -> Option<bool> {
    let all = mappings()?;
    let mut around = all
        .iter()
        .filter(|mapping| mapping.addresses.contains(&address));
    Some(is_asked(around.next().unwrap()))
}

/// Bytes of this process for which the kernel was asked for huge pages; `None` where it knows of none.
fn advised() -> Option<usize> {
    let all = mappings()?;
    let asked = all.iter().filter(|mapping| is_asked(mapping));
    Some(asked.map(|mapping| mapping.addresses.len()).sum())
}

#[test]
fn the_kernel_is_asked_for_huge_pages_where_the_user_wants_them() {
    let make = |reserve: Reserve| Heap::new(reserve).unwrap();
    let (small, huge) = (
        make(Reserve::new().unwrap()),
        make(Reserve::new().unwrap().in_huge_pages()),
    );
    assert_ne!(is_advised(small.base()), Some(true));
    assert_ne!(is_advised(huge.base()), Some(false));
}

/// Small blocks make the indexes of the heap long; spans and large blocks of a program's heap do not.
#[test]
fn large_indexes_lie_in_huge_pages_and_a_programs_do_not() {
    static PROGRAM: Global = Global::new();
    let asked_for_small_blocks = || {
        let mut heap = Heap::new(Reserve::new().unwrap()).unwrap();
        let before = advised()?;
        for _ in 0..1_000_000 {
            heap.allocate(A, bytes(48)).unwrap();
        }
        heap.check().unwrap();
        Some(advised()? > before + HUGE)
    };
    let asked_for_a_program = || {
        PROGRAM.allocate(bytes(1)).unwrap();
        let before = advised()?;
        for _ in 0..100_000 {
            PROGRAM.allocate(bytes(1000)).unwrap();
        }
        PROGRAM.check().unwrap();
        Some(advised()? > before)
    };
    in_a_child("small blocks", || asked_for_small_blocks() != Some(false));
    in_a_child("a program", || asked_for_a_program() != Some(true));
}

/// What holds in a process that has this thread alone.
fn in_a_child(what: &str, holds: impl FnOnce() -> bool) {
    // SAFETY: the child uses what libc prepares for a fork, and heaps that are not made yet, and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let held = panic::catch_unwind(AssertUnwindSafe(holds)).unwrap_or(false);
        // SAFETY: ends the child, and runs nothing of the parent's.
        unsafe { libc::_exit(i32::from(!held)) };
    }
    let mut status = 0;
    // SAFETY: our own child.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((ended, status), (child, 0), "{what}");
}

#[test]
fn a_row_ends_with_its_last_huge_page_and_keeps_that_when_trimmed() {
    let mut source = Reserve::with_capacity(64 * HUGE).unwrap().in_huge_pages();
    let base = source.limit();
    for (to, end) in [(1, 1), (HUGE - STEP, 1), (HUGE, 2), (5 * HUGE - 1, 6)] {
        source.extend(base, base + to).unwrap();
        let limit = source.limit();
        assert!(limit >= base + to && limit.is_multiple_of(HUGE), "{to}");
        // The base need not lie on one.
        assert!(limit <= (base + end * HUGE).next_multiple_of(HUGE), "{to}");
    }
    // SAFETY: nobody uses any of it.
    let left = unsafe { source.trim(base + HUGE + 1) };
    assert!(left.is_multiple_of(HUGE) && left > base + HUGE && left <= base + 3 * HUGE);
    assert_eq!(left, source.limit());
}

#[test]
fn a_reservation_that_is_no_multiple_of_them_is_used_to_its_end() {
    for capacity in [16384, HUGE - 4096, HUGE + 4096, 3 * HUGE - 4096] {
        let source = || Reserve::with_capacity(capacity).unwrap();
        let fill = |source: Reserve| {
            let mut heap = Heap::new(source).unwrap();
            let mut count = 0;
            while heap.allocate(A, bytes(1000)).is_ok() {
                count += 1;
            }
            heap.check().unwrap();
            // SAFETY: nobody uses any of it.
            unsafe { heap.release(A) }.unwrap();
            heap.trim();
            heap.check().unwrap();
            let zeroed = heap.allocate_zeroed(A, bytes(1000)).unwrap();
            // SAFETY: just handed out, and initialized.
            assert!(unsafe { zeroed.as_ref() }.iter().all(|byte| *byte == 0));
            count
        };
        assert_eq!(fill(source()), fill(source().in_huge_pages()), "{capacity}");
    }
}

/// Whichever call of a handle's comes first makes the program's heap where the handle says.
#[test]
fn a_handles_first_call_makes_the_heap_where_it_says() {
    static HUGE_HEAP: Global = Global::new().in_huge_pages();
    let wild = NonNull::<u8>::dangling();
    let calls: [fn(NonNull<u8>); 14] = [
        |_| _ = HUGE_HEAP.allocate(bytes(1)),
        |_| _ = HUGE_HEAP.check(),
        |_| _ = HUGE_HEAP.trim(),
        |_| _ = HUGE_HEAP.purge(),
        // SAFETY: nobody has anything under the tag.
        |_| _ = unsafe { HUGE_HEAP.release(A) },
        |wild| _ = HUGE_HEAP.tag_of(wild),
        |wild| _ = HUGE_HEAP.usable_size(wild),
        |_| _ = HUGE_HEAP.holding(A),
        |_| _ = HUGE_HEAP.holdings().count(),
        |_| _ = HUGE_HEAP.report().to_string(),
        |_| _ = HUGE_HEAP.set_name(A, "a"),
        |_| _ = HUGE_HEAP.set_limit(A, None),
        |_| _ = HUGE_HEAP.reset_peak(A),
        |_| _ = HUGE_HEAP.forget(A),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        in_a_child(&format!("call {number}"), || {
            call(wild);
            let large = HUGE_HEAP.allocate(bytes(1 << 20));
            large.is_ok_and(|at| is_advised(at.addr().get()) != Some(false))
        });
    }
}
