//! What the kernel and the processor are asked for by instructions of their own.
//!
//! # Safety
//!
//! Each call states what it may change.
#![allow(unsafe_code)]

use core::arch::asm;

pub(super) use rustix::mm::{madvise, mmap_anonymous, mprotect, mremap, mremap_fixed, munmap};

/// Moves the program break to `to` and answers where it stands; a refusal answers the old break.
///
/// `brk(0)` only asks: no break can stand at address 0.
///
/// # Safety
///
/// `to` is 0, or the caller owns the break and nobody uses the memory between `to` and the break.
pub(crate) unsafe fn brk(to: usize) -> usize {
    const BRK: usize = 12;
    let answer;
    // SAFETY: the kernel preserves all registers but rax, rcx and r11. Memory appears or vanishes above
    // `to` only, which by the contract nobody uses.
    unsafe {
        asm!("syscall", inlateout("rax") BRK => answer, in("rdi") to,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}

/// The time-stamp counter: cycles since the processor started, at a constant rate.
#[inline]
pub(crate) fn cycles() -> u64 {
    // SAFETY: reads a counter; every x86-64 processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Seconds and nanoseconds of `CLOCK_MONOTONIC`; `None` if the kernel does not tell.
pub(crate) fn monotonic_time() -> Option<[u64; 2]> {
    const CLOCK_GETTIME: usize = 228;
    const MONOTONIC: usize = 1;
    let mut time = [0; 2];
    let answer: usize;
    // SAFETY: the kernel preserves all registers but rax, rcx and r11, and writes two words to `time`.
    unsafe {
        asm!("syscall", inlateout("rax") CLOCK_GETTIME => answer, in("rdi") MONOTONIC, in("rsi") &raw mut time,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    (answer == 0).then_some(time)
}
