//! The end of a program that cannot go on: one line on standard error, and an abort.
//!
//! # Safety
//!
//! Standard error is used by its number, and the last instruction is one that no program survives.
#![allow(unsafe_code)]

use core::fmt::{self, Display, Write};

use rustix::fd::BorrowedFd;
use rustix::process::{Signal, getpid, kill_process};

/// Room for a line; what is longer is cut.
struct Line {
    bytes: [u8; 200],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = self.bytes.iter_mut().skip(self.length);
        self.length += free.zip(text.bytes()).map(|(to, byte)| *to = byte).count();
        Ok(())
    }
}

/// Says why, as `tagheap: fatal: ...`, and aborts the program.
#[cold]
pub(crate) fn die(why: &dyn Display) -> ! {
    let bytes = [0; 200];
    let mut line = Line { bytes, length: 0 };
    let _ = write!(line, "tagheap: fatal: {why}");
    // The newline is there even if the line is cut.
    line.length = line.length.min(line.bytes.len() - 1);
    let _ = line.write_str("\n");
    if let Some(line) = line.bytes.get(..line.length) {
        // SAFETY: a number; if nobody has that descriptor open, the write fails.
        let stderr = unsafe { BorrowedFd::borrow_raw(2) };
        // Nobody can be told that nobody can be told.
        let _ = rustix::io::write(stderr, line);
    }
    let _ = kill_process(getpid(), Signal::ABORT);
    // Whoever handles that signal, or blocks it, comes no further than here.
    // SAFETY: the program ends.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}

/// A fault of the library's own. None is known.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    die(&info.message())
}
