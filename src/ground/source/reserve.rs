//! A source over a private reservation of address space: the default for hosted programs.
//!
//! # Safety
//!
//! The mapping belongs to the source alone; what it grants is committed before it is granted.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::ground::source::{INDEX_ROOM, Refusal, Source, steps};
use crate::ground::sys::{self, HUGE_PAGE, Mapping, PAGE};
use crate::words::error::{OutOfMemory, Shortage};
use crate::words::size::align_up;
use crate::words::tag::Tag;

/// A private reservation of address space as the source of a heap.
///
/// Address space is reserved at once and committed as the heap grows, in steps of at least 128 KiB. It
/// is sound in every program, whichever libc it runs under, and returns all memory when dropped.
///
/// ```
/// use tagheap::{Heap, Reserve};
///
/// let heap = Heap::new(Reserve::new()?)?;
/// # Ok::<(), tagheap::Error>(())
/// ```
#[derive(Debug)]
pub struct Reserve {
    mapping: Mapping,
    limit: usize,
    /// Bytes of the pages that it would have: its limit is a multiple where there is room.
    page: usize,
    /// Address behind the last page that was given back but kept its bytes, as one locked in memory does; 0 for none.
    kept: usize,
}

/// Bytes to reserve where nothing else is said: 64 GiB, or 16 MiB where Miri interprets the program.
const USUAL: usize = if cfg!(miri) { 1 << 24 } else { 1 << 36 };

/// Bytes below which a smaller reservation is not worth trying.
const LEAST: usize = 1 << 20;

impl Reserve {
    /// Reserves 64 GiB of address space, or, where a limit of the process refuses that, the largest half,
    /// quarter and so on, at least 1 MiB, that it allows.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if even 1 MiB is refused.
    pub fn new() -> Result<Self, OutOfMemory> {
        let mut length = USUAL;
        loop {
            match Self::with_capacity(length) {
                Err(_) if length > LEAST => length /= 2,
                answer => return answer,
            }
        }
    }

    /// Reserves `bytes` of address space, rounded up to whole pages. The heap cannot grow beyond it.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if the kernel refuses.
    pub fn with_capacity(bytes: usize) -> Result<Self, OutOfMemory> {
        let refused = |cause| OutOfMemory {
            tag: Tag::HEAP,
            size: bytes,
            align: PAGE,
            cause,
        };
        let length = align_up(bytes.max(1), PAGE).ok_or(refused(Shortage::TooLarge))?;
        let mapping = Mapping::reserve(length).ok_or(refused(Shortage::Refused))?;
        let mapping = mapping.out_of_dumps();
        let limit = mapping.base().addr().get();
        Ok(Self {
            mapping,
            limit,
            page: PAGE,
            kept: 0,
        })
    }

    /// Asks the kernel for pages of 2 MiB in place of 4 KiB, wherever it has them: Linux's transparent huge pages.
    ///
    /// In a large heap the processor looks up fewer translations, and fresh memory takes one fault instead of
    /// 512: the README says what that came to. In return the heap takes 2 MiB at a time, and what lies unused between
    /// its blocks is resident too, even where nobody ever wrote: a sparse heap may take several times the memory.
    /// (Indexes of 2 MiB and more ask for huge pages without that.)
    ///
    /// Call it before a heap grows here. A kernel that is told never to give huge pages gives small ones; one that
    /// gives them to whoever asks (`madvise` in `/sys/kernel/mm/transparent_hugepage/enabled`) is the usual case.
    ///
    /// ```
    /// use tagheap::{Heap, Reserve};
    ///
    /// let heap = Heap::new(Reserve::new()?.in_huge_pages())?;
    /// # Ok::<(), tagheap::Error>(())
    /// ```
    #[must_use]
    pub fn in_huge_pages(mut self) -> Self {
        self.mapping.prefer_huge_pages();
        self.page = HUGE_PAGE;
        self
    }

    /// Whether it asks for huge pages.
    pub(crate) fn is_in_huge_pages(&self) -> bool {
        self.page == HUGE_PAGE
    }

    /// Bytes of address space reserved.
    pub fn capacity(&self) -> usize {
        self.mapping.end() - self.mapping.base().addr().get()
    }
}

// SAFETY: the mapping is private and stays where it is until dropped; `limit` is moved only after the
// pages below it were committed, and before those above it are given back.
unsafe impl Source for Reserve {
    fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn extend(&mut self, frontier: usize, to: usize) -> Result<(), Refusal> {
        let base = self.mapping.base().addr().get();
        let [generous, exact] = steps(base, frontier, to).ok_or(Refusal::NoMemory)?;
        let generous = align_up(generous, self.page).unwrap_or(generous);
        for end in [generous, exact].map(|end| end.min(self.mapping.end())) {
            if end >= to && self.mapping.commit(frontier, end) {
                self.limit = end;
                return Ok(());
            }
        }
        Err(Refusal::NoMemory)
    }

    unsafe fn trim(&mut self, to: usize) -> usize {
        if let Some(to) = align_up(to, self.page).filter(|to| *to < self.limit) {
            let from = core::mem::replace(&mut self.limit, to);
            // SAFETY: by the contract nobody uses memory from `to` on.
            if !unsafe { self.mapping.decommit(to, from) } {
                self.kept = self.kept.max(from);
            } else if from >= self.kept {
                self.kept = 0;
            }
        }
        self.limit.max(self.kept)
    }

    /// Whole pages of the kind it has: of a huge page that is taken apart, the kernel keeps all.
    unsafe fn purge(&mut self, from: usize, to: usize) -> usize {
        // SAFETY: within what was granted of the mapping, and by the contract nobody needs what it holds.
        unsafe { sys::discard(self.mapping.base(), from, to, self.page) }
    }

    fn zero_from(&self) -> usize {
        self.mapping.base().addr().get()
    }

    fn index_room(&self) -> usize {
        INDEX_ROOM
    }

    fn may_reach(&self, to: usize) -> bool {
        to <= self.mapping.end()
    }
}
