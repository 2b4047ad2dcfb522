//! How a call ends, as a number and as a line of text.
//!
//! # Safety
//!
//! The one unsafe thing is a name that C can link to.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_int};

use heap::{Corruption, Error, Misuse, Shortage};

/// How a call ended. Whatever it is but TH_OK, nothing was changed.
///
/// 1 to 15: there is no memory for the request; it may succeed later.
/// 16 to 47: the caller asked for something that makes no sense.
/// 48 and more: the heap or pool is damaged: somebody wrote where only the library writes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum th_status {
    /// Done.
    TH_OK = 0,

    /// No address space could hold it.
    TH_TOO_LARGE = 1,
    /// No free block fits, and there is no more memory.
    TH_NO_MEMORY = 2,
    /// There is no memory for the heap's indexes. Heaps in buffers below 64 KiB have none.
    TH_NO_INDEX = 3,
    /// The tag would hold more than its limit allows.
    TH_LIMIT = 4,
    /// The pool is full, or has not so much left in one piece.
    TH_FULL = 5,
    /// The pool serves no request so large.
    TH_OVERSIZED = 6,
    /// The pool serves no request so strictly aligned.
    TH_OVERALIGNED = 7,
    /// The array for what is to be told has no room for all of it.
    TH_NO_ROOM = 8,

    /// The tag is 0 or one of the seventeen highest numbers, which are the heap's and the library's own.
    TH_RESERVED_TAG = 16,
    /// The pointer lies outside the heap.
    TH_NOT_FROM_HERE = 17,
    /// The pointer lies in the heap, but no block starts there.
    TH_NOT_A_BLOCK = 18,
    /// The block was deallocated before.
    TH_DOUBLE_FREE = 19,
    /// The block went when its tag was released.
    TH_RELEASED = 20,
    /// The size is not the one that was asked for.
    TH_SIZE_MISMATCH = 21,
    /// The alignment is not one that the block has.
    TH_ALIGN_MISMATCH = 22,
    /// The block belongs to another tag than the caller named.
    TH_TAG_MISMATCH = 23,
    /// The mark is too old.
    TH_STALE_MARK = 24,
    /// A resize goes the wrong way.
    TH_WRONG_WAY = 25,
    /// This thread is using the heap or pool already: a callback or a signal handler came back to it.
    TH_REENTERED = 26,
    /// A pool owns the tag; or, when a pool is to own it, somebody holds blocks under it.
    TH_TAG_IN_USE = 27,
    /// A piece of a stack is given back before those that were put on it later.
    TH_OUT_OF_ORDER = 28,
    /// A pointer is null that must not be.
    TH_NULL = 32,
    /// The pointer is no heap or pool, or one that was destroyed, as far as there is memory to read: a pool's is its heap's,
    /// which th_trim and th_purge may give to the kernel.
    TH_NOT_A_HANDLE = 33,
    /// The alignment is no power of two.
    TH_BAD_ALIGN = 34,
    /// A flag is not known here.
    TH_BAD_FLAGS = 35,
    /// The text is not UTF-8.
    TH_BAD_TEXT = 36,
    /// A pool with a lock is to be made on a heap without one.
    TH_NOT_LOCKED = 37,
    /// Somebody else owns the program break: the libc, or another heap of this library's.
    TH_BREAK_OWNED = 38,
    /// The call is not for this kind of pool.
    TH_WRONG_KIND = 39,
    /// A number is outside its range.
    TH_OUT_OF_RANGE = 40,

    /// A block's header is damaged.
    TH_DAMAGED_HEADER = 48,
    /// The heap's first block is damaged.
    TH_DAMAGED_ROOT = 49,
    /// Two free blocks touch that should be one.
    TH_DAMAGED_ORDER = 50,
    /// An index of the heap disagrees with its blocks.
    TH_DAMAGED_INDEX = 51,
    /// The numbers of a tag disagree with its blocks.
    TH_DAMAGED_ACCOUNT = 52,
    /// Somebody moved the program break below the heap's end.
    TH_BREAK_MOVED = 53,
    /// What a pool notes about its memory is damaged.
    TH_DAMAGED_POOL = 54,
}

use th_status::*;

