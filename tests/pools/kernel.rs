//! What pools ask of the system: in a buffer no call, and a warm heap for a request's pools neither; a page where
//! they write, and little stack.
//!
//! They run where the kernel ends whoever makes a system call.

use core::alloc::Layout;
use core::fmt::{self, Write};
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use tagheap::{
    Block, Buddy, Buffer, Bump, Classes, Error, Fixed, FreeList, HEADER, Heap, Kind, LocalHeap,
    LockFree, Locked, Operation, Pool, Priority, Reserve, Share, SharedHeap, SizeClasses, Stack,
    Tag, Timed, Typed, WhenFull,
};

use crate::in_reserve;
use crate::size_classes::{log_of, map_of};

#[path = "../../examples/embedded.rs"]
#[expect(dead_code, reason = "it prints, where this must not")]
mod embedded;

/// Each kind made, used, and dropped; no memory of the process but this.
fn use_every_kind(bytes: &mut [u8]) -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Buffer::new(bytes))?);
    let pool = |number| Pool::new(&heap, Tag::new(number));
    try_out(&mut pool(1))?;
    try_out(&mut Bump::new(pool(2)))?;
    try_out(&mut SizeClasses::new(pool(10)))?;
    try_out(&mut Stack::small(pool(3))?)?;
    try_out(&mut FreeList::small(pool(4))?)?;
    try_out(&mut Fixed::growing(pool(5), Layout::new::<[u64; 4]>(), 8)?)?;
    try_out(&mut Classes::new(
        pool(6),
        [(16, 8), (64, 8)],
        WhenFull::Borrow,
    )?)?;
    try_out(&mut Buddy::new(pool(7), 2048, 16)?)?;
    try_out(&mut Priority::new(pool(8), WhenFull::Borrow)?)?;
    try_out(&mut LockFree::new(pool(9), Layout::new::<[u64; 4]>(), 16)?)?;
    try_out(&mut Locked::new(Bump::new(pool(11))))?;
    let mut timed = Timed::new(pool(12)).limited(Operation::Allocate, Duration::from_secs(1));
    try_out(&mut timed)?;
    assert!(timed.timing(Operation::Reset).longest.cycles > 0);
    Ok(())
}

fn try_out(kind: &mut impl Kind) -> Result<(), Error> {
    let number = kind.own(7_u64)?;
    let word = kind.own_str("ciao")?;
    drop((word, number));
    kind.alloc([1_u64; 2])?;
    kind.check()?;
    kind.usage()?;
    kind.reset()
}

/// Has the kernel end this process at any system call but its exit.
fn confine() -> bool {
    let only_exit = [
        // The call's number,
        filter(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        // if it is the exit's, goes on to what allows it, else skips that.
        filter(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_exit as u32,
            1,
        ),
        filter(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
        filter(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_KILL_PROCESS,
            0,
        ),
    ];
    let program = libc::sock_fprog {
        len: only_exit.len() as u16,
        filter: only_exit.as_ptr().cast_mut(),
    };
    // SAFETY: gives up privileges that this process does not use.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: confines this process, which has one thread; the kernel copies the program.
    let confined = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    given_up == 0 && confined == 0
}

/// An instruction of the filter: its code, its operand, and how many to skip where a comparison fails.
fn filter(code: u32, operand: u32, skip: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: skip,
        k: operand,
    }
}

/// Runs the work in a child that may only exit, and answers how it ended.
fn confined(work: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child only runs the work, which allocates nothing, and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let status = if confine() { i32::from(!work()) } else { 77 };
        // SAFETY: ends the process; `exit_group` is not allowed, `exit` is.
        unsafe { libc::syscall(libc::SYS_exit, status) };
    }
    let mut status = 0;
    // SAFETY: waits for the child and writes its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}

/// The work runs in such a child to its end, and well.
fn needs_no_kernel(work: impl FnOnce() -> bool) {
    // What tells threads apart asks the kernel once in a process's life: locks do, as in a `LockFree`'s check.
    let heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new().unwrap()).unwrap());
    heap.look(|heap| heap.check()).unwrap().unwrap();
    let status = confined(|| {
        // Nor does the clock's rate concern anybody but the child.
        tagheap::assume_cycles_per_second(embedded::CYCLES);
        work()
    });
    assert!(
        libc::WIFEXITED(status),
        "ended by signal {}",
        libc::WTERMSIG(status)
    );
    assert_eq!(libc::WEXITSTATUS(status), 0);
}

