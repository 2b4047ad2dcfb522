//! Pieces and blocks made larger or smaller, in place where that can be.
//!
//! # Safety
//!
//! As for the kind.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::pools::chunk::Chunk;
use crate::pools::kind::{self, Kind};
use crate::pools::size_classes::class::Class;
use crate::pools::size_classes::{SizeClasses, log, map};
use crate::sharing::share::Share;
use crate::words::error::Error;

impl<H: Share> SizeClasses<H> {
    /// Makes a piece larger or smaller.
    ///
    /// # Safety
    ///
    /// As for [`Kind::grow`].
    pub(super) unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let at = ptr.addr().get();
        let was = kind::at_least_one(old);
        if let (Some((place, chunk)), Some(class)) = (self.shelf.holding(at), Class::of(was)) {
            let next = Class::of(kind::at_least_one(new));
            if !self.is_last(chunk, ptr, class) {
                let top = self.survey(place, chunk);
                let top = top.map_err(|at| self.pool.damage(at))?;
                self.held(chunk, at, top, class)
                    .map_err(|found| self.misuse(found, at, old))?;
            }
            let fits = next.is_some_and(|next| {
                (next.bytes() == class.bytes() && at.is_multiple_of(next.align()))
                    || self.move_end(chunk, ptr, class, next)
            });
            if fits {
                return Ok(NonNull::slice_from_raw_parts(ptr, new.size()));
            }
            // SAFETY: the caller's promise.
            return unsafe { kind::relocate(self, ptr, old, new) };
        }
        if self.pool.passes() {
            if new.size() >= old.size() {
                // SAFETY: the caller's promise.
                return unsafe { self.pool.grow(ptr, old, new) };
            }
            // SAFETY: the caller's promise.
            return unsafe { self.pool.shrink(ptr, old, new) };
        }
        self.refuse_chunked(ptr, was)?;
        let before = self.used();
        let is = kind::at_least_one(new);
        // SAFETY: the caller's promise; the heap verifies it, and it is none of the chunks.
        let resized = unsafe { self.pool.resize_chunk(ptr, was, is) };
        let block = resized.inspect_err(|error| {
            if matches!(error, Error::OutOfMemory(_)) {
                self.count(&self.failures);
            }
        })?;
        self.fall(was.size());
        self.rise(is.size());
        self.ring(before);
        Ok(NonNull::slice_from_raw_parts(block.start(), new.size()))
    }

    /// Makes the last piece, which is in use, larger or smaller by moving the cursor, if there is room.
    fn move_end(&self, chunk: Chunk, piece: NonNull<u8>, old: Class, new: Class) -> bool {
        let at = piece.addr().get();
        let (cursor, last) = (self.cursor.get(), self.limit.get());
        let is_last = at + old.bytes() == cursor.addr().get();
        let room = last.addr().get() - at >= new.bytes() + log::ENTRIES;
        // Where somebody is to be called, all that comes into use goes another way.
        if !is_last || !room || !at.is_multiple_of(new.align()) || self.watched {
            return false;
        }
        if self.mapped.get() > at {
            // Whatever comes to lie there, nothing that the map tells of may start in the midst of it.
            map::set(chunk, at, map::NOTHING);
            self.mapped.set(at);
            self.read.set(last.addr().get() + 1);
        }
        self.fall(0);
        // SAFETY: within the chunk, as just compared.
        self.cursor.set(unsafe { piece.add(new.bytes()) });
        // SAFETY: behind the last piece's entry.
        let before = unsafe { last.add(1) };
        // SAFETY: the entry that it writes over is the last piece's.
        unsafe { log::write(before, log::entry(new)) };
        self.look_ahead();
        true
    }
}
