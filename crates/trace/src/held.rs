//! Memory that its holder alone may touch.
//!
//! # Safety
//!
//! What is said to AddressSanitizer stands in its own notes, which have a place for every address of a program.

use core::ops::Deref;
use core::ptr::NonNull;

/// Bytes that nobody may touch as long as this lives.
///
/// Compiled for AddressSanitizer with `--cfg asan`, as `scripts/sanitizers.sh` does it, whoever reads or writes them
/// ends the program with a report. It knows of eight bytes at a time: fewer at the end may be touched unseen, as
/// may all where it is not there. What is in them should be known and compared besides: that finds writes.
#[derive(Debug)]
#[must_use = "they are shown again when this goes"]
pub struct Hidden {
    at: usize,
    size: usize,
}

impl Hidden {
    /// So many bytes from there on.
    pub fn new(start: NonNull<u8>, size: usize) -> Self {
        let hidden = Self {
            at: start.addr().get(),
            size,
        };
        hidden.hide();
        hidden
    }

    fn hide(&self) {
        sanitizer::hide(self.at, self.size);
    }

    fn show(&self) {
        sanitizer::show(self.at, self.size);
    }

    /// What the holder does with the bytes meanwhile.
    pub fn shown<T>(&self, look: impl FnOnce() -> T) -> T {
        self.show();
        let found = look();
        self.hide();
        found
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.show();
    }
}

/// A piece of memory, hidden until its holder wants it back.
#[derive(Debug)]
pub struct Held<P> {
    piece: P,
    hidden: Hidden,
}

impl<P> Held<P> {
    /// A piece of so many bytes from there on.
    pub fn new(piece: P, start: NonNull<u8>, size: usize) -> Self {
        let hidden = Hidden::new(start, size);
        Self { piece, hidden }
    }

    /// The piece, to be used, given back or resized.
    pub fn show(self) -> P {
        self.piece
    }

    /// Looks into the piece, which is hidden again then.
    pub fn look<T>(&self, look: impl FnOnce(&P) -> T) -> T {
        self.hidden.shown(|| look(&self.piece))
    }
}

impl<P> Deref for Held<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.piece
    }
}

/// Whether a touch of the byte would be found.
pub fn is_hidden(at: NonNull<u8>) -> bool {
    sanitizer::is_hidden(at.addr().get())
}

#[cfg(asan)]
mod sanitizer {
    use core::ptr;

    unsafe extern "C" {
        fn __asan_poison_memory_region(start: *const u8, size: usize);
        fn __asan_unpoison_memory_region(start: *const u8, size: usize);
        fn __asan_address_is_poisoned(at: *const u8) -> i32;
    }

    pub(super) fn hide(at: usize, size: usize) {
        // SAFETY: a note, see above.
        unsafe { __asan_poison_memory_region(ptr::without_provenance(at), size) }
    }

    pub(super) fn show(at: usize, size: usize) {
        // SAFETY: a note, see above.
        unsafe { __asan_unpoison_memory_region(ptr::without_provenance(at), size) }
    }

    pub(super) fn is_hidden(at: usize) -> bool {
        // SAFETY: a question, see above.
        unsafe { __asan_address_is_poisoned(ptr::without_provenance(at)) != 0 }
    }
}

#[cfg(not(asan))]
mod sanitizer {
    pub(super) fn hide(_at: usize, _size: usize) {}

    pub(super) fn show(_at: usize, _size: usize) {}

    pub(super) fn is_hidden(_at: usize) -> bool {
        false
    }
}
