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
                return Ok(chunk.piece(at, new.size()));
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
        let block = resized.map_err(|error| match error {
            Error::OutOfMemory(_) => self.refused(new, error),
            other => other,
        })?;
        self.fall(was.size());
        self.rise(is.size());
        self.ring(before);
        Ok(NonNull::slice_from_raw_parts(block.start(), new.size()))
    }

    /// Makes the last piece, which is in use, larger or smaller by moving the cursor, if there is room.
    fn move_end(&self, chunk: Chunk, piece: NonNull<u8>, old: Class, new: Class) -> bool {
        let at = piece.addr().get();
        let is_last = at + old.bytes() == self.cursor.get().addr().get();
        // Where somebody is to be called, all that comes into use goes another way.
        if !is_last || !at.is_multiple_of(new.align()) || self.watched {
            return false;
        }
        let last = self.limit.get();
        // SAFETY: of the open chunk, the last entry or where the log begins, which is none.
        if !unsafe { log::is_of(last, old) } {
            return false;
        }
        if !self.has_room(at + new.bytes()) {
            return false;
        }
        // SAFETY: behind the last entry, which is written anew.
        let before = unsafe { last.add(1) };
        // SAFETY: there is room for the piece.
        self.limit
            .set(unsafe { log::write(before, log::entry(new)) });
        if self.mapped.get() > at {
            // Whatever comes to lie there, nothing that the map tells of may start in the midst of it.
            map::set(chunk, at, map::NOTHING);
            self.mapped.set(at);
            self.read.set(before.addr().get());
        }
        self.fall(0);
        self.cursor.set(chunk.pointer(at + new.bytes()));
        true
    }
}
