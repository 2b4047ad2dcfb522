//! Equal slots in one chunk or several.
//!
//! The slots hold nothing but what users put there, and are not touched before. Of the two words in front of
//! them for every group of 64 the first says which are free, and the second links groups with free slots, the one
//! opened last first. Slots are taken from that one only, and it leaves the list when it is found full: so the first
//! in the list may be full and no other. A chunk's seal tells whether there is a chunk where one would be.
//!
//! One slot given back is kept in the *hand*, out of its group as one in use is, and is the next that is taken:
//! so taking and giving back by turns writes to no group.
//!
//! # Safety
//!
//! The words in front of the slots are read and written as cells, and a word at a place where a seal would be.
//! A slot is handed out only if it lies in a chunk's slots, whatever the words say.
#![allow(unsafe_code)]

mod open;
mod tally;
mod upkeep;

use core::cell::Cell;
use core::ptr::{self, NonNull};

use crate::ground::sys;
use crate::pools::chunk::{Chunk, Chunks, NOTE};
use crate::pools::pool::Pool;
use crate::pools::shape::{GROUP, Shape, bit};
use crate::sharing::share::Share;
use crate::words::error::Error;
use crate::words::usage::Usage;

pub(crate) use crate::pools::slots::tally::Tally;

/// Equal slots, of which some are in use.
#[derive(Debug)]
pub(crate) struct Slots {
    shape: Shape,
    /// Where the slots of the only chunk start, and how many they are; none if there may be several chunks.
    only: Cell<usize>,
    alone: Cell<usize>,
    /// The first group of the only chunk.
    groups: Cell<NonNull<Group>>,
    /// Address of the slot in the hand, or [`EMPTY`] or [`CLOSED`].
    hand: Cell<usize>,
    tally: Tally,
    /// The first group in the list of those with free slots.
    open: Cell<Option<NonNull<Group>>>,
    /// What that group's first word says, of slots that there are. It stands here too, for a word that is read
    /// where it was written just now takes less time than one whose address is to be found out.
    free: Cell<u64>,
    /// Where the slots of that group start.
    from: Cell<usize>,
    /// From the lowest chunk to the end of the highest.
    range: Cell<Chunk>,
    key: usize,
    chunks: Chunks,
}

// SAFETY: the groups lie in chunks, which are the pool's and go where it goes.
unsafe impl Send for Slots {}

/// No slot is in the hand: the next one given back goes there.
const EMPTY: usize = 0;

/// No slot is in the hand, nor comes there while so many are in use that the watermark may be reached by the next
/// one that is taken.
const CLOSED: usize = 1;

/// The first word of a group. Bit n: slot n of the group is free.
type Group = Cell<u64>;

/// Address of a group's first word.
fn address_of(group: &Group) -> usize {
    ptr::from_ref(group).addr()
}

impl Slots {
    /// Slots of this shape, of which there are none yet.
    pub(crate) fn new(shape: Shape, tally: Tally) -> Self {
        Self {
            shape,
            only: Cell::new(0),
            alone: Cell::new(0),
            groups: Cell::new(NonNull::dangling()),
            hand: Cell::new(EMPTY),
            tally,
            open: Cell::new(None),
            free: Cell::new(0),
            from: Cell::new(0),
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
            for at in [at, self.shape.second(at)] {
                // SAFETY: in front of the slots of a chunk that is new.
                unsafe { chunk.pointer(at).cast().write(0_u64) };
            }
        }
        self.chunks.push(chunk);
        self.range.set(self.range.get().reach(chunk));
        if self.shape.mask == 0 {
            self.only.set(base + self.shape.first);
            self.alone.set(self.shape.each);
            let first = self.shape.group_of(base, 0);
            self.groups.set(chunk.pointer(first).cast());
        }
        self.close();
        self.free_all(base);
        self.link(base);
        Ok(())
    }

    /// Makes all slots of a chunk free.
    fn free_all(&self, base: usize) {
        for (number, at) in self.shape.groups_of(base).enumerate() {
            let bits = self.shape.bits_of(number * GROUP);
            self.group(at).set(bits);
        }
    }

