//! The program break as a source.
//!
//! # Safety
//!
//! All rests on the contract of [`Break::new`]: the break has one owner, and this is it. What can be
//! noticed of a breach is noticed: before each move the break is asked for.
#![allow(unsafe_code)]

use core::cmp::Ordering;
use core::ptr::NonNull;

use crate::ground::source::{INDEX_ROOM, Refusal, Source, steps};
use crate::ground::sys::{self, PAGE};
use crate::words::error::Corruption;
use crate::words::size::{HEADER, UNIT, align_up};

/// The program break as the source of a heap: the memory behind a program's own, grown and shrunk by
/// the `brk` system call in steps of at least 128 KiB.
///
/// The break has one owner, and a libc thinks that it is the one: see [`Break::new`]. Hosted programs
/// use [`Reserve`](crate::Reserve), or take the break over from glibc with feature `take-over`.
#[derive(Debug)]
pub struct Break {
    call: BreakCall,
    base: NonNull<u8>,
    /// The break as we know it.
    top: usize,
    /// Up to here the heap may use; the header of a fence fits between it and `top`.
    limit: usize,
    zero_from: usize,
}

/// Addresses that a program has on x86-64 where it asks for no more (five-level paging).
const ADDRESSES: usize = 1 << 47;

/// A call like the kernel's `brk`: moves the break to the address, answers where it stands, and only
/// answers when the address is 0.
pub type BreakCall = fn(usize) -> usize;

fn kernel(to: usize) -> usize {
    // SAFETY: `Break` only moves a break that its creator promised to be its own, and never below what the
    // heap uses.
    unsafe { sys::brk(to) }
}

// SAFETY: the memory belongs to this value alone.
unsafe impl Send for Break {}
// SAFETY: a shared source only reads its own words and asks for the break.
unsafe impl Sync for Break {}

impl Break {
    /// The program break from where it stands now.
    ///
    /// # Safety
    ///
    /// From now on nobody but this value moves the program break: not the libc's `malloc`, not `sbrk`, not a
    /// second `Break`, not a child that shares this process's memory (`vfork`, `posix_spawn`).
    ///
    /// So this is sound in a program without libc, and unsound in a Rust program with `std` on glibc or
    /// musl, whose allocator moves the break before `main` begins. If somebody moves the break all the
    /// same, the heap notices at its next growth or [`check`](crate::Heap::check): a break moved up is
    /// fenced off, a break moved down is reported as [`Corruption::BreakMoved`]. (Blocks beyond a break
    /// moved down are gone; whoever touches one before that faults.)
    pub unsafe fn new() -> Self {
        // SAFETY: the caller's promise, and `kernel` is the kernel's own call.
        unsafe { Self::with_call(kernel) }
    }

    /// The program break through a call of the caller's own, such as one that counts or refuses.
    ///
    /// # Safety
    ///
    /// As for [`Break::new`]; and `call` behaves as `brk` does: what lies below its answer is readable and
    /// writable memory, nobody else's from the first answer on.
    pub unsafe fn with_call(call: BreakCall) -> Self {
        let top = call(0);
        let start = align_up(top, UNIT).unwrap_or(0);
        let base = sys::break_pointer(start).unwrap_or(sys::NOWHERE);
        Self {
            call,
            base,
            top,
            limit: base.addr().get(),
            zero_from: usize::MAX,
        }
    }

    fn start(&self) -> usize {
        self.base.addr().get()
    }

    /// Whether nothing was granted so far, so that the base may still follow the break.
    fn is_untouched(&self) -> bool {
        self.limit == self.start()
    }

    /// Notes that the memory granted last starts at `frontier`, behind bytes of somebody else's.
    fn follow(&mut self, frontier: usize) {
        self.zero_from = align_up(frontier, PAGE).unwrap_or(usize::MAX);
        if let (true, Some(base)) = (self.is_untouched(), sys::break_pointer(frontier)) {
            self.base = base;
        }
    }
}

// SAFETY: memory from the base to `top` is what the kernel answered to be below the break, and by the
// contract of the constructors nobody else's; `limit` leaves a header's room below `top`, which is a
// multiple of the page whenever anything was granted. Foreign memory lies only between an old `top`
// and the frontier.
unsafe impl Source for Break {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn frontier(&self) -> Result<usize, Corruption> {
        let found = (self.call)(0);
        let moved = Corruption::BreakMoved {
            expected: self.top,
            found,
        };
        match found.cmp(&self.top) {
            Ordering::Equal => Ok(self.limit),
            Ordering::Less if !self.is_untouched() => Err(moved),
            // The number of an error, as a filter of system calls answers: nobody moved, nothing grows.
            Ordering::Greater if found > isize::MAX as usize => Ok(self.limit),
            _ => align_up(found, UNIT).ok_or(moved),
        }
    }

    fn extend(&mut self, frontier: usize, to: usize) -> Result<(), Refusal> {
        let before = if frontier == self.limit {
            self.top
        } else {
            frontier
        };
        let room = to.checked_add(HEADER).ok_or(Refusal::NoMemory)?;
        for end in steps(self.start(), frontier, room).ok_or(Refusal::NoMemory)? {
            let answer = (self.call)(end);
            if answer == end {
                if frontier != self.limit || self.is_untouched() {
                    self.follow(frontier);
                }
                self.top = end;
                self.limit = end - HEADER;
                return Ok(());
            }
            if align_up(answer, UNIT) != align_up(before, UNIT) {
                return Err(Refusal::Overtaken);
            }
        }
        Err(Refusal::NoMemory)
    }

    unsafe fn trim(&mut self, to: usize) -> usize {
        let end = to.checked_add(HEADER).and_then(|room| align_up(room, PAGE));
        let Some(end) = end.filter(|end| *end < self.top) else {
            return self.top;
        };
        // Somebody else's memory may lie above: then the break is not ours to lower.
        if (self.call)(0) != self.top || (self.call)(end) != end {
            return self.top;
        }
        self.top = end;
        self.limit = end - HEADER;
        end
    }

    unsafe fn purge(&mut self, from: usize, to: usize) -> usize {
        // SAFETY: below the break, and by the contract nobody needs what it holds.
        unsafe { sys::discard(self.base, from, to, PAGE) }
    }

    fn zero_from(&self) -> usize {
        self.zero_from
    }

    fn index_room(&self) -> usize {
        INDEX_ROOM
    }

    fn may_reach(&self, to: usize) -> bool {
        to < ADDRESSES
    }
}
