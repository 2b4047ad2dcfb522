//! The kernel refuses to move the break, and later does not (B02, B03, B12).

use std::fs;
use std::io;

use tagheap::{Break, Error, Heap, OutOfMemory, Shortage};

use crate::ground::{
    Blocks, KIB, MIB, MINE, Mine, PAGE, brk, bytes, digest, fill_up, heap_at_the_break, in_a_copy,
    pointer, take_foreign,
};

pub(crate) fn b02_b03_by_the_limit_on_data() {
    refused_for_a_while(|| {
        let before = limit(libc::RLIMIT_DATA, 0);
        move || {
            limit(libc::RLIMIT_DATA, before);
        }
    });
}

pub(crate) fn b02_b03_by_the_limit_on_address_space() {
    refused_for_a_while(|| {
        let sizes = fs::read_to_string("/proc/self/statm").expect("sizes in pages");
        let pages: usize = sizes.split(' ').next().unwrap().parse().expect("a number");
        let before = limit(libc::RLIMIT_AS, pages * PAGE + 400 * KIB);
        move || {
            limit(libc::RLIMIT_AS, before);
        }
    });
}

pub(crate) fn b02_b03_by_the_limit_on_locked_memory() {
    // Whoever may lock memory without limit cannot meet this refusal.
    // SAFETY: plain numbers.
    unsafe { libc::setresuid(65_534, 65_534, 65_534) };
    refused_for_a_while(|| {
        limit(libc::RLIMIT_MEMLOCK, 500 * KIB);
        // SAFETY: plain numbers; new memory is locked from here on.
        let locked = unsafe { libc::mlockall(libc::MCL_FUTURE) };
        assert_eq!(locked, 0, "{}", io::Error::last_os_error());
        || {
            // SAFETY: no memory needs to be locked.
            unsafe { libc::munlockall() };
        }
    });
}

pub(crate) fn b02_b03_b12_by_a_mapping_above_the_break() {
    refused_for_a_while(|| {
        let page = map_above(3);
        move || unmap(page)
    });
}

pub(crate) fn b12_a_mapping_above_stops_a_block_from_growing_in_place() {
    let mut heap = heap_at_the_break();
    let last = Mine::take(&mut heap, 100 * KIB).expect("room");
    let page = map_above(0);
    let before = digest(&heap);
    // SAFETY: the block is held; a refusal leaves it as it is.
    let grown = unsafe { heap.grow(last.at, last.layout, bytes(MIB)) };
    assert!(matches!(grown, Err(Error::OutOfMemory(_))), "{grown:?}");
    assert_eq!(digest(&heap), before);
    last.assert_intact();
    unmap(page);
    // SAFETY: as above; the old block is not used where it moves.
    let grown = unsafe { heap.grow(last.at, last.layout, bytes(MIB)) };
    assert_eq!(grown.expect("room").cast(), last.at, "in place");
    last.assert_intact();
    heap.check().expect("a whole heap");
}

pub(crate) fn b12_the_last_pages_below_a_mapping_are_used() {
    // By itself the break stands on a page's start; somebody else may leave it anywhere.
    for foreign in [0, 1, 100, 4095] {
        in_a_copy(move || {
            let mut heap = heap_at_the_break();
            let before = fill_up(&mut heap, 0);
            // One page stays free below a mapping, always: two are left.
            map_above(3);
            let foreign = take_foreign(foreign);
            let last = Mine::take(&mut heap, PAGE - 200).expect("as little as whole pages allow");
            assert!(last.address() >= foreign.range.end);
            let refused = heap.allocate(MINE, bytes(2 * PAGE));
            assert!(matches!(refused, Err(Error::OutOfMemory(_))), "{refused:?}");
            before.assert_intact();
            last.assert_intact();
            foreign.assert_intact();
            heap.check().expect("a whole heap");
        });
    }
}

pub(crate) fn b12_a_mapping_above_before_the_first_block() {
    let source = Break::take_over().expect("the break");
    let page = map_above(0);
    // Within the break's last page there is no room for a mapping, and none was granted either.
    let refused = Heap::new(source);
    assert!(matches!(refused, Err(Error::OutOfMemory(_))), "{refused:?}");
    unmap(page);
}

/// Fills the heap until the kernel refuses, looks at what still works, and goes on when it no longer does.
fn refused_for_a_while<A: FnOnce()>(refuse: impl FnOnce() -> A) {
    let mut heap = heap_at_the_break();
    let mut blocks = Blocks::take(&mut heap, 60, 1000);
    let allow = refuse();

    let large = bytes(50 * KIB);
    let refusal = loop {
        match heap.allocate(MINE, large) {
            Ok(_) => assert!(heap.end() - heap.base() < 8 * MIB, "never refused"),
            Err(error) => break error,
        }
    };
    // Where a limit counts all memory, it may meet the indexes first.
    let Error::OutOfMemory(OutOfMemory { cause, .. }) = refusal else {
        panic!("{refusal}");
    };
    assert!(
        matches!(cause, Shortage::Refused | Shortage::Index),
        "{refusal}"
    );

    // A refusal changes nothing at all.
    let (before, standing) = (digest(&heap), brk(0));
    for layout in [
        large,
        bytes(MIB),
        bytes(1 << 40),
        bytes(50 * KIB).align_to(MIB).unwrap(),
    ] {
        let refused = heap.allocate(MINE, layout);
        assert!(matches!(refused, Err(Error::OutOfMemory(_))), "{refused:?}");
        let refused = heap.allocate_zeroed(MINE, layout);
        assert!(matches!(refused, Err(Error::OutOfMemory(_))), "{refused:?}");
        let small = blocks.0[5];
        // SAFETY: the block is held; a refusal leaves it as it is.
        let refused = unsafe { heap.grow(small.at, small.layout, layout) };
        assert!(matches!(refused, Err(Error::OutOfMemory(_))), "{refused:?}");
    }
    assert_eq!((digest(&heap), brk(0)), (before, standing));
    heap.check().expect("a whole heap");
    blocks.assert_intact();

    // Free space serves requests as before.
    let freed = blocks.0.swap_remove(7);
    freed.give_back(&mut heap);
    let again = Mine::take(&mut heap, 500).expect("free space");
    assert_eq!(again.address(), freed.address());
    blocks.0.push(again);

    allow();
    let after = Blocks::take(&mut heap, 40, 50 * KIB);
    after.assert_intact();
    blocks.assert_intact();
    heap.check().expect("a whole heap");
}

/// Sets the soft limit and answers what it was.
fn limit(resource: libc::__rlimit_resource_t, to: impl TryInto<u64>) -> u64 {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a place to write to.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limits) }, 0);
    let before = limits.rlim_cur;
    limits.rlim_cur = to.try_into().unwrap_or(libc::RLIM_INFINITY);
    // SAFETY: a place to read from.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limits) }, 0);
    before
}

/// A mapping of one page, some pages above the break.
fn map_above(pages: usize) -> usize {
    let at = brk(0).next_multiple_of(PAGE) + pages * PAGE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: the flags forbid to replace anybody's memory.
    let page = unsafe { libc::mmap(pointer(at).cast(), PAGE, libc::PROT_NONE, flags, -1, 0) };
    assert_eq!(page.addr(), at, "{}", io::Error::last_os_error());
    at
}

fn unmap(page: usize) {
    // SAFETY: the page was mapped by `map_above`.
    assert_eq!(unsafe { libc::munmap(pointer(page).cast(), PAGE) }, 0);
}
