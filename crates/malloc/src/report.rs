//! The table of what is held, to wherever the program says: `include/tagheap_malloc.h`.
//!
//! # Safety
//!
//! The functions of the C library are called as POSIX has them.

use core::ffi::c_int;
use core::fmt::{self, Write};

use heap::Global;

use crate::HEAP;
use crate::status::Status;

/// Prints what `malloc_stats` prints, to an open file of the caller's.
#[unsafe(no_mangle)]
extern "C" fn tagheap_malloc_report(file: c_int) -> Status {
    // Whoever comes from inside the heap is told so, not that there are no tags.
    if let Err(error) = HEAP.holding(Global::UNTAGGED) {
        return error.into();
    }
    let mut lines = Lines {
        bytes: [0; 512],
        length: 0,
        file,
    };
    let head = "tagheap: what is held by tag, in bytes";
    match writeln!(lines, "{head}\n{}", HEAP.report()).and_then(|()| lines.flush()) {
        Ok(()) => Status::OK,
        Err(fmt::Error) => Status::NOT_WRITTEN,
    }
}

/// Text for an open file, written a buffer at a time, without any allocation.
#[derive(Debug)]
struct Lines {
    bytes: [u8; 512],
    length: usize,
    file: c_int,
}

impl Lines {
    /// Writes what is there. Where that fails, `errno` says why.
    fn flush(&mut self) -> fmt::Result {
        let mut left = self.bytes.get(..self.length).unwrap_or_default();
        while !left.is_empty() {
            // SAFETY: as POSIX has it; of a number that is no open file it says so.
            let written = unsafe { libc::write(self.file, left.as_ptr().cast(), left.len()) };
            match usize::try_from(written) {
                Ok(written @ 1..) => left = left.get(written..).unwrap_or_default(),
                Err(_) if is_interrupted() => {}
                _ => return Err(fmt::Error),
            }
        }
        self.length = 0;
        Ok(())
    }
}

/// Whether a signal handler came between, so that the call is to be made again.
fn is_interrupted() -> bool {
    // SAFETY: as the C library has it.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: this thread's own.
    unsafe { errno.read() == libc::EINTR }
}

impl Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.length == self.bytes.len() {
                self.flush()?;
            }
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}
