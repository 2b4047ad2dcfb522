//! Misuse through the global allocator's face: one line on standard error, and an abort.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::os::unix::process::ExitStatusExt;
use std::thread;

use tagheap::{Corruption, HEADER, Tag, scope};

use crate::HEAP;
use crate::careless::{face, free, take};
use crate::support::{bytes, ends, layout, text};

const TAG: Tag = Tag::named("fatal");

/// The process says why and where, in one line, which this answers, and aborts.
#[track_caller]
fn dies<F: FnOnce()>(kind: &str, op: &str, work: F) -> String {
    let output = ends(&[], work);
    let said = text(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    let told = String::from_utf8(output.stderr).unwrap();
    let line = told.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{told}");
    assert!(
        line.starts_with(&format!("tagheap: fatal: {kind}")),
        "{told}"
    );
    let (_why, rest) = line.split_once(" op=").unwrap();
    let (named, at) = rest.split_once(" ptr=0x").unwrap();
    assert_eq!(named, op, "{told}");
    assert!(
        at.split(' ').next().unwrap().len() > 1 || op == "alloc",
        "{told}"
    );
    line.to_owned()
}

fn inside(ptr: NonNull<u8>, offset: usize) -> NonNull<u8> {
    ptr.map_addr(|at| at.checked_add(offset).unwrap())
}

#[test]
fn c01_a_slot_freed_twice() {
    dies("double free: the block at 0x", "dealloc", || {
        let [ptr, _kept] = [(); 2].map(|()| take(TAG, bytes(100)));
        face::dealloc(ptr, bytes(100));
        face::dealloc(ptr, bytes(100));
    });
}

#[test]
fn c01_a_block_freed_twice() {
    dies("double free: the block at 0x", "dealloc", || {
        let [ptr, _kept] = [(); 2].map(|()| take(TAG, bytes(100_000)));
        face::dealloc(ptr, bytes(100_000));
        face::dealloc(ptr, bytes(100_000));
    });
}

#[test]
fn c01_a_slot_freed_by_another_thread_and_again() {
    dies("double free: the block at 0x", "dealloc", || {
        let [ptr, _kept] = [(); 2].map(|()| take(TAG, bytes(100)).addr());
        let ptr = || NonNull::without_provenance(ptr);
        thread::scope(|scope| {
            scope.spawn(|| face::dealloc(ptr(), bytes(100)));
        });
        face::dealloc(ptr(), bytes(100));
    });
}

#[test]
fn c03_inside_a_slot() {
    dies("not a block: no payload starts at 0x", "dealloc", || {
        face::dealloc(inside(take(TAG, bytes(100)), 8), bytes(100));
    });
}

#[test]
fn c03_inside_a_block() {
    dies("not a block: no payload starts at 0x", "dealloc", || {
        face::dealloc(inside(take(TAG, bytes(100_000)), 4096), bytes(100));
    });
}

#[test]
fn c05_a_wild_pointer() {
    dies("not from this heap: 0x", "dealloc", || {
        let on_stack = [0_u64; 4];
        face::dealloc(NonNull::from(&on_stack).cast(), Layout::new::<[u64; 4]>());
    });
}

#[test]
fn c08_another_classes_size() {
    dies(
        "size mismatch: 200 bytes claimed for the block at 0x",
        "dealloc",
        || {
            face::dealloc(take(TAG, bytes(100)), bytes(200));
        },
    );
}

#[test]
fn c08_an_alignment_that_it_has_not() {
    dies("alignment mismatch: 0x", "dealloc", || {
        let [_first, second] = [(); 2].map(|()| take(TAG, bytes(16)));
        face::dealloc(second, layout(16, 8192));
    });
}

#[test]
fn c09_a_freed_slot_resized() {
    dies("double free: the block at 0x", "realloc", || {
        let [ptr, _kept] = [(); 2].map(|()| take(TAG, bytes(100)));
        face::dealloc(ptr, bytes(100));
        face::realloc(ptr, bytes(100), 101);
    });
}

#[test]
fn c09_a_wild_pointer_resized() {
    dies("not from this heap: 0x", "realloc", || {
        let on_stack = [0_u64; 4];
        face::realloc(
            NonNull::from(&on_stack).cast(),
            Layout::new::<[u64; 4]>(),
            8,
        );
    });
}

#[test]
fn d01_a_slot_that_went_with_its_tag() {
    dies("released block: the block at 0x", "dealloc", || {
        let ptr = take(TAG, bytes(100));
        // SAFETY: misuse, later.
        unsafe { HEAP.release(TAG) }.unwrap();
        face::dealloc(ptr, bytes(100));
    });
}

#[test]
fn d04_a_request_under_a_tag_of_the_heaps_own() {
    dies("reserved tag: 0x", "alloc", || {
        scope(Tag::HEAP, || face::alloc(bytes(1)));
    });
}

#[test]
fn d04_a_request_under_the_tag_of_free_blocks() {
    dies("reserved tag: 0x0 is", "alloc", || {
        scope(Tag::FREE, || face::alloc(bytes(1)));
    });
}

/// The rest of what is at the address is told too: whose it is.
#[test]
fn the_line_names_the_tag_of_what_somebody_holds() {
    dies(
        "size mismatch: 200 bytes claimed for the block at 0x",
        "dealloc",
        || {
            face::dealloc(take(TAG, bytes(100)), bytes(200));
        },
    );
    let output = ends(&[], || face::dealloc(take(TAG, bytes(100)), bytes(200)));
    assert!(text(&output).ends_with(" tag=fatal\n"));
}

/// The hexadecimal number behind some words of a line.
#[track_caller]
fn number_behind(line: &str, words: &str) -> usize {
    let (_before, behind) = line.split_once(words).unwrap();
    let digits = behind.split(' ').next().unwrap();
    usize::from_str_radix(digits, 16).unwrap()
}

/// Changes a bit of the word that lies so many bytes in front of an address.
fn flip(at: NonNull<u8>, back: usize) {
    // SAFETY: in the heap's memory. Whether that is found is under test.
    let word = unsafe { at.cast::<u64>().byte_sub(back) };
    // SAFETY: as above.
    let before = unsafe { word.read() };
    // SAFETY: as above.
    unsafe { word.write(before ^ 0x100) };
}

#[test]
fn e05_a_header_that_was_written_over() {
    const LARGE: usize = 100_000;
    let line = dies("damaged header at 0x", "dealloc", || {
        let ptr = take(TAG, bytes(LARGE));
        let at = ptr.addr().get() - HEADER;
        for back in [32, 24, 16, 8] {
            flip(ptr, back);
            let found = Err(Corruption::Header { at }.into());
            assert_eq!(free(ptr, bytes(LARGE)), found);
            assert_eq!(HEAP.check(), found);
            flip(ptr, back);
        }
        HEAP.check().unwrap();
        flip(ptr, 16);
        face::dealloc(ptr, bytes(LARGE));
    });
    let header = number_behind(&line, "damaged header at 0x");
    assert_eq!(header + HEADER, number_behind(&line, " ptr=0x"), "{line}");
}

#[test]
fn e05_a_header_that_was_written_over_and_its_block_resized() {
    dies("damaged header at 0x", "realloc", || {
        let ptr = take(TAG, bytes(100_000));
        flip(ptr, 8);
        face::realloc(ptr, bytes(100_000), 200_000);
    });
}

/// Written behind the end of its memory by who holds the one in front.
#[test]
fn e04_a_block_written_over_its_end() {
    const LARGE: usize = 99_984;
    dies("damaged header at 0x", "dealloc", || {
        // One behind the other.
        let mut taken = [(); 5].map(|()| take(TAG, bytes(LARGE)));
        taken.sort();
        let apart =
            |pair: &&[NonNull<u8>]| pair[0].addr().get() + LARGE + HEADER == pair[1].addr().get();
        let pair = taken.windows(2).find(apart).unwrap();
        // SAFETY: in the heap's memory.
        let behind = unsafe { pair[0].add(LARGE) };
        // SAFETY: not the memory that was asked for. Whether that is found is under test.
        unsafe { behind.write_bytes(0, 8) };
        face::dealloc(pair[1], bytes(LARGE));
    });
}

/// The first word of a free block's header: found by a request that would have got it.
#[test]
fn e07_a_free_block_that_was_written_over() {
    dies("damaged header at 0x", "alloc", || {
        let [ptr, _kept] = [(); 2].map(|()| take(TAG, bytes(100_000)));
        free(ptr, bytes(100_000)).unwrap();
        flip(ptr, 32);
        for _ in 0..10 {
            face::alloc(bytes(100_000));
        }
    });
}