    /// Puts a chunk's groups that have free slots in front of the others.
    fn link(&self, base: usize) {
        for at in self.shape.groups_of(base).rev() {
            let group = self.group(at);
            if group.get() != 0 {
                self.next(group).set(self.first() as u64);
                self.open(group);
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

    /// A group of this set's, by the address of its first word.
    #[inline]
    fn group(&self, at: usize) -> &Group {
        // SAFETY: the chunk is this set's and stays while that is borrowed, unless it goes by `trim`, which
        // looks at none of its groups after that; the word was written when it was taken, and lies in front
        // of its slots.
        let [group] = unsafe { self.range.get().books(at) };
        group
    }

    /// The second word of a group: the address of the next group in the list, or 0.
    fn next(&self, group: &Group) -> &Cell<u64> {
        self.group(self.shape.second(address_of(group)))
    }

    /// Where the chunk that holds an address would start.
    #[inline]
    fn base_of(&self, address: usize) -> usize {
        let lowest = self.range.get().base();
        lowest + (address.wrapping_sub(lowest) & self.shape.mask)
    }

    /// The slot that starts at an address: its group and its number.
    fn find(&self, address: usize) -> Option<(&Group, usize)> {
        let slot = self.slot_alone(address);
        if slot < self.alone.get() {
            return Some((self.group_alone(slot), slot));
        }
        self.find_among(address)
    }

    /// The number of the slot that starts at an address of the only chunk; too large a number where none does.
    #[inline]
    fn slot_alone(&self, address: usize) -> usize {
        let offset = address.wrapping_sub(self.only.get());
        self.shape.stride.index(offset)
    }

    /// The group of a slot of the only chunk.
    #[inline]
    fn group_alone(&self, slot: usize) -> &Group {
        debug_assert!(slot < self.alone.get(), "found in the only chunk");
        // SAFETY: the chunk has a group for each 64 of its slots.
        let group = unsafe { self.groups.get().add(slot / GROUP) };
        // SAFETY: as of any group (`group`).
        unsafe { group.as_ref() }
    }

    /// As [`find`](Slots::find), where there may be several chunks.
    #[inline]
    fn find_among(&self, address: usize) -> Option<(&Group, usize)> {
        if !self.range.get().holds(address) {
            return None;
        }
        let base = self.base_of(address);
        let slot = address.wrapping_sub(base + self.shape.first);
        let slot = self.shape.stride.index(slot);
        if slot >= self.shape.each || !self.is_sealed(base) {
            return None;
        }
        Some((self.group(self.shape.group_of(base, slot)), slot))
    }

    /// Takes the slot in the hand, or the lowest free one of the group opened last. `None` if
    /// [`take_next`](Slots::take_next) is to be asked.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<u8>> {
        let hand = self.hand.get();
        if hand > CLOSED {
            self.hand.set(EMPTY);
            self.tally.take();
            return Some(self.range.get().pointer(hand));
        }
        self.take_open()
    }

    /// Notes that so many slots are in use.
    #[inline(never)]
    fn note(&self) {
        if self.tally.is_high() {
            self.hand.set(CLOSED);
        }
        self.tally.note();
    }

    /// Takes a slot back. False if there is nothing to take back: [`misuse`](Slots::misuse) says why.
    #[inline]
    pub(crate) fn give(&self, ptr: NonNull<u8>) -> bool {
        let address = ptr.addr().get();
        let slot = self.slot_alone(address);
        if slot >= self.alone.get() {
            return self.give_among(address);
        }
        self.give_found(address, self.group_alone(slot), slot)
    }

    /// As [`give`](Slots::give), where there may be several chunks.
    #[inline(never)]
    fn give_among(&self, address: usize) -> bool {
        match self.find_among(address) {
            Some((group, slot)) => self.give_found(address, group, slot),
            None => false,
        }
    }

    #[inline]
    fn give_found(&self, address: usize, group: &Group, slot: usize) -> bool {
        if group.get() & bit(slot) != 0 {
            return false;
        }
        let hand = self.hand.get();
        if hand == EMPTY {
            self.hand.set(address);
            return true;
        }
        if address_of(group) == self.first() && hand != address && hand != CLOSED {
            self.set_open(group, self.free.get() | bit(slot));
            self.tally.come_back();
            return true;
        }
        self.put_back(address, group, slot)
    }

    /// Puts a slot back into its group, unless it is in the hand.
    // Out of line, so that what is in line for the hand remains small enough to be put in line by the compiler.
    #[cold]
    #[inline(never)]
    fn put_back(&self, address: usize, group: &Group, slot: usize) -> bool {
        let hand = self.hand.get();
        if hand == address {
            return false;
        }
        let is_open = address_of(group) == self.first();
        let before = if is_open { &self.free } else { group }.get();
        let free = before | bit(slot);
        if is_open {
            self.set_open(group, free);
        } else {
            group.set(free);
        }
        self.tally.come_back();
        if before != 0 && hand != CLOSED {
            return true;
        }
        self.reopen(group, before)
    }

    /// How many slots are in use.
    pub(crate) fn used(&self) -> usize {
        let in_hand = usize::from(self.hand.get() > CLOSED);
        self.tally.out().saturating_sub(in_hand)
    }

    /// How many slots there are.
    pub(crate) fn total(&self) -> usize {
        self.tally.total()
    }

    /// Counts a request refused.
    pub(crate) fn fail(&self) {
        self.tally.fail();
    }

    pub(crate) fn usage(&self) -> Usage {
        self.tally.usage(self.used())
    }
}
