//! Moments in the life of a stack, to go back to.
//!
//! # Safety
//!
//! A rewind takes back whole pieces only, none of which was there when the mark was made: they start where
//! the stack had nothing then.
#![allow(unsafe_code)]

use crate::pools::stack::Stack;
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse};

/// A moment in the life of a [`Stack`], see [`Stack::mark`].
#[derive(Clone, Copy, Debug)]
pub struct StackMark {
    top: usize,
}

impl<H: Share> Stack<H> {
    /// This moment, to [`rewind`](Stack::rewind) to. O(1).
    #[must_use]
    pub fn mark(&self) -> StackMark {
        StackMark {
            top: self.top.get(),
        }
    }

    /// Takes everything back that was handed out since a mark. O(pieces).
    ///
    /// # Errors
    ///
    /// [`Misuse::StaleMark`] if the stack was lower since, unless a piece happens to end where the mark was
    /// made, if the piece then on top was resized, if the mark is another stack's that is still there, or if pooling is
    /// switched off.
    pub fn rewind(&mut self, mark: StackMark) -> Result<(), Error> {
        // SAFETY: borrowed exclusively, so nobody borrows what was handed out.
        unsafe { self.rewind_shared(mark) }
    }

    /// As [`rewind`](Stack::rewind), while what was handed out before the mark is still in use.
    ///
    /// # Errors
    ///
    /// As for [`rewind`](Stack::rewind).
    ///
    /// # Safety
    ///
    /// Nobody uses what was handed out since the mark.
    pub unsafe fn rewind_shared(&self, mark: StackMark) -> Result<(), Error> {
        let reached = (self.region.base()..=self.top.get()).contains(&mark.top);
        if self.pool.passes() || !reached || self.is_within(mark.top) {
            return Err(Misuse::StaleMark.into());
        }
        while self.top.get() > mark.top {
            self.pop();
        }
        Ok(())
    }

    /// Whether a piece has bytes on both sides of an address up to the top.
    fn is_within(&self, address: usize) -> bool {
        if address == self.top.get() {
            return false;
        }
        let (at, top) = (self.granule(address), self.granule(self.top.get()));
        let begin = self.begins.last_upto(at);
        begin.is_some_and(|begin| self.starts.next(begin, top, true) < at)
    }
}