#[test]
fn every_kind_works_without_a_system_call() {
    let mut bytes = vec![0_u8; 48 * 1024];
    needs_no_kernel(|| use_every_kind(&mut bytes).is_ok());
}

#[test]
fn the_embedded_example_makes_no_system_call() {
    struct Counting(usize);
    impl Write for Counting {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut memory = vec![MaybeUninit::uninit(); embedded::BYTES];
    needs_no_kernel(|| {
        let mut out = Counting(0);
        let told = embedded::run(&mut memory, &mut |line| out.write_fmt(line).unwrap());
        told.is_ok() && out.0 > 1000
    });
}

#[test]
fn a_system_call_would_be_noticed() {
    // SAFETY: asks for the process's number.
    let status = confined(|| unsafe { libc::syscall(libc::SYS_getpid) } > 0);
    assert!(libc::WIFSIGNALED(status), "the filter works");
}

/// So many requests, one after the other, each with a pool of its own for its two hundred objects.
fn serve(heap: &LocalHeap<Reserve>, requests: usize) -> Result<(), Error> {
    fn fill(kind: &impl Kind) -> Result<(), Error> {
        for n in 0..200 {
            kind.alloc_slice_fill_with(1 + n % 50, |_| n as u32)?;
            if n % 3 == 0 {
                kind.own([n; 8])?;
            }
        }
        kind.check()
    }
    for _ in 0..requests {
        fill(&SizeClasses::new(Pool::new(heap, Tag::named("request"))))?;
        fill(&Bump::new(Pool::new(heap, Tag::named("frame"))))?;
    }
    Ok(())
}

#[test]
fn a_pool_for_each_request_needs_no_kernel_once_the_heap_is_warm() {
    in_reserve(|heap| {
        serve(heap, 1).unwrap();
        needs_no_kernel(|| serve(heap, 100).is_ok());
    });
    in_reserve(|cold| {
        let status = confined(|| serve(cold, 1).is_ok());
        assert!(libc::WIFSIGNALED(status), "a cold heap grows");
    });
}

const PAGE: usize = 4096;

/// Which pages of a heap's row are in memory.
fn resident(heap: &LocalHeap<Reserve>) -> BTreeSet<usize> {
    let (base, bytes) = heap
        .look(|heap| {
            let root = heap.walk().next().unwrap().unwrap();
            (root.at, heap.stats().unwrap().granted)
        })
        .unwrap();
    let (from, to) = (base / PAGE, (base + bytes).div_ceil(PAGE));
    let mut pages = vec![0_u8; to - from];
    let start = core::ptr::without_provenance_mut(from * PAGE);
    // SAFETY: asks about mapped pages, and writes a byte for each.
    let answer = unsafe { libc::mincore(start, (to - from) * PAGE, pages.as_mut_ptr()) };
    assert_eq!(answer, 0);
    (from..to)
        .filter(|page| pages[page - from] & 1 == 1)
        .collect()
}

/// The pages of so many bytes from an address on.
fn pages(at: usize, bytes: usize) -> impl Iterator<Item = usize> {
    at / PAGE..(at + bytes).div_ceil(PAGE)
}

const TAG: Tag = Tag::new(1);

/// The pool's only chunk.
fn chunk_of(heap: &LocalHeap<Reserve>) -> Block {
    let block = heap.look(|heap| heap.blocks_of(TAG).next().unwrap());
    block.unwrap().unwrap()
}

/// A pool of few objects touches the pages of these and of the block's header, which is in front of the first. Of a
/// large chunk it touches the log's pages too.
#[test]
fn size_classes_touch_the_pages_of_their_objects_and_of_their_notes() {
    type Make = fn(&LocalHeap<Reserve>) -> SizeClasses<&LocalHeap<Reserve>>;
    let of_usual_size: Make = |heap| SizeClasses::new(Pool::new(heap, TAG));
    let large: Make = |heap| SizeClasses::with_chunk(Pool::new(heap, TAG), 1 << 20);
    for (make, is_large) in [(of_usual_size, false), (large, true)] {
        for in_front in (0..PAGE).step_by(112) {
            in_reserve(|heap| {
                let filler = Layout::from_size_align(in_front, 16).unwrap();
                heap.allocate(Tag::new(2), filler).unwrap();
                let mut wanted = resident(heap);
                let pool = make(heap);
                assert_eq!(resident(heap), wanted, "made of nothing");

                let [mut first, mut last] = [0; 2];
                for count in 1..=130 {
                    let object = pool.alloc([7_u8; 100]).unwrap();
                    last = core::ptr::from_ref(object).addr();
                    let chunk = chunk_of(heap);
                    assert_eq!(chunk.size > 1 << 16, is_large);
                    if count == 1 {
                        first = last;
                        // The log in front of the pieces, or no piece at the chunk's start.
                        let front = if is_large { 16 } else { log_of(chunk.usable()) };
                        assert_eq!(first, chunk.payload() + front);
                    }
                    wanted.extend(pages(chunk.at, last + 100 - chunk.at));
                    if is_large {
                        // A byte each, and one where they begin.
                        let entries = count + 1;
                        wanted.extend(pages(
                            chunk.end() - map_of(chunk.usable()) - entries,
                            entries,
                        ));
                    }
                    assert_eq!(resident(heap), wanted, "{count} objects");
                }

                // The map, once it is needed: of all pieces so far, in two words for a kibibyte.
                let chunk = chunk_of(heap);
                let second = NonNull::new(core::ptr::with_exposed_provenance_mut(last - 112));
                // SAFETY: the second last object, which nobody uses any more.
                unsafe { pool.deallocate(second.unwrap(), Layout::new::<[u8; 100]>()) }.unwrap();
                let from = (first - chunk.payload()) / 512 * 8;
                let to = (last + 100 - chunk.payload()).div_ceil(512) * 8;
                wanted.extend(pages(chunk.end() - to, to - from));
                assert_eq!(resident(heap), wanted, "with its map");
                drop(pool);
                assert_eq!(resident(heap), wanted, "and gone");
            });
        }
    }
}

/// Where a chunk is cut from a larger free block, the header of what is left is written behind it.
#[test]
fn a_chunk_from_a_hole_touches_the_page_behind_it() {
    in_reserve(|heap| {
        let hole = Layout::from_size_align(1 << 20, 16).unwrap();
        let block = heap.allocate(Tag::new(2), hole).unwrap();
        heap.allocate(Tag::new(3), Layout::new::<u64>()).unwrap();
        // SAFETY: handed out for this layout.
        unsafe { heap.deallocate(block.cast(), hole) }.unwrap();
        let mut wanted = resident(heap);
        let pool = SizeClasses::new(Pool::new(heap, TAG));
        pool.alloc(7_u64).unwrap();
        let chunk = chunk_of(heap);
        wanted.extend(pages(chunk.at, HEADER + 1024));
        wanted.extend(pages(chunk.end(), HEADER));
        assert_eq!(resident(heap), wanted);
    });
}

/// The least stack that the system gives a thread.
const STACK: usize = 16 << 10;

#[test]
fn g01_every_kind_works_on_a_small_stack() {
    let mut bytes = vec![0_u8; 48 * 1024];
    let work = || use_every_kind(&mut bytes);
    thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(STACK);
        let small = small.spawn_scoped(scope, work).unwrap();
        small.join().unwrap().unwrap();
    });
}
