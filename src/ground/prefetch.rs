//! Says early that memory will be needed, so that it is there when it is.
//!
//! # Safety
//!
//! A prefetch reads nothing that a program can see, whatever the address.
#![allow(unsafe_code)]

use core::arch::asm;
use core::arch::x86_64::{__cpuid, _MM_HINT_T0, _mm_prefetch};
use core::sync::atomic::{AtomicU8, Ordering};

/// Starts to fetch the cache line of `value`.
#[inline]
pub(crate) fn prefetch<T>(value: *const T) {
    if cfg!(miri) {
        return;
    }
    // SAFETY: every x86-64 has the instruction, and it faults at no address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(value.cast()) };
}

/// Starts to fetch cache lines from whichever processor has them, to be written here; nothing on processors that cannot say
/// so.
#[inline]
pub(crate) fn prefetch_to_write<T>(lines: impl Iterator<Item = *const T>) {
    if cfg!(miri) || !may_prefetch_to_write() {
        return;
    }
    for line in lines {
        // SAFETY: the processor has the instruction, and it faults at no address.
        unsafe {
            asm!("prefetchw [{line}]", line = in(reg) line, options(readonly, nostack, preserves_flags));
        }
    }
}

/// Whether the processor says that it has the instruction, as those of Intel do from Broadwell on, and all of AMD.
#[inline]
fn may_prefetch_to_write() -> bool {
    const NO: u8 = 1;
    const YES: u8 = 2;
    /// Asked once: in a virtual machine that takes a microsecond or more.
    static ANSWER: AtomicU8 = AtomicU8::new(0);
    #[cold]
    fn ask() -> u8 {
        // AMD64 Architecture Programmer's Manual, volume 3, appendix D: the extended features.
        const FEATURES: u32 = 0x8000_0001;
        const PREFETCHW: u32 = 1 << 8;
        #[allow(
            unused_unsafe,
            reason = "it is safe in newer versions of Rust than the oldest supported"
        )]
        // SAFETY: every x86-64 has the instruction.
        let ask = |leaf| unsafe { __cpuid(leaf) };
        let has_it = ask(0x8000_0000).eax >= FEATURES && ask(FEATURES).ecx & PREFETCHW != 0;
        let answer = if has_it { YES } else { NO };
        ANSWER.store(answer, Ordering::Relaxed);
        answer
    }
    match ANSWER.load(Ordering::Relaxed) {
        0 => ask() == YES,
        answer => answer == YES,
    }
}
