//! The assembly heap of `asm/heap.s`, beside which the Rust heap is held.
//!
//! The twin places every allocation where [`Heap`](crate::Heap) does, by its own scans, in its own row,
//! whose headers hold the same three words. It has no root block and no check words, and trusts its
//! caller more: it is for comparing and for learning, not for use.
//!
//! # Safety
//!
//! The assembly's state is four words in its data section. [`Twin::start`] hands them to one value at a
//! time, and its caller vouches for the memory behind the break routine.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};

use memoffset::offset_of;

use crate::policy::rule::Rule;
use crate::words::header::Header;
use crate::words::size::{HEADER, UNIT};
use crate::words::tag::Tag;
use crate::words::walk::Image;

global_asm!(
    ".set TH_IN_USE, {in_use}",
    ".set TH_SIZE, {size}",
    ".set TH_TAG, {tag}",
    include_str!("../../asm/heap.s"),
    in_use = const offset_of!(Header, in_use),
    size = const offset_of!(Header, size),
    tag = const offset_of!(Header, tag),
    options(att_syntax)
);

/// A routine of the twin: at most three words in, one out.
pub type Routine = unsafe extern "C" fn(usize, usize, usize) -> usize;

/// Calls a routine of the twin; a test's caller looks at more than the answer. Whoever calls it has a twin for which the
/// routine is.
pub type Caller = unsafe fn(Routine, [usize; 3]) -> usize;

/// Moves the twin's break to an address, or only tells it for address 0; answers where it stands. Whoever calls it owns
/// that break.
pub type BreakRoutine = unsafe extern "C" fn(usize) -> usize;

unsafe extern "C" {
    static mut th_twin_start: usize;
    static mut th_twin_end: usize;
    static mut th_twin_limit: usize;
    static mut th_twin_break: BreakRoutine;

    fn th_twin_whole_allocate(tag: usize, size: usize, align: usize) -> usize;
    fn th_twin_whole_deallocate(payload: usize, _: usize, _: usize) -> usize;
    fn th_twin_whole_release(tag: usize, _: usize, _: usize) -> usize;
    fn th_twin_split_allocate(tag: usize, size: usize, align: usize) -> usize;
    fn th_twin_split_deallocate(payload: usize, _: usize, _: usize) -> usize;
    fn th_twin_split_release(tag: usize, _: usize, _: usize) -> usize;
}

/// Whether a [`Twin`] lives.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The assembly heap under one of the two rules. There is one at a time in a process.
#[derive(Debug)]
pub struct Twin<R: Rule> {
    caller: Caller,
    rule: PhantomData<R>,
}

/// What [`Twin::deallocate`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deallocation {
    /// The block is free now.
    Done,
    /// No block is there.
    NotABlock,
    /// The block was free before.
    DoubleFree,
}

impl<R: Rule> Twin<R> {
    /// The twin with an empty row at the break of `routine`; `None` while another one lives.
    ///
    /// # Safety
    ///
    /// - Memory from the first answer of `routine(0)`, rounded up to 16, to each of its answers is
    ///   readable, writable and nobody else's while the twin lives.
    /// - `caller` calls the routine it is given with these words, and answers what that answers.
    pub unsafe fn start(routine: BreakRoutine, caller: Caller) -> Option<Self> {
        if TAKEN.swap(true, Ordering::Acquire) {
            return None;
        }
        for word in [
            &raw mut th_twin_start,
            &raw mut th_twin_end,
            &raw mut th_twin_limit,
        ] {
            // SAFETY: `TAKEN` was ours to set, so no other twin reads or writes the state.
            unsafe { word.write(0) };
        }
        let place = &raw mut th_twin_break;
        // SAFETY: as above.
        unsafe { place.write(routine) };
        Some(Self {
            caller,
            rule: PhantomData,
        })
    }

    /// The address of `size` bytes of payload under `tag`, a multiple of `align`, a power of two.
    pub fn allocate(&mut self, tag: Tag, size: usize, align: usize) -> Option<usize> {
        let routine = if R::SPLITS {
            th_twin_split_allocate
        } else {
            th_twin_whole_allocate
        };
        let words = [tag.number() as usize, size, align];
        // SAFETY: a routine of this twin's.
        let payload = unsafe { (self.caller)(routine, words) };
        (payload != 0).then_some(payload)
    }

    /// Frees the block with the payload at this address.
    pub fn deallocate(&mut self, payload: usize) -> Deallocation {
        let routine = if R::SPLITS {
            th_twin_split_deallocate
        } else {
            th_twin_whole_deallocate
        };
        // SAFETY: as above; it looks at what the address is before it writes.
        match unsafe { (self.caller)(routine, [payload, 0, 0]) } {
            0 => Deallocation::Done,
            2 => Deallocation::DoubleFree,
            _ => Deallocation::NotABlock,
        }
    }

    /// Frees every block under `tag`, and answers how many they were; `None` for a reserved tag.
    pub fn release(&mut self, tag: Tag) -> Option<usize> {
        let routine = if R::SPLITS {
            th_twin_split_release
        } else {
            th_twin_whole_release
        };
        // SAFETY: as above.
        let blocks = unsafe { (self.caller)(routine, [tag.number() as usize, 0, 0]) };
        (blocks != usize::MAX).then_some(blocks)
    }
}

impl<R: Rule> Drop for Twin<R> {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

impl<R: Rule> Image for Twin<R> {
    fn base(&self) -> usize {
        let word = &raw const th_twin_start;
        // SAFETY: this twin owns the assembly's state, and nobody changes it through a shared reference.
        unsafe { word.read() }
    }

    fn end(&self) -> usize {
        let word = &raw const th_twin_end;
        // SAFETY: as above.
        unsafe { word.read() }
    }

    fn header(&self, at: usize) -> Option<Header> {
        let inside = at >= self.base() && at.checked_add(HEADER)? <= self.end();
        if !inside || !at.is_multiple_of(UNIT) {
            return None;
        }
        let header = core::ptr::with_exposed_provenance::<Header>(at);
        // SAFETY: aligned and within the row, whose memory the creator of the twin vouches for.
        Some(unsafe { header.read() })
    }
}

/// Calls a routine of the twin and nothing more.
///
/// # Safety
///
/// The routine is one of a twin that the caller has.
pub unsafe fn call(routine: Routine, [a, b, c]: [usize; 3]) -> usize {
    // SAFETY: the routines follow the calling convention and change the twin's row and state only.
    unsafe { routine(a, b, c) }
}

/// The kernel's `brk`, for a program without libc in which the twin owns the break.
///
/// # Safety
///
/// The break is the twin's, and what lies beyond the address is nobody's.
pub unsafe extern "C" fn kernel_break(to: usize) -> usize {
    // SAFETY: the caller vouches for that.
    unsafe { crate::ground::sys::brk(to) }
}
