//! Which thread this is, as cheaply as can be asked without thread-locals.
//!
//! # Safety
//!
//! The one unsafe operation reads the register that points to a thread's own memory, where the kernel
//! lets programs read it.
#![allow(unsafe_code)]

use core::arch::asm;
use core::num::NonZero;
use core::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const READABLE: u8 = 1;
const UNREADABLE: u8 = 2;

/// Whether the kernel lets programs read the FS base: asked once.
static FS_BASE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// The bit of the auxiliary vector's `AT_HWCAP2` that says so.
const FSGSBASE: usize = 1 << 1;

/// A number that no other living thread of the process has: the address of its thread-local memory, or
/// the kernel's number for it where there is no such memory.
///
/// A few nanoseconds with the first, a system call with the second.
#[inline]
pub(crate) fn current() -> NonZero<usize> {
    if FS_BASE.load(Ordering::Relaxed) == READABLE {
        let base: usize;
        // SAFETY: the kernel said that the instruction works; it only reads a register.
        unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
        if let Some(base) = NonZero::new(base) {
            return base;
        }
    }
    ask()
}

#[cold]
fn ask() -> NonZero<usize> {
    if FS_BASE.load(Ordering::Relaxed) == UNKNOWN {
        let readable = rustix::param::linux_hwcap().1 & FSGSBASE != 0;
        FS_BASE.store(
            if readable { READABLE } else { UNREADABLE },
            Ordering::Relaxed,
        );
        return current();
    }
    let id = rustix::thread::gettid().as_raw_nonzero();
    // Odd, as no address of thread-local memory is: one kind is never taken for the other.
    NonZero::new((id.get() as usize) << 1 | 1).unwrap_or(NonZero::<usize>::MIN)
}

/// Lets another thread run, if one waits for the processor.
pub(crate) fn give_way() {
    rustix::thread::sched_yield();
}

/// Lets others run for a tenth of a millisecond, even those of lower priority.
#[cold]
pub(crate) fn nap() {
    let nap = rustix::thread::Timespec {
        tv_sec: 0,
        tv_nsec: 100_000,
    };
    // Interrupted or not, the time for the next look has come.
    let _ = rustix::thread::nanosleep(&nap);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn living_threads_have_different_numbers() {
        let barrier = Barrier::new(8);
        let mut ids: std::vec::Vec<_> = std::thread::scope(|scope| {
            let threads: std::vec::Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let id = current();
                        barrier.wait();
                        assert_eq!(id, current(), "a thread keeps its number");
                        id
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or(NonZero::<usize>::MIN))
                .collect()
        });
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 8);
    }
}
