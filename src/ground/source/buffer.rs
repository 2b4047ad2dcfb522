//! A source over bytes of the caller's: tests, embedded use, heaps without a kernel.
//!
//! # Safety
//!
//! The buffer is borrowed exclusively for as long as the source lives; the pointer comes from that
//! borrow and reaches no further.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::ground::source::{INDEX_ROOM, Refusal, Source};
use crate::words::size::{UNIT, align_down};

/// A caller's bytes as the source of a heap.
///
/// All of them are granted from the start; growth beyond them is refused. The heap begins at the first
/// address in them that is a multiple of 16, and makes no system call.
///
/// Of 64 KiB and more, a twelfth and 4 KiB hold the heap's indexes. Smaller buffers are too small for
/// indexes: a heap in one scans its blocks, counts a tag's by a walk, and knows no limits, names or marks.
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{Buffer, Heap, Tag};
///
/// let mut bytes = [0; 1024];
/// let mut heap = Heap::new(Buffer::new(&mut bytes))?;
/// let block = heap.allocate(Tag::new(1), Layout::new::<[u64; 8]>())?;
/// assert!(heap.contains(block.cast()));
/// # Ok::<(), tagheap::Error>(())
/// ```
#[derive(Debug)]
pub struct Buffer<'a> {
    base: NonNull<u8>,
    limit: usize,
    bytes: PhantomData<&'a mut [u8]>,
}

/// Bytes from which on a buffer holds indexes.
const LARGE: usize = 64 * 1024;

// SAFETY: an exclusive borrow of bytes may go to another thread.
unsafe impl Send for Buffer<'_> {}
// SAFETY: a shared source only tells two addresses.
unsafe impl Sync for Buffer<'_> {}

impl<'a> Buffer<'a> {
    /// The source over `bytes`, whatever they hold.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        let length = bytes.len();
        Self::over(NonNull::from(bytes).cast(), length)
    }

    /// The source over bytes that nobody has written yet, such as those of a static.
    pub fn uninit(bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        let length = bytes.len();
        Self::over(NonNull::from(bytes).cast(), length)
    }

    fn over(start: NonNull<u8>, length: usize) -> Self {
        let skip = start.as_ptr().align_offset(UNIT).min(length);
        // SAFETY: at most `length` bytes into the buffer.
        let base = unsafe { start.add(skip) };
        let limit = align_down(base.addr().get() + (length - skip), UNIT).max(base.addr().get());
        Self {
            base,
            limit,
            bytes: PhantomData,
        }
    }
}

// SAFETY: the bytes are borrowed exclusively, all granted from the start and never taken back; nobody
// else can take what follows, so the frontier is the limit. Where the buffer is too short to hold a
// unit, base equals limit and nothing is granted.
unsafe impl Source for Buffer<'_> {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn extend(&mut self, _frontier: usize, _to: usize) -> Result<(), Refusal> {
        Err(Refusal::NoMemory)
    }

    unsafe fn trim(&mut self, _to: usize) -> usize {
        usize::MAX
    }

    fn zero_from(&self) -> usize {
        usize::MAX
    }

    fn index_room(&self) -> usize {
        let length = self.limit - self.base.addr().get();
        if length < LARGE {
            0
        } else {
            align_down(length / 12, UNIT) + INDEX_ROOM
        }
    }

    fn may_reach(&self, to: usize) -> bool {
        to <= self.limit
    }

    fn may_map(&self) -> bool {
        false
    }
}
