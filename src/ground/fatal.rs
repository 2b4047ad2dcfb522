//! The end of a program that cannot go on: one line on standard error, and an abort.
//!
//! # Safety
//!
//! Standard error and files are used by their numbers, and the last instruction is one that no program survives.
#![allow(unsafe_code)]

use core::fmt::{self, Display, Write};

use rustix::fd::{BorrowedFd, RawFd};
use rustix::process::{Signal, getpid};
use rustix::thread::gettid;

/// Text for standard error or a file, written a line or a buffer at a time, without any allocation.
#[derive(Debug)]
pub(crate) struct Lines {
    bytes: [u8; 240],
    length: usize,
    /// The number of the descriptor.
    to: RawFd,
}

/// Standard error's number.
pub(crate) const STANDARD_ERROR: RawFd = 2;

impl Lines {
    /// For standard error.
    pub(crate) const fn new() -> Self {
        Self::to(STANDARD_ERROR)
    }

    /// For what a number stands for.
    pub(crate) const fn to(to: RawFd) -> Self {
        Self {
            bytes: [0; 240],
            length: 0,
            to,
        }
    }

    /// Writes what is there.
    pub(crate) fn flush(&mut self) {
        let mut left = self.bytes.get(..self.length).unwrap_or_default();
        // SAFETY: a number; if nobody has that descriptor open, the write fails.
        let to = unsafe { BorrowedFd::borrow_raw(self.to) };
        while !left.is_empty() {
            match rustix::io::write(to, left) {
                Ok(written @ 1..) => left = left.get(written..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                // Nobody can be told that nobody can be told.
                _ => break,
            }
        }
        self.length = 0;
    }
}

impl Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
            if byte == b'\n' || self.length == self.bytes.len() {
                self.flush();
            }
        }
        Ok(())
    }
}

/// Ends the program: writes one line, `tagheap: fatal: ` and why, to standard error, and aborts.
///
/// For whoever puts a heap behind an interface that cannot answer errors, such as a global allocator or
/// functions for C. It allocates nothing, unwinds nothing, and needs no libc.
#[cold]
pub fn fatal(why: &dyn Display) -> ! {
    let mut lines = Lines::new();
    let _ = writeln!(lines, "tagheap: fatal: {why}");
    abort();
    // Whoever handles that signal, or blocks it, comes no further than here.
    // SAFETY: the program ends.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}

/// Sends this thread the signal: of one to the process any thread might take notice, and this one go on.
fn abort() {
    const TGKILL: usize = 234;
    let process = getpid().as_raw_nonzero().get();
    let thread = gettid().as_raw_nonzero().get();
    // SAFETY: the kernel preserves all registers but rax, rcx and r11; the program is to end.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") TGKILL => _, in("rdi") process as usize,
             in("rsi") thread as usize, in("rdx") Signal::ABORT.as_raw() as usize,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
}
