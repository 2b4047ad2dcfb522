//! Equal slots in one chunk or several.
//!
//! The slots hold nothing but what users put there, and are not touched before. Of the two words in front of
//! them for every group of 64 one says which are free, and one links groups with free slots, the one opened
//! last first. Slots are taken from that one only, and it leaves the list when it is found full: so the first
//! in the list may be full and no other. A chunk's seal tells whether there is a chunk where one would be.
//!
//! # Safety
//!
//! The words in front of the slots are read and written as cells, and a word at a place where a seal would be.
//! A slot is handed out only if it lies in a chunk's slots, whatever the words say.
#![allow(unsafe_code)]

mod upkeep;

use core::cell::Cell;
use core::ptr::NonNull;

use crate::ground::sys;
use crate::pools::chunk::{Chunk, Chunks, NOTE};
use crate::pools::pool::Pool;
use crate::pools::shape::{GROUP, Shape, bit};
use crate::sharing::share::Share;
use crate::words::error::Error;

/// Equal slots, of which some are in use.
#[derive(Debug)]
pub(crate) struct Slots {
    shape: Shape,
    /// Address of the first group in the list of those with free slots, or 0.
    open: Cell<usize>,
    /// Where the slots of that group start, and those of its chunk end.
    from: Cell<usize>,
    to: Cell<usize>,
    /// Where the slots of the only chunk start, and how many they are; none if there may be several chunks.
    only: Cell<usize>,
    alone: Cell<usize>,
    /// From the lowest chunk to the end of the highest.
    range: Cell<Chunk>,
    key: usize,
    chunks: Chunks,
}

/// Which slots of a group are free, and the next group that has any.
#[derive(Clone, Copy)]
struct Group<'a> {
    /// Bit n: slot n of the group is free.
    free: &'a Cell<u64>,
    /// Address of the next group in the list, or 0.
    next: &'a Cell<u64>,
}

