//! What all rows need: the break, blocks with known contents, and somebody else who moves the break.

use core::alloc::Layout;
use core::ops::Range;
use core::panic::UnwindSafe;
use core::ptr::{self, NonNull};
use core::slice;
use std::panic;

use tagheap::{Block, Break, HEADER, Heap, Placement, Rule, Source, Tag};

pub(crate) const PAGE: usize = 4096;
/// Bytes that a heap over the break keeps for its indexes, in front of its row.
pub(crate) const INDEX_ROOM: usize = 4096;

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;

pub(crate) const MINE: Tag = Tag::named("mine");

/// A heap at the program break, taken over from glibc.
pub(crate) fn heap_at_the_break() -> Heap<Break> {
    Heap::new(Break::take_over().expect("the break")).expect("room for the root block")
}

pub(crate) fn bytes(size: usize) -> Layout {
    Layout::array::<u8>(size).expect("a layout")
}

/// Bytes of memory that this process really has.
pub(crate) fn resident() -> usize {
    let sizes = std::fs::read_to_string("/proc/self/statm").expect("sizes in pages");
    let pages: usize = sizes.split(' ').nth(1).unwrap().parse().expect("a number");
    pages * PAGE
}

/// The system call. 0 only asks.
pub(crate) fn brk(to: usize) -> usize {
    // SAFETY: rows move the break behind the heap's back on purpose, and know what they unmap.
    unsafe { libc::syscall(libc::SYS_brk, to) as usize }
}

/// Moves the break up as somebody else would, and answers what this one got, filled.
pub(crate) fn take_foreign(bytes: usize) -> Foreign {
    let start = brk(0);
    assert_eq!(brk(start + bytes), start + bytes, "room above the break");
    Foreign::fill(start..start + bytes)
}

/// Somebody else's bytes, filled with something of theirs.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub(crate) range: Range<usize>,
}

impl Foreign {
    pub(crate) fn fill(range: Range<usize>) -> Self {
        for at in range.clone() {
            // SAFETY: the caller has just got these bytes from the kernel.
            unsafe { pointer(at).write_volatile(Self::byte(at)) };
        }
        Self { range }
    }

    pub(crate) fn assert_intact(&self) {
        for at in self.range.clone() {
            // SAFETY: the bytes were filled above, and are still mapped.
            let byte = unsafe { pointer(at).read_volatile() };
            assert_eq!(byte, Self::byte(at), "foreign byte at {at:#x}");
        }
    }

    /// Whether the block's payload covers them all.
    pub(crate) fn is_inside(&self, fence: &Block) -> bool {
        fence.payload() <= self.range.start && self.range.end <= fence.end()
    }

    fn byte(at: usize) -> u8 {
        0x5a ^ (at % 251) as u8
    }
}

pub(crate) fn pointer(at: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(at)
}

/// The fences of a heap, in the order of their addresses.
pub(crate) fn fences<S: Source, R: Rule, P: Placement>(heap: &Heap<S, R, P>) -> Vec<Block> {
    heap.blocks_of(Tag::FOREIGN)
        .map(|block| block.expect("a whole row"))
        .collect()
}

/// A number that changes when any byte of the heap's row does. Allocates nothing.
pub(crate) fn digest<S: Source>(heap: &Heap<S>) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325;
    for at in (heap.base()..heap.end()).step_by(8) {
        // SAFETY: the row's memory is mapped, and nobody writes to it meanwhile.
        let word = unsafe { pointer(at).cast::<u64>().read_volatile() };
        digest = (digest ^ word)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(7);
    }
    digest
}

/// Takes a block that leaves `gap` bytes between the row's end and the end of what was granted.
pub(crate) fn fill_up<S: Source>(heap: &mut Heap<S>, gap: usize) -> Mine {
    let stats = heap.stats().expect("a whole row");
    let size = stats.granted - stats.row - gap - HEADER;
    let block = Mine::take(heap, size).expect("granted");
    let stats = heap.stats().expect("a whole row");
    assert_eq!(stats.granted - stats.row, gap);
    block
}

/// A block in use, filled with a byte of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mine {
    pub(crate) at: NonNull<u8>,
    pub(crate) layout: Layout,
    byte: u8,
}

impl Mine {
    /// The block at `at`, all of whose bytes are `byte`.
    pub(crate) fn of(at: NonNull<u8>, size: usize, byte: u8) -> Self {
        let layout = bytes(size);
        Self { at, layout, byte }
    }

    /// Allocates and fills.
    pub(crate) fn take<S: Source>(heap: &mut Heap<S>, size: usize) -> Result<Self, tagheap::Error> {
        let at = heap.allocate(MINE, bytes(size))?.cast();
        Ok(Self::of(at, size, 0).filled())
    }

    /// Allocates zeroed, looks whether that is true, and fills.
    pub(crate) fn take_zeroed<S: Source>(
        heap: &mut Heap<S>,
        size: usize,
    ) -> Result<Self, tagheap::Error> {
        let at = heap.allocate_zeroed(MINE, bytes(size))?.cast();
        let block = Self::of(at, size, 0);
        block.assert_intact();
        Ok(block.filled())
    }

    fn filled(self) -> Self {
        let byte = (self.address() >> 4) as u8 | 1;
        // SAFETY: the block is as large as its layout says, and nobody else's.
        unsafe { self.at.write_bytes(byte, self.layout.size()) };
        Self { byte, ..self }
    }

    pub(crate) fn address(&self) -> usize {
        self.at.addr().get()
    }

    pub(crate) fn assert_intact(&self) {
        // SAFETY: the block is held, and was filled when it was taken.
        let payload = unsafe { slice::from_raw_parts(self.at.as_ptr(), self.layout.size()) };
        let other = payload.iter().position(|byte| *byte != self.byte);
        assert_eq!(
            other, None,
            "byte of block at {:?}, {:?}",
            self.at, self.layout
        );
    }

    pub(crate) fn give_back<S: Source>(self, heap: &mut Heap<S>) {
        self.assert_intact();
        // SAFETY: the block was allocated with this layout, and nobody uses it from here on.
        unsafe { heap.deallocate(self.at, self.layout) }.expect("a block of the heap");
    }
}

/// Blocks that must keep their contents.
#[derive(Debug)]
pub(crate) struct Blocks(pub(crate) Vec<Mine>);

impl Blocks {
    /// `count` blocks of `size` bytes. There is room for as many again without an allocation.
    pub(crate) fn take<S: Source>(heap: &mut Heap<S>, count: usize, size: usize) -> Self {
        let mut blocks = Vec::with_capacity(2 * count);
        blocks.extend((0..count).map(|_| Mine::take(heap, size).expect("room")));
        Self(blocks)
    }

    pub(crate) fn assert_intact(&self) {
        self.0.iter().for_each(Mine::assert_intact);
    }
}

/// Runs `work` in a copy of this process, which has one thread. It must not panic.
pub(crate) fn in_a_copy(work: impl FnOnce() + UnwindSafe) {
    // SAFETY: there is one thread, so the copy is as good as this process.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a process");
    if child == 0 {
        let status = i32::from(panic::catch_unwind(work).is_err());
        // SAFETY: the copy ends here.
        unsafe { libc::_exit(status) };
    }
    wait_for(child);
}

/// Waits for a child, which must end well.
pub(crate) fn wait_for(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: the child is this process's own, and the status is a place to write to.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child's wait status");
}
