//! The open group, from which slots are taken, and the list of groups with free slots that it leads.
//!
//! What its first word says stands in the set, too: a word that is read where it was written just now takes less time
//! than one whose address is to be found out, and whatever is written to the group, no slot of it that is in use is
//! handed out.
//!
//! # Safety
//!
//! As for the set: the group lies in a chunk of the set's.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::pools::slots::{CLOSED, EMPTY, Group, Slots, address_of};

impl Slots {
    /// Address of the first group in the list, or 0.
    pub(super) fn first(&self) -> usize {
        self.open.get().map_or(0, |first| first.addr().get())
    }

    /// Takes the lowest free slot of the group opened last.
    #[inline]
    pub(super) fn take_open(&self) -> Option<NonNull<u8>> {
        let free = self.free.get();
        if free == 0 {
            return None;
        }
        let slot = self.from.get() + free.trailing_zeros() as usize * self.shape.size();
        // SAFETY: as of any group (`group`).
        let group = unsafe { self.open.get()?.as_ref() };
        self.set_open(group, free & (free - 1));
        if self.tally.leave() {
            self.note();
        }
        Some(self.range.get().pointer(slot))
    }

    /// Notes which slots of the open group are free.
    #[inline]
    pub(super) fn set_open(&self, group: &Group, free: u64) {
        self.free.set(free);
        group.set(free);
    }

    /// Takes a slot of another group after [`take`](Slots::take) found none. `None` if all are in use.
    ///
    /// # Errors
    ///
    /// The address of a group whose words are damaged.
    #[cold]
    pub(crate) fn take_next(&self) -> Result<Option<NonNull<u8>>, usize> {
        let at = self.first();
        if at == 0 {
            return Ok(None);
        }
        let group = self.group(at);
        let next = self.next(group).get() as usize;
        if group.get() != 0 || (next != 0 && !self.is_group(next)) {
            return Err(at);
        }
        if next == 0 {
            return Ok(None);
        }
        self.open(self.group(next));
        self.take_open().ok_or(next).map(Some)
    }

    /// Takes slots from no group from now on.
    pub(super) fn close(&self) {
        self.open.set(None);
        self.free.set(0);
    }

    /// Takes slots from this group from now on.
    pub(super) fn open(&self, group: &Group) {
        let at = address_of(group);
        let base = self.base_of(at);
        let slot = self.shape.slot_of(base, at).unwrap_or(0);
        let chunk = self.range.get();
        self.open.set(Some(chunk.pointer(at).cast()));
        self.free.set(group.get() & self.shape.bits_of(slot));
        self.from
            .set(base + self.shape.first + slot * self.shape.size());
    }

    /// Whether the first word of a group of this set is at an address.
    pub(super) fn is_group(&self, at: usize) -> bool {
        if !self.range.get().holds(at) {
            return false;
        }
        let base = self.base_of(at);
        self.shape.slot_of(base, at).is_some() && self.is_sealed(base)
    }

    /// Opens the hand if the watermark is far, and a group if it had no free slot before. Answers true, as its
    /// caller does.
    #[inline(never)]
    pub(super) fn reopen(&self, group: &Group, before: u64) -> bool {
        if self.hand.get() == CLOSED && !self.tally.is_high() {
            self.hand.set(EMPTY);
        }
        let first = self.first();
        if before != 0 || first == address_of(group) {
            return true;
        }
        let mut rest = first as u64;
        if first != 0 {
            let first = self.group(first);
            if first.get() == 0 {
                rest = self.next(first).get();
            }
        }
        self.next(group).set(rest);
        self.open(group);
        true
    }
}