impl Slots {
    /// Slots of this shape, of which there are none yet.
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            open: Cell::new(0),
            from: Cell::new(0),
            to: Cell::new(0),
            only: Cell::new(0),
            alone: Cell::new(0),
            range: Cell::new(Chunk::NOWHERE),
            key: sys::noise() as usize,
            chunks: Chunks::new(),
        }
    }

    #[inline]
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Takes a chunk, if one has any slots. There is no free slot yet.
    pub(crate) fn lengthen<H: Share>(&self, pool: &Pool<H>) -> Result<(), Error> {
        if self.shape.each == 0 {
            return Ok(());
        }
        let chunk = pool.take_chunk(self.shape.chunk)?;
        let base = chunk.base();
        let words = [(self.key ^ base) as u64, 0];
        // SAFETY: in front of the groups of a chunk that is new.
        unsafe { chunk.pointer(base + NOTE).cast().write(words) };
        for at in self.shape.groups_of(base) {
            // SAFETY: in front of the slots of a chunk that is new.
            unsafe { chunk.pointer(at).cast().write([0_u64; 2]) };
        }
        self.chunks.push(chunk);
        self.range.set(self.range.get().reach(chunk));
        if self.shape.mask == 0 {
            self.only.set(base + self.shape.first);
            self.alone.set(self.shape.each);
        }
        self.open.set(0);
        self.free_all(base);
        self.link(base);
        Ok(())
    }

    /// Makes all slots of a chunk free.
    fn free_all(&self, base: usize) {
        for (number, at) in self.shape.groups_of(base).enumerate() {
            let bits = self.shape.bits_of(number * GROUP);
            self.group(at).free.set(bits);
        }
    }

    /// Puts a chunk's groups that have free slots in front of the others.
    fn link(&self, base: usize) {
        for at in self.shape.groups_of(base).rev() {
            let group = self.group(at);
            if group.free.get() != 0 {
                group.next.set(self.open.get() as u64);
                self.open(at);
            }
        }
    }

    /// Whether the chunk that would be at this address is there.
    #[inline]
    fn is_sealed(&self, base: usize) -> bool {
        // SAFETY: the address is a chunk's, or as far from the lowest one as a chunk could be and below the
        // end of the highest. Chunks start with a note and a seal, and what lies between two blocks of a row
        // is the row.
        let seal = unsafe { self.range.get().peek(base + NOTE) };
        seal as usize == self.key ^ base
    }

    /// A group of this set's, by the address of its words.
    #[inline]
    fn group(&self, at: usize) -> Group<'_> {
        // SAFETY: the chunk is this set's and stays while that is borrowed, unless it goes by `trim`, which
        // looks at none of its groups after that; the words were written when it was taken, and lie in front
        // of its slots.
        let [free, next] = unsafe { self.range.get().books(at) };
        Group { free, next }
    }

    /// Where the chunk that holds an address would start.
    #[inline]
    fn base_of(&self, address: usize) -> usize {
        let lowest = self.range.get().base();
        lowest + (address.wrapping_sub(lowest) & self.shape.mask)
    }

    /// The chunk and number of the slot that starts at an address.
    #[inline]
    fn find(&self, address: usize) -> Option<(usize, usize)> {
        let slot = self
            .shape
            .stride
            .index(address.wrapping_sub(self.only.get()));
        if slot < self.alone.get() {
            return Some((self.only.get() - self.shape.first, slot));
        }
        self.find_among(address)
    }

    #[inline]
    fn find_among(&self, address: usize) -> Option<(usize, usize)> {
        if !self.range.get().holds(address) {
            return None;
        }
        let base = self.base_of(address);
        let slot = self
            .shape
            .stride
            .index(address.wrapping_sub(base + self.shape.first));
        (slot < self.shape.each && self.is_sealed(base)).then_some((base, slot))
    }

    /// Takes the lowest free slot of the group opened last. `None` if [`take_next`](Slots::take_next) is to be
    /// asked.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<u8>> {
        let at = self.open.get();
        if at == 0 {
            return None;
        }
        let free = self.group(at).free;
        let slots = free.get();
        let slot = self.from.get() + slots.trailing_zeros() as usize * self.shape.size();
        if slots == 0 || slot >= self.to.get() {
            return None;
        }
        free.set(slots & (slots - 1));
        Some(self.range.get().pointer(slot))
    }

    /// Takes a slot of another group after [`take`](Slots::take) found none. `None` if all are in use.
    ///
    /// # Errors
    ///
    /// The address of a group whose words are damaged.
    #[cold]
    pub(crate) fn take_next(&self) -> Result<Option<NonNull<u8>>, usize> {
        let at = self.open.get();
        if at == 0 {
            return Ok(None);
        }
        let group = self.group(at);
        let next = group.next.get() as usize;
        if group.free.get() != 0 || (next != 0 && !self.is_group(next)) {
            return Err(at);
        }
        if next == 0 {
            return Ok(None);
        }
        self.open(next);
        self.take().ok_or(next).map(Some)
    }

    /// Takes slots from this group from now on.
    fn open(&self, at: usize) {
        let base = self.base_of(at);
        let slot = self.shape.slot_of(base, at).unwrap_or(0);
        let from = base + self.shape.first + slot * self.shape.size();
        self.open_in(base, at, from);
    }

    #[inline]
    fn open_in(&self, base: usize, at: usize, from: usize) {
        self.open.set(at);
        self.from.set(from);
        self.to.set(base + self.shape.end);
    }

    /// Whether the words of a group of this set are at an address.
    fn is_group(&self, at: usize) -> bool {
        if !self.range.get().holds(at) {
            return false;
        }
        let base = self.base_of(at);
        self.shape.slot_of(base, at).is_some() && self.is_sealed(base)
    }

    /// Takes a slot back. False if there is nothing to take back: [`misuse`](Slots::misuse) says why.
    #[inline]
    pub(crate) fn give(&self, ptr: NonNull<u8>) -> bool {
        let Some((base, slot)) = self.find(ptr.addr().get()) else {
            return false;
        };
        let at = self.shape.group_of(base, slot);
        let group = self.group(at);
        let before = group.free.get();
        let after = before | bit(slot);
        if after == before {
            return false;
        }
        group.free.set(after);
        if before == 0 {
            self.reopen(
                base,
                at,
                ptr.addr().get() - slot % GROUP * self.shape.size(),
            );
        }
        true
    }

    /// Puts a group in front of the others with free slots.
    #[inline]
    fn reopen(&self, base: usize, at: usize, from: usize) {
        let first = self.open.get();
        if first == at {
            return;
        }
        let mut rest = first as u64;
        if first != 0 {
            let first = self.group(first);
            if first.free.get() == 0 {
                rest = first.next.get();
            }
        }
        self.group(at).next.set(rest);
        self.open_in(base, at, from);
    }
}
