//! Where a heap's memory comes from.
//!
//! # Safety
//!
//! The trait is unsafe to implement: a heap writes to what a source says it granted.
#![allow(unsafe_code)]

pub(crate) mod buffer;
pub(crate) mod program_break;
pub(crate) mod reserve;
#[cfg(feature = "take-over")]
pub(crate) mod take_over;

use core::fmt;
use core::ptr::NonNull;

use crate::ground::sys::PAGE;
use crate::words::error::Corruption;
use crate::words::size::{align_down, align_up};

/// Where a heap's memory comes from: a range that starts at a fixed base and grows at its end.
///
/// All numbers are addresses in bytes.
///
/// ```
/// use core::ptr::NonNull;
/// use tagheap::{Heap, Refusal, Source, Tag};
/// # use core::alloc::Layout;
///
/// /// A bank of memory, granted to the byte.
/// struct Bank {
///     base: NonNull<u8>,
///     limit: usize,
///     end: usize,
/// }
///
/// // SAFETY: the bank's memory is nobody else's, and is granted up to the limit, which only rises.
/// unsafe impl Source for Bank {
///     fn base(&self) -> NonNull<u8> {
///         self.base
///     }
///     fn limit(&self) -> usize {
///         self.limit
///     }
///     fn extend(&mut self, _frontier: usize, to: usize) -> Result<(), Refusal> {
///         if to > self.end {
///             return Err(Refusal::NoMemory);
///         }
///         self.limit = self.limit.max(to);
///         Ok(())
///     }
///     unsafe fn trim(&mut self, _to: usize) -> usize {
///         self.zero_from() // takes nothing back
///     }
///     fn zero_from(&self) -> usize {
///         usize::MAX // no memory is known to be zero
///     }
///     fn may_map(&self) -> bool {
///         false // no kernel: without `index_room`, the heap does without indexes, as in a small `Buffer`
///     }
/// }
///
/// # let memory: &'static mut [u128; 256] = Box::leak(Box::new([0; 256]));
/// # let (base, bytes) = (NonNull::from(memory).cast::<u8>(), 256 * 16);
/// let (limit, end) = (base.addr().get(), base.addr().get() + bytes);
/// let mut heap = Heap::new(Bank { base, limit, end })?;
/// # heap.allocate(Tag::new(1), Layout::new::<[u8; 1000]>())?;
/// # let block = heap.allocate_zeroed(Tag::new(1), Layout::new::<[u8; 1000]>())?;
/// # assert_eq!((unsafe { block.as_ref() }, heap.trim()), ([0; 1000].as_slice(), 0));
/// # assert!(heap.allocate(Tag::new(1), Layout::new::<[u8; 2000]>()).is_err());
/// # assert_eq!((heap.stats()?.granted, heap.tags().count()), (128 + 2 * 1040, 0));
/// # heap.check()?;
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// # Safety
///
/// - `base` is a multiple of 16 and not 0, and stays as it is once memory was granted.
/// - Memory from `base` to `limit` is readable, writable, and nobody else's until the source is
///   dropped or `trim` takes it back, except what lies between an old limit and a higher
///   `frontier`: that is somebody else's, and need only be readable, for the heap looks at a pointer into
///   it that it is asked about.
/// - Where `frontier` can lie beyond the limit, the 32 bytes from the limit on belong to the heap too:
///   the header of a block that fences the memory between the two stands there.
/// - Moving the source's value does not move its memory.
pub unsafe trait Source {
    /// Address of the first byte. A base that may be overtaken before anything was granted follows the
    /// frontier then: there is no heap whose first bytes are somebody else's.
    fn base(&self) -> NonNull<u8>;

    /// Address behind the memory granted so far.
    fn limit(&self) -> usize;

    /// Where memory granted next would start: the limit, or an address beyond it, a multiple of 16, when
    /// somebody else has taken what follows the limit.
    ///
    /// # Errors
    ///
    /// [`Corruption::BreakMoved`] if memory below the limit is gone.
    fn frontier(&self) -> Result<usize, Corruption> {
        Ok(self.limit())
    }

    /// Grants the memory from `frontier`, the answer of the call of that name, at least up to `to`.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; nothing has changed then.
    fn extend(&mut self, frontier: usize, to: usize) -> Result<(), Refusal>;

    /// Takes memory back that lies beyond address `to`, as far as the source can; the answer is the
    /// address from which on memory granted later is zero again.
    ///
    /// # Safety
    ///
    /// Nobody uses memory from `to` on.
    unsafe fn trim(&mut self, to: usize) -> usize;

    /// Gives pages between two addresses back to the kernel and keeps them granted: each byte is then zero, or as it
    /// was. The answer is how many bytes they have.
    ///
    /// A source without pages of its own does nothing, which is what this does where nothing else is written.
    ///
    /// # Safety
    ///
    /// Both are granted, and nobody needs what lies between them.
    unsafe fn purge(&mut self, _from: usize, _to: usize) -> usize {
        0
    }

    /// The address from which on granted memory is zero until it is written to.
    fn zero_from(&self) -> usize;

    /// Bytes at the base, a multiple of 16, that the heap may keep for its indexes; the row begins
    /// behind them.
    fn index_room(&self) -> usize {
        0
    }

    /// Whether memory may ever be granted up to an address. Where it may not, no index grows for it.
    fn may_reach(&self, _to: usize) -> bool {
        true
    }

    /// Whether indexes that outgrow that room may lie in mappings of the kernel's.
    fn may_map(&self) -> bool {
        true
    }

    /// Whether these are to be of huge pages where they have 2 MiB or more: asked once, by the heap that is made. A row of
    /// small blocks is faster for it; one of large ones alone has most of its indexes unused, and resident all the same.
    fn prefers_huge_pages(&self) -> bool {
        true
    }
}

/// Why a source granted no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is none now; there may be later.
    NoMemory,
    /// Somebody else took it since the frontier was asked for: ask again.
    Overtaken,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMemory => "no memory: the source has none now",
            Self::Overtaken => "overtaken: somebody else took the memory behind the limit",
        })
    }
}

impl core::error::Error for Refusal {}

/// Bytes a source that calls the kernel grows by, at least: a call for each block would cost more
/// than all else.
pub(crate) const STEP: usize = 128 * 1024;

/// Bytes for the indexes of a row that is still small, where more can be mapped later.
pub(crate) const INDEX_ROOM: usize = 4096;

/// The ends to try in turn when a row from `base` wants to grow from `from` to `to`: first with room for
/// more, an eighth of the row and at least a step, then as little as whole pages allow.
pub(crate) fn steps(base: usize, from: usize, to: usize) -> Option<[usize; 2]> {
    let exact = align_up(to, PAGE)?;
    let ahead = (from.saturating_sub(base) / 8).clamp(STEP, 64 * STEP);
    let generous = exact.checked_add(align_down(ahead, PAGE)).unwrap_or(exact);
    Some([generous, exact])
}
