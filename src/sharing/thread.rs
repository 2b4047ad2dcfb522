//! Which thread this is, as cheaply as can be asked without thread-locals.
//!
//! # Safety
//!
//! The unsafe operations ask the kernel where a thread's own memory is and whether a thread is alive, and read the first
//! word of that memory where there is any.
#![allow(unsafe_code)]

use core::arch::asm;
use core::num::NonZero;
use core::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const THERE: u8 = 1;
const NOT_THERE: u8 = 2;
const ALONE: u8 = 3;

/// Whether threads have memory of their own that starts with its own address, as the System V ABI for x86-64
/// has it: asked once, unless there is said to be one thread.
static OWN_MEMORY: AtomicU8 = AtomicU8::new(UNKNOWN);

/// A number that no other living thread of the process has: the address of its thread-local memory, or
/// the kernel's number for it where there is no such memory.
///
/// A load with the first, a system call with the second.
#[inline]
pub(crate) fn current() -> NonZero<usize> {
    if OWN_MEMORY.load(Ordering::Relaxed) == THERE
        && let Some(address) = NonZero::new(own_address())
    {
        return address;
    }
    ask()
}

/// Whether threads are known to have memory of their own; they may without its being known yet.
#[inline]
pub(crate) fn has_memory() -> bool {
    // Who has std has it.
    cfg!(feature = "std") || OWN_MEMORY.load(Ordering::Relaxed) == THERE
}

/// Finds out whether threads have memory of their own, for all times to come: by whoever asks first.
#[cold]
pub(crate) fn find_memory() {
    if OWN_MEMORY.load(Ordering::Relaxed) == UNKNOWN {
        let base = fs_base();
        let is_there = base != 0 && own_address() == base;
        let known = if is_there { THERE } else { NOT_THERE };
        let relaxed = Ordering::Relaxed;
        let _ = OWN_MEMORY.compare_exchange(UNKNOWN, known, relaxed, relaxed);
    }
}

/// Says that there is one thread in this program: its locks take it for that and ask nobody, so a
/// [`Locked`](crate::Locked) pool or a [`SharedHeap`](crate::SharedHeap) over a [`Buffer`](crate::Buffer) needs no
/// kernel. O(1).
///
/// ```standalone_crate
/// assert!(tagheap::assume_one_thread()); // first of all
/// ```
///
/// Answers whether that is so from now on. Once a lock was used it is not: it knows already how threads are told from
/// one another, asks the kernel for no more where they have thread-local memory, and goes on with that.
///
/// A lock still finds out who re-enters it. If there are more threads after all, they are taken for one another: one
/// that would have to wait gets [`Misuse::Reentered`](crate::Misuse::Reentered), and none enters while another is
/// there.
pub fn assume_one_thread() -> bool {
    let (known, relaxed) = (OWN_MEMORY.load(Ordering::Relaxed), Ordering::Relaxed);
    known == ALONE
        || OWN_MEMORY
            .compare_exchange(UNKNOWN, ALONE, relaxed, relaxed)
            .is_ok()
}

/// The kernel's numbers for this thread and its process.
pub(crate) fn numbers() -> (u32, u32) {
    let thread = rustix::thread::gettid().as_raw_nonzero();
    let process = rustix::process::getpid().as_raw_nonzero();
    (thread.get().unsigned_abs(), process.get().unsigned_abs())
}

/// Whether the kernel knows that this process has no thread of that number.
pub(crate) fn is_gone(thread: u32, process: u32) -> bool {
    const TGKILL: usize = 234;
    const NO_SIGNAL: usize = 0;
    const ESRCH: isize = -3;
    if cfg!(miri) {
        // It does not know the call: as where the kernel says no.
        return false;
    }
    let answer: isize;
    // SAFETY: the kernel preserves all registers but rax, rcx and r11; a signal of number 0 is not sent.
    unsafe {
        asm!("syscall", inlateout("rax") TGKILL => answer, in("rdi") process as usize,
             in("rsi") thread as usize, in("rdx") NO_SIGNAL,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer == ESRCH
}

/// The first word of the thread's own memory, which there is.
#[inline]
fn own_address() -> usize {
    let address: usize;
    // SAFETY: a thread of this process had such memory, and others inherit it or have their own.
    unsafe {
        asm!("mov {}, fs:[0]", out(reg) address, options(nostack, preserves_flags, readonly))
    };
    address
}

#[cold]
fn ask() -> NonZero<usize> {
    match OWN_MEMORY.load(Ordering::Relaxed) {
        UNKNOWN => {
            find_memory();
            return current();
        }
        ALONE => return NonZero::<usize>::MIN,
        _ => {}
    }
    let id = rustix::thread::gettid().as_raw_nonzero();
    // Odd, as no address of thread-local memory is: one kind is never taken for the other.
    NonZero::new((id.get() as usize) << 1 | 1).unwrap_or(NonZero::<usize>::MIN)
}

/// Where this thread's own memory is, as the kernel knows it; 0 if it has none.
fn fs_base() -> usize {
    const ARCH_PRCTL: usize = 158;
    const ARCH_GET_FS: usize = 0x1003;
    let mut base = 0_usize;
    if cfg!(miri) {
        // Nor the segments of the processor.
        return 0;
    }
    let answer: isize;
    // SAFETY: the kernel preserves all registers but rax, rcx and r11, and writes one word to `base`.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => answer, in("rdi") ARCH_GET_FS,
             in("rsi") &raw mut base, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    if answer == 0 { base } else { 0 }
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

    /// In a process without threads, a program without libc shows it: `examples/nolibc`, embedded.
    #[test]
    fn whoever_was_asked_goes_on_with_the_answer() {
        let before = current();
        assert!(!assume_one_thread());
        assert_eq!(current(), before);
    }

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
