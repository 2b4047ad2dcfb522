//! A pool's first request, which takes its first chunk: all that one does which serves a single request and goes.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::pools::size_classes::SizeClasses;
use crate::pools::size_classes::class::{Class, Small};
use crate::pools::size_classes::supply::{MOST_AT_ONCE, WORTH};
use crate::sharing::share::Share;
use crate::words::error::Error;
use crate::words::size::{HEADER, UNIT, align_down};

impl<H: Share> SizeClasses<H> {
    /// A small piece of the first chunk, which is taken for it. A pool for one request comes here once, so all that
    /// is usually done is in place; what is bounded or refused is weighed by `lengthen`.
    #[inline(always)]
    pub(super) fn allocate_first(
        &self,
        asked: Layout,
        small: Small,
    ) -> Result<NonNull<[u8]>, Error> {
        let ample = self.grain.max(WORTH * small.bytes);
        let bytes = align_down(ample - HEADER, UNIT);
        let as_before = if self.learns { MOST_AT_ONCE } else { 0 };
        if let Ok(wanted) = Layout::from_size_align(bytes, UNIT)
            && bytes.max(as_before) <= self.pool.room()
        {
            match self.pool.take_chunk_at_once(wanted, as_before) {
                Ok(chunk) => {
                    if let Some(piece) = self.open_first(chunk, small) {
                        return Ok(NonNull::slice_from_raw_parts(piece, asked.size()));
                    }
                    self.shelf.push(chunk);
                    self.open(0, chunk);
                }
                Err(error) => return self.allocate_first_by(asked, bytes, as_before, error),
            }
        }
        self.allocate_beyond(asked)
    }

    /// As [`allocate_first`](Self::allocate_first), where so many bytes were refused by an error.
    #[cold]
    #[inline(never)]
    fn allocate_first_by(
        &self,
        asked: Layout,
        bytes: usize,
        as_before: usize,
        error: Error,
    ) -> Result<NonNull<[u8]>, Error> {
        let class = Class::of(asked);
        let begun = match (error, class) {
            (Error::OutOfMemory(_), Some(class)) if as_before > 0 => {
                self.lengthen_by(0, class, bytes, 0)
            }
            (Error::OutOfMemory(_), Some(class)) => {
                self.lengthen_by(0, class, align_down(bytes / 2, UNIT), 0)
            }
            (other, _) => Err(other),
        };
        let served = match begun {
            Ok(true) => return self.allocate_beyond(asked),
            Ok(false) => self.take_block(asked),
            Err(error) => Err(error),
        };
        let piece = served.map_err(|error| self.refused(asked, error))?;
        Ok(NonNull::slice_from_raw_parts(piece, asked.size()))
    }

    /// The way of all other requests, out of the straight line.
    #[cold]
    #[inline(never)]
    fn allocate_beyond(&self, asked: Layout) -> Result<NonNull<[u8]>, Error> {
        self.allocate_farther(asked)
    }
}