/// Every status and what it says.
const TEXTS: [(th_status, &CStr); 39] = [
    (TH_OK, c"done"),
    (
        TH_TOO_LARGE,
        c"out of memory: no address space could hold it",
    ),
    (
        TH_NO_MEMORY,
        c"out of memory: no free block fits and the memory may not grow",
    ),
    (
        TH_NO_INDEX,
        c"out of memory: the heap's indexes may not grow",
    ),
    (TH_LIMIT, c"out of memory: the tag's limit is reached"),
    (TH_FULL, c"out of memory: the pool is full"),
    (
        TH_OVERSIZED,
        c"out of memory: the pool serves no request so large",
    ),
    (
        TH_OVERALIGNED,
        c"out of memory: the pool serves no request so strictly aligned",
    ),
    (TH_NO_ROOM, c"out of memory: the array has no room for all"),
    (
        TH_RESERVED_TAG,
        c"reserved tag: it is the heap's or the library's own",
    ),
    (TH_NOT_FROM_HERE, c"not from this heap"),
    (TH_NOT_A_BLOCK, c"not a block: none starts there"),
    (
        TH_DOUBLE_FREE,
        c"double free: the block was deallocated before",
    ),
    (TH_RELEASED, c"released block: it went with its tag"),
    (
        TH_SIZE_MISMATCH,
        c"size mismatch: the block was allocated for another size",
    ),
    (
        TH_ALIGN_MISMATCH,
        c"alignment mismatch: the block is not so aligned",
    ),
    (
        TH_TAG_MISMATCH,
        c"tag mismatch: the block belongs to another tag",
    ),
    (TH_STALE_MARK, c"stale mark: too old, or not from here"),
    (TH_WRONG_WAY, c"wrong way: the resize is the other call's"),
    (
        TH_REENTERED,
        c"re-entered: this thread is using the heap or pool already",
    ),
    (
        TH_TAG_IN_USE,
        c"tag in use: a pool owns it, or is to own it while somebody holds blocks",
    ),
    (
        TH_OUT_OF_ORDER,
        c"out of order: the piece is not the top of the stack",
    ),
    (TH_NULL, c"null pointer"),
    (TH_NOT_A_HANDLE, c"not a heap or pool, or destroyed"),
    (TH_BAD_ALIGN, c"bad alignment: not a power of two"),
    (TH_BAD_FLAGS, c"bad flags: not known here"),
    (TH_BAD_TEXT, c"bad text: not UTF-8"),
    (
        TH_NOT_LOCKED,
        c"not locked: a pool with a lock needs a heap with one",
    ),
    (
        TH_BREAK_OWNED,
        c"break owned: the libc, or another heap, has the program break",
    ),
    (
        TH_WRONG_KIND,
        c"wrong kind: the call is not for this kind of pool",
    ),
    (TH_OUT_OF_RANGE, c"out of range"),
    (TH_DAMAGED_HEADER, c"damaged header of a block"),
    (TH_DAMAGED_ROOT, c"damaged root block"),
    (
        TH_DAMAGED_ORDER,
        c"damaged order: free blocks were not coalesced",
    ),
    (
        TH_DAMAGED_INDEX,
        c"damaged index: it disagrees with the blocks",
    ),
    (
        TH_DAMAGED_ACCOUNT,
        c"damaged account: a tag's numbers disagree with its blocks",
    ),
    (TH_BREAK_MOVED, c"break moved below the heap's end"),
    (TH_DAMAGED_POOL, c"damaged notes of a pool"),
    // The last one stands for every number that is no status.
    (TH_OK, c"unknown status"),
];

impl th_status {
    /// What it says, in one line.
    pub(crate) fn text(self) -> &'static CStr {
        text_of(self as c_int)
    }

    /// The error number of POSIX that comes closest.
    pub(crate) fn errno(self) -> c_int {
        const EFAULT: c_int = 14;
        const EINVAL: c_int = 22;
        const ENOMEM: c_int = 12;
        const EDEADLK: c_int = 35;
        match self as c_int {
            1..16 => ENOMEM,
            48.. => EFAULT,
            _ if self == TH_REENTERED => EDEADLK,
            _ => EINVAL,
        }
    }
}

fn text_of(number: c_int) -> &'static CStr {
    let known = TEXTS.iter().find(|(status, _)| *status as c_int == number);
    known.or(TEXTS.last()).map_or(c"", |(_, text)| text)
}

impl From<Error> for th_status {
    fn from(error: Error) -> Self {
        match error {
            Error::OutOfMemory(error) => match error.cause {
                Shortage::TooLarge => TH_TOO_LARGE,
                Shortage::Refused => TH_NO_MEMORY,
                Shortage::Index => TH_NO_INDEX,
                Shortage::Limit { .. } => TH_LIMIT,
                Shortage::Full { .. } => TH_FULL,
                Shortage::Oversized { .. } => TH_OVERSIZED,
                Shortage::Overaligned { .. } => TH_OVERALIGNED,
                Shortage::Tags { .. } => TH_NO_ROOM,
            },
            Error::Misuse(misuse) => match misuse {
                Misuse::ReservedTag { .. } => TH_RESERVED_TAG,
                Misuse::NotFromHere { .. } => TH_NOT_FROM_HERE,
                Misuse::NotABlock { .. } => TH_NOT_A_BLOCK,
                Misuse::DoubleFree { .. } => TH_DOUBLE_FREE,
                Misuse::Released { .. } => TH_RELEASED,
                Misuse::SizeMismatch { .. } => TH_SIZE_MISMATCH,
                Misuse::AlignMismatch { .. } => TH_ALIGN_MISMATCH,
                Misuse::TagMismatch { .. } => TH_TAG_MISMATCH,
                Misuse::StaleMark => TH_STALE_MARK,
                Misuse::WrongWay { .. } => TH_WRONG_WAY,
                Misuse::Reentered => TH_REENTERED,
                Misuse::TagInUse { .. } => TH_TAG_IN_USE,
                Misuse::OutOfOrder { .. } => TH_OUT_OF_ORDER,
            },
            Error::Corruption(damage) => match damage {
                Corruption::Header { .. } => TH_DAMAGED_HEADER,
                Corruption::Root { .. } => TH_DAMAGED_ROOT,
                Corruption::Uncoalesced { .. } => TH_DAMAGED_ORDER,
                Corruption::Index { .. } => TH_DAMAGED_INDEX,
                Corruption::Account { .. } => TH_DAMAGED_ACCOUNT,
                Corruption::BreakMoved { .. } => TH_BREAK_MOVED,
                Corruption::Pool { .. } => TH_DAMAGED_POOL,
            },
        }
    }
}

/// What a status says, in one line without a newline. Never null; the text is the library's and stays.
#[unsafe(no_mangle)]
pub extern "C" fn th_strerror(status: c_int) -> *const c_char {
    text_of(status).as_ptr()
}
