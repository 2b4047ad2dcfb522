//! The system calls by which threads begin, wait for each other, and end.
//!
//! # Safety
//!
//! The kernel preserves all registers but rax, rcx and r11. Each function states what its call changes besides.

use core::arch::{asm, global_asm};
use core::fmt;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicU32;

/// A system call was refused, with the number of an error.
#[derive(Clone, Copy, Debug)]
pub struct Refused(isize);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused by the kernel, error {}", -self.0)
    }
}

/// Bytes of a page.
pub const PAGE: usize = 4096;

const SCHED_YIELD: usize = 24;
const MMAP: usize = 9;
const MPROTECT: usize = 10;
const MUNMAP: usize = 11;
const GETPID: usize = 39;
const ARCH_PRCTL: usize = 158;
const FUTEX: usize = 202;
const TGKILL: usize = 234;

/// # Safety
///
/// The caller knows what the kernel does to memory, and nobody else minds.
unsafe fn call(number: usize, arguments: [usize; 6]) -> Result<usize, Refused> {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let answer: isize;
    // SAFETY: the caller's promise; see the head of the file.
    unsafe {
        asm!("syscall", inlateout("rax") number => answer, in("rdi") first, in("rsi") second,
             in("rdx") third, in("r10") fourth, in("r8") fifth, in("r9") sixth,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    usize::try_from(answer).map_err(|_| Refused(answer))
}

/// Maps so many bytes of zeroed memory, a multiple of the page, the lowest page of which nobody can use.
pub fn map_guarded(bytes: usize) -> Result<NonNull<u8>, Refused> {
    const READ_WRITE: usize = 3;
    const PRIVATE_ANONYMOUS: usize = 0x22;
    let arguments = [0, bytes, READ_WRITE, PRIVATE_ANONYMOUS, usize::MAX, 0];
    // SAFETY: a new mapping where the kernel likes touches nobody's memory.
    let address = unsafe { call(MMAP, arguments)? };
    // SAFETY: the page is the new mapping's, and nobody uses it yet.
    unsafe { call(MPROTECT, [address, PAGE, 0, 0, 0, 0])? };
    NonNull::new(ptr::with_exposed_provenance_mut(address)).ok_or(Refused(0))
}

/// Gives a mapping back.
///
/// # Safety
///
/// The mapping is the caller's own, and nobody uses it afterwards.
pub unsafe fn unmap(place: NonNull<u8>, bytes: usize) -> Result<(), Refused> {
    // SAFETY: the caller's promise.
    unsafe { call(MUNMAP, [place.addr().get(), bytes, 0, 0, 0, 0])? };
    Ok(())
}

/// Makes `pointer` the thread pointer of the calling thread: the base of segment fs.
///
/// # Safety
///
/// The thread's memory is laid out there, and stays until it ends.
pub unsafe fn set_thread_pointer(pointer: NonNull<u8>) -> Result<(), Refused> {
    const ARCH_SET_FS: usize = 0x1002;
    let arguments = [
        ARCH_SET_FS,
        pointer.as_ptr().expose_provenance(),
        0,
        0,
        0,
        0,
    ];
    // SAFETY: the caller's promise.
    unsafe { call(ARCH_PRCTL, arguments)? };
    Ok(())
}

// nolibc_clone(flags, stack, number, number, thread pointer): the two stand in the same registers for the call and
// for the kernel, but for the fourth. The new thread finds on its stack what to begin with, and with whom.
global_asm!(
    ".globl nolibc_clone",
    ".hidden nolibc_clone",
    "nolibc_clone:",
    "mov r10, rcx",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "ret",
    "2:",
    "xor ebp, ebp",
    "pop rax",
    "pop rdi",
    "call rax",
    // Ends the thread alone.
    "mov eax, 60",
    "xor edi, edi",
    "syscall",
    "ud2",
);

unsafe extern "C" {
    fn nolibc_clone(
        flags: usize,
        stack: *mut Beginning,
        number: *const AtomicU32,
        number_again: *const AtomicU32,
        thread_pointer: *mut u8,
    ) -> isize;
}

/// What lies uppermost on a new thread's stack.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Beginning {
    pub function: extern "C" fn(*const u8),
    pub argument: *const u8,
}

/// Starts a thread that calls the function on its stack and ends, and answers its number. The kernel writes that to
/// `number` before the thread begins, and clears it when the thread is gone, for [`wait`].
///
/// # Safety
///
/// - Below `stack` is memory for the thread alone, and so is what lies at `thread_pointer`, unless that is null;
///   both and `number` stay until `number` is 0 again.
/// - The function may be called with its argument, by another thread.
pub unsafe fn start(
    stack: NonNull<Beginning>,
    number: &AtomicU32,
    thread_pointer: *mut u8,
) -> Result<u32, Refused> {
    // Of one process in all: memory, directories, files, signals' handlers, signals, semaphores' undoing.
    const SHARED: usize = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;
    // What the kernel does: sets the thread pointer, writes the number and clears it.
    const DONE: usize = 0x8_0000 | 0x10_0000 | 0x20_0000;
    let number = ptr::from_ref(number);
    // SAFETY: the caller's promise. The new thread never returns here: it has a stack of its own.
    let answer = unsafe {
        nolibc_clone(
            SHARED | DONE,
            stack.as_ptr(),
            number,
            number,
            thread_pointer,
        )
    };
    u32::try_from(answer).map_err(|_| Refused(answer))
}

/// Sleeps while the word is `old`, or less long; as the kernel wakes whoever waits for a thread's end.
pub fn wait(word: &AtomicU32, old: u32) {
    const WAIT: usize = 0;
    let address = ptr::from_ref(word).addr();
    // SAFETY: the kernel reads the word. Woken, changed or interrupted, the caller looks again.
    let _ = unsafe { call(FUTEX, [address, WAIT, old as usize, 0, 0, 0]) };
}

/// Lets another thread run.
pub fn give_way() {
    // SAFETY: no memory changes. It cannot fail.
    let _ = unsafe { call(SCHED_YIELD, [0; 6]) };
}

/// Whether the process has no thread of that number any more.
pub fn is_gone(number: u32) -> bool {
    const NO_SUCH: isize = -3;
    // SAFETY: no memory changes.
    let process = unsafe { call(GETPID, [0; 6]) };
    // SAFETY: a signal of number 0 is not sent.
    let asked =
        process.and_then(|process| unsafe { call(TGKILL, [process, number as usize, 0, 0, 0, 0]) });
    matches!(asked, Err(Refused(NO_SUCH)))
}
