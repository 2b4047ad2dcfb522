//! The kernel: the program break and mappings of our own.
//!
//! # Safety
//!
//! The only unsafe operations here are system calls and the time-stamp counter. Each call states what
//! it may change; the break has one owner, see [`crate::Break::new`].
#![allow(unsafe_code)]

#[cfg_attr(miri, path = "sys/interpreted.rs")]
mod kernel;

use core::num::NonZero;
use core::ptr::{self, NonNull};

use rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};

pub(crate) use self::kernel::{brk, cycles, monotonic_time};
use crate::words::size::{align_down, align_up};

/// Bytes of a page on x86-64.
pub(crate) const PAGE: usize = 4096;

/// Bytes of a huge page on x86-64, whose translation takes one entry of a processor's buffer instead of 512.
pub(crate) const HUGE_PAGE: usize = 512 * PAGE;

/// A pointer to break memory at `address`, which no Rust allocation covers.
pub(crate) fn break_pointer(address: usize) -> Option<NonNull<u8>> {
    NonNull::new(ptr::with_exposed_provenance_mut(address))
}

/// An address no break can stand at: one unit above 0.
pub(crate) const NOWHERE: NonNull<u8> = NonNull::without_provenance(NonZero::new(16).unwrap());

/// Bits that differ from run to run, without a system call. Not secret.
pub(crate) fn noise() -> u64 {
    let here = &raw const DUMMY as u64;
    cycles().rotate_left(32) ^ here
}

static DUMMY: u8 = 0;

/// Maps zeroed memory of our own, in whole pages.
pub(crate) fn map(bytes: usize) -> Option<NonNull<u8>> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping where the kernel likes touches nobody's memory.
    let base = unsafe { kernel::mmap_anonymous(ptr::null_mut(), bytes, access, flags) };
    NonNull::new(base.ok()?.cast())
}

/// As [`map`], for a multiple of [`HUGE_PAGE`], in huge pages where the kernel has some. Where there are no addresses for
/// that, pages of the usual size do.
pub(crate) fn map_huge(bytes: usize) -> Option<NonNull<u8>> {
    if cfg!(miri) {
        // A mapping is given back whole there.
        return map(bytes);
    }
    let Some(start) = bytes.checked_add(HUGE_PAGE).and_then(map) else {
        return map(bytes);
    };
    let in_front = start.align_offset(HUGE_PAGE);
    let base = start.map_addr(|start| start.saturating_add(in_front));
    if in_front > 0 {
        // SAFETY: the new mapping's own pages, in front of the base.
        unsafe { unmap(start, in_front) };
    }
    let end = base.map_addr(|base| base.saturating_add(bytes));
    // SAFETY: the new mapping's own pages, behind the bytes: less than a huge page is in front of these.
    unsafe { unmap(end, HUGE_PAGE - in_front) };
    // SAFETY: the new mapping's own pages.
    unsafe { prefer_huge_pages(base, bytes) };
    Some(base)
}

/// Asks the kernel for huge pages wherever whole ones are committed; where it has none, small ones serve.
///
/// # Safety
///
/// The mapping is the caller's own. What it holds stays.
unsafe fn prefer_huge_pages(base: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's promise.
    let _ = unsafe { kernel::madvise(base.as_ptr().cast(), bytes, Advice::LinuxHugepage) };
}

/// Keeps pages out of core files, or takes them in again: a debugger that writes one, as `gcore` does, would else write
/// each page that is reserved, gigabytes of them. A kernel that does not know this has whole core files.
///
/// # Safety
///
/// The mapping is the caller's own. What it holds stays.
unsafe fn keep_out_of_dumps(start: *mut u8, bytes: usize, are_out: bool) {
    let advice = match are_out {
        true => Advice::LinuxDontDump,
        false => Advice::LinuxDoDump,
    };
    // SAFETY: the caller's promise.
    let _ = unsafe { kernel::madvise(start.cast(), bytes, advice) };
}

/// Makes a mapping larger, and moves it if need be; what is new is zero.
///
/// # Safety
///
/// The mapping of `old` bytes is the caller's own, and nobody uses the old address afterwards.
pub(crate) unsafe fn remap(base: NonNull<u8>, old: usize, new: usize) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise.
    let moved = unsafe { kernel::mremap(base.as_ptr().cast(), old, new, MremapFlags::MAYMOVE) };
    NonNull::new(moved.ok()?.cast())
}

/// As [`remap`], for one of [`map_huge`] to be one still.
///
/// # Safety
///
/// As for [`remap`].
pub(crate) unsafe fn remap_huge(base: NonNull<u8>, old: usize, new: usize) -> Option<NonNull<u8>> {
    if cfg!(miri) {
        // SAFETY: the caller's promise.
        return unsafe { remap(base, old, new) };
    }
    let place = map_huge(new)?;
    let (from, to) = (base.as_ptr().cast(), place.as_ptr().cast());
    // SAFETY: the caller's promise for the old one; the new one is ours alone, and gives way to it.
    let moved = unsafe { kernel::mremap_fixed(from, old, new, MremapFlags::MAYMOVE, to) };
    if moved.is_err() {
        // SAFETY: nobody has seen the new mapping.
        unsafe { unmap(place, new) };
    }
    NonNull::new(moved.ok()?.cast())
}

