//! Text into a caller's bytes, cut where they end, as `snprintf` does.
//!
//! # Safety
//!
//! The caller vouches for the bytes; no byte is written beyond them.
#![allow(unsafe_code)]

use core::ffi::c_char;
use core::fmt;
use core::ptr::NonNull;

/// Bytes of C's that text is written to.
pub(crate) struct Text {
    place: Option<NonNull<u8>>,
    capacity: usize,
    length: usize,
}

impl Text {
    /// # Safety
    ///
    /// `place` is null or has so many bytes, which nobody else uses as long as this lives.
    pub(crate) unsafe fn new(place: *mut c_char, capacity: usize) -> Self {
        let place = NonNull::new(place.cast());
        let capacity = if place.is_some() { capacity } else { 0 };
        let mut text = Self {
            place,
            capacity,
            length: 0,
        };
        text.end();
        text
    }

    /// Bytes that the whole text has, without the zero behind it.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Puts a byte, if there is room for a zero behind it too.
    fn push(&mut self, byte: u8) {
        if let (Some(place), true) = (self.place, self.length + 1 < self.capacity) {
            // SAFETY: within the caller's bytes.
            let place = unsafe { place.add(self.length) };
            // SAFETY: as above.
            unsafe { place.write(byte) };
        }
        self.length = self.length.saturating_add(1);
    }

    fn end(&mut self) {
        let Some(last) = self.capacity.checked_sub(1) else {
            return;
        };
        if let Some(place) = self.place {
            // SAFETY: within the caller's bytes.
            let place = unsafe { place.add(self.length.min(last)) };
            // SAFETY: as above.
            unsafe { place.write(0) };
        }
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        self.end();
        Ok(())
    }
}
