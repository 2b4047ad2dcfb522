//! How the break gets from glibc to the heap, and how it stood then (B09, B10).

use core::time::Duration;
use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use tagheap::{Break, HEADER, Root, TakeOverError, UNIT};

use crate::ground::{Blocks, INDEX_ROOM, KIB, MIB, Mine, brk, bytes, heap_at_the_break, in_a_copy};

pub(crate) fn b09_a_break_that_is_not_aligned() {
    for odd in [1, 7, 8, 15, 16, 17, 31, 33, 4079, 4080, 4081, 4095] {
        in_a_copy(move || {
            // SAFETY: glibc is asked for bytes by its own means, before the take-over.
            let got = unsafe { libc::sbrk(odd) };
            assert_ne!(got.addr(), usize::MAX, "memory");
            let start = brk(0);
            assert!(!start.is_multiple_of(16) || odd % 16 == 0);

            let mut heap = heap_at_the_break();
            assert_eq!(heap.base(), start.next_multiple_of(UNIT) + INDEX_ROOM);
            let blocks = Blocks::take(&mut heap, 50, 333);
            assert_eq!(blocks.0[0].address(), heap.base() + Root::BLOCK + HEADER);
            for block in &blocks.0 {
                assert!(block.address().is_multiple_of(UNIT));
            }
            let aligned = heap.allocate(crate::ground::MINE, bytes(100).align_to(4096).unwrap());
            assert!(aligned.unwrap().addr().get().is_multiple_of(4096));
            Mine::take(&mut heap, MIB).expect("room");
            blocks.assert_intact();
            heap.check().expect("a whole heap");
        });
    }
}

pub(crate) fn b10_the_first_block_when_the_area_has_no_bytes() {
    // With this setting glibc maps whatever it allocates, and never moves the break.
    const SETTING: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=1");
    if env::var(SETTING.0).as_deref() != Ok(SETTING.1) {
        let program = env::current_exe().expect("a path");
        let error = Command::new(program).env(SETTING.0, SETTING.1).exec();
        panic!("{error}");
    }
    let line = fs::read_to_string("/proc/self/stat").expect("a line");
    let behind_name = line.rsplit(')').next().unwrap();
    // Field 47 is where the break's area starts; the third is the first behind the name.
    let start: usize = behind_name
        .split_whitespace()
        .nth(47 - 3)
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(brk(0), start, "an area of no bytes");

    let mut heap = heap_at_the_break();
    assert_eq!(heap.base(), start.next_multiple_of(UNIT) + INDEX_ROOM);
    let block = Mine::take(&mut heap, 1).expect("room");
    assert_eq!(block.address(), heap.base() + Root::BLOCK + HEADER);
    heap.check().expect("a whole heap");
    block.give_back(&mut heap);
    assert_eq!(
        heap.end(),
        heap.base() + Root::BLOCK,
        "the root block alone"
    );
    heap.check().expect("a whole heap");
}

pub(crate) fn malloc_goes_on_and_leaves_the_break_alone() {
    let before: Vec<Vec<u8>> = (0..500).map(|n| vec![n as u8; 700]).collect();
    let mut heap = heap_at_the_break();
    let blocks = Blocks::take(&mut heap, 200, 1000);
    let large = Mine::take(&mut heap, 8 * MIB).expect("room");
    let standing = brk(0);

    let busy = || {
        let mut kept = Vec::new();
        for n in 0..20_000_usize {
            kept.push(vec![n as u8; n * 37 % 3000]);
            if n % 3 == 0 {
                kept.swap_remove(n * 7 % kept.len());
            }
        }
        let filled = kept
            .iter()
            .all(|bytes| bytes.iter().all(|byte| *byte == bytes[0]));
        assert!(filled, "malloc's own memory");
        vec![1_u8; 5 * MIB].len() + kept.len()
    };
    busy();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(busy);
        }
    });
    drop(before);
    // SAFETY: glibc gives back what it can.
    unsafe { libc::malloc_trim(0) };
    busy();

    assert_eq!(brk(0), standing, "nobody but the heap moves the break");
    blocks.assert_intact();
    large.assert_intact();
    heap.check().expect("a whole heap");
    Blocks::take(&mut heap, 100, 20 * KIB).assert_intact();
    assert!(brk(0) > standing);
    heap.check().expect("a whole heap");
}

pub(crate) fn refused_while_other_threads_run() {
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::spawn(move || stopped.recv());
    let before = brk(0);
    assert_eq!(
        Break::take_over().err(),
        Some(TakeOverError::Threads { count: 2 })
    );
    drop(stop);
    assert!(thread.join().is_ok());
    // A joined thread may still be on its way out of the kernel's count.
    let taken = (0..1000).find_map(|_| match Break::take_over() {
        Ok(taken) => Some(taken),
        Err(error) => {
            assert_eq!(error, TakeOverError::Threads { count: 2 });
            thread::sleep(Duration::from_millis(1));
            None
        }
    });
    assert!(taken.is_some(), "alone again");
    assert_eq!(brk(0), before, "a take-over alone moves nothing");
}

pub(crate) fn refused_a_second_time() {
    let first = Break::take_over();
    assert!(first.is_ok());
    assert_eq!(Break::take_over().err(), Some(TakeOverError::Taken));
    drop(first);
    assert_eq!(Break::take_over().err(), Some(TakeOverError::Taken));
}

pub(crate) fn refused_when_somebody_else_moved_the_break() {
    let before = brk(0);
    assert_eq!(brk(before + 100), before + 100);
    assert_eq!(Break::take_over().err(), Some(TakeOverError::Shared));
    assert_eq!(brk(before), before);
    assert!(Break::take_over().is_ok(), "it is glibc's alone again");
}