/// Gives a mapping back.
///
/// # Safety
///
/// The mapping is the caller's own, and nobody uses it afterwards.
pub(crate) unsafe fn unmap(base: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's promise.
    let unmapped = unsafe { kernel::munmap(base.as_ptr().cast(), bytes) };
    debug_assert!(unmapped.is_ok(), "our own mapping can be unmapped");
}

/// Gives the whole pages of `page` bytes between two addresses back to the kernel, and answers how many bytes they have.
/// They stay mapped; what they held is gone.
///
/// # Safety
///
/// The memory is the caller's own, of the same object as `base`, and nobody needs what it holds.
pub(crate) unsafe fn discard(base: NonNull<u8>, from: usize, to: usize, page: usize) -> usize {
    let (from, to) = (align_up(from, page), align_down(to, page));
    let Some(from) = from.filter(|from| *from < to) else {
        return 0;
    };
    let start = base.as_ptr().with_addr(from);
    // SAFETY: the caller's promise.
    let dropped = unsafe { kernel::madvise(start.cast(), to - from, Advice::LinuxDontNeed) };
    if dropped.is_ok() { to - from } else { 0 }
}

/// Address space reserved from the kernel, committed from its start.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    length: usize,
    is_out_of_dumps: bool,
}

// SAFETY: the mapping belongs to this value alone.
unsafe impl Send for Mapping {}
// SAFETY: a shared mapping only tells its address and length.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Reserves `length` bytes, a multiple of the page, without committing any.
    pub(crate) fn reserve(length: usize) -> Option<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping where the kernel likes touches nobody's memory.
        let base =
            unsafe { kernel::mmap_anonymous(ptr::null_mut(), length, ProtFlags::empty(), flags) };
        let base = NonNull::new(base.ok()?.cast())?;
        Some(Self {
            base,
            length,
            is_out_of_dumps: false,
        })
    }

    /// As it is, but kept out of core files as far as it is not committed: one system call now, and another for each time
    /// that some is.
    pub(crate) fn out_of_dumps(mut self) -> Self {
        // SAFETY: this mapping.
        unsafe { keep_out_of_dumps(self.base.as_ptr(), self.length, true) };
        self.is_out_of_dumps = true;
        self
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Address behind the reservation.
    pub(crate) fn end(&self) -> usize {
        self.base.addr().get() + self.length
    }

    /// Asks the kernel for huge pages wherever whole ones are committed; where it has none, small ones serve.
    pub(crate) fn prefer_huge_pages(&mut self) {
        // SAFETY: this mapping.
        unsafe { prefer_huge_pages(self.base, self.length) };
    }

    /// Makes the pages from address `from` to `to` readable and writable; they are zero at first.
    pub(crate) fn commit(&mut self, from: usize, to: usize) -> bool {
        let Some(start) = self.page(from, to) else {
            return false;
        };
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the pages lie in this mapping and nobody uses them yet.
        let opened = unsafe { kernel::mprotect(start.cast(), to - from, access) };
        if opened.is_ok() && self.is_out_of_dumps {
            // SAFETY: pages of this mapping.
            unsafe { keep_out_of_dumps(start, to - from, false) };
        }
        opened.is_ok()
    }

    /// Gives the pages from address `from` to `to` back to the kernel, and forbids their use.
    ///
    /// # Safety
    ///
    /// Nobody uses these pages any more.
    pub(crate) unsafe fn decommit(&mut self, from: usize, to: usize) -> bool {
        let Some(start) = self.page(from, to) else {
            return false;
        };
        // SAFETY: the pages lie in this mapping, and by the contract nobody uses them.
        let dropped = unsafe { kernel::madvise(start.cast(), to - from, Advice::LinuxDontNeed) };
        // SAFETY: as above.
        let closed = unsafe { kernel::mprotect(start.cast(), to - from, MprotectFlags::empty()) };
        if closed.is_ok() && self.is_out_of_dumps {
            // SAFETY: pages of this mapping.
            unsafe { keep_out_of_dumps(start, to - from, true) };
        }
        dropped.is_ok() && closed.is_ok()
    }

    /// The pointer to the page at `from`, where `from..to` is a range of whole pages of the mapping.
    fn page(&self, from: usize, to: usize) -> Option<*mut u8> {
        let inside = self.base.addr().get() <= from && from < to && to <= self.end();
        let whole = from.is_multiple_of(PAGE) && to.is_multiple_of(PAGE);
        (inside && whole).then(|| self.base.as_ptr().with_addr(from))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and whoever used it borrowed from its owner.
        unsafe { unmap(self.base, self.length) };
    }
}
