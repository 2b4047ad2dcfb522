//! Slots looked at and looked after: misuse named, chunks given back, all checked.
//!
//! # Safety
//!
//! A chunk is given back only when none of its slots is in use, and its seal broken before.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::pools::chunk::{Chunk, NOTE};
use crate::pools::pool::Pool;
use crate::pools::shape::{GROUP, bit};
use crate::pools::slots::{CLOSED, EMPTY, Group, Slots};
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse};

impl Slots {
    /// The slot that starts at an address, if it is in use and as large and aligned as the layout. The answer reaches all
    /// of it, where the caller's pointer may reach no further than his value.
    ///
    /// # Errors
    ///
    /// As [`misuse`](Slots::misuse) says.
    pub(crate) fn in_use(&self, ptr: NonNull<u8>, layout: Layout) -> Result<NonNull<u8>, Misuse> {
        let address = ptr.addr().get();
        let out = |(group, slot): (&Group, usize)| group.get() & bit(slot) == 0;
        let in_use = self.find(address).is_some_and(out) && self.hand.get() != address;
        if in_use && self.shape.fits(layout) {
            return Ok(self.range.get().pointer(address));
        }
        Err(self.misuse(ptr, layout))
    }

    /// Why a slot cannot be taken back.
    #[cold]
    pub(crate) fn misuse(&self, ptr: NonNull<u8>, layout: Layout) -> Misuse {
        let address = ptr.addr().get();
        if self.find(address).is_none() {
            return match self.spans(address) {
                true => Misuse::NotABlock { address },
                false => Misuse::NotFromHere { address },
            };
        }
        let (claimed, usable) = (layout.size(), self.shape.size());
        if claimed > usable {
            return Misuse::SizeMismatch {
                address,
                claimed,
                usable,
            };
        }
        if layout.align() > self.shape.align {
            let claimed = layout.align();
            return Misuse::AlignMismatch { address, claimed };
        }
        Misuse::DoubleFree { address }
    }

    /// The chunk that holds an address.
    fn chunk_of(&self, address: usize) -> Option<usize> {
        if !self.range.get().holds(address) {
            return None;
        }
        let base = self.base_of(address);
        (address - base < self.shape.chunk.size() && self.is_sealed(base)).then_some(base)
    }

    /// Whether an address lies in a chunk.
    pub(crate) fn spans(&self, address: usize) -> bool {
        self.chunk_of(address).is_some()
    }

    /// Whether an address lies in a slot.
    pub(crate) fn holds(&self, address: usize) -> bool {
        let from = self.chunk_of(address);
        let from = from.map(|base| (address - base).wrapping_sub(self.shape.first));
        from.is_some_and(|from| from / self.shape.size() < self.shape.each)
    }

    /// Takes all slots back. Nobody uses one any more.
    ///
    /// # Errors
    ///
    /// The address of a chunk whose note or seal is damaged.
    pub(crate) fn reset(&mut self) -> Result<(), usize> {
        self.sealed()?;
        for chunk in self.chunks.iter() {
            self.free_all(chunk?.base());
        }
        self.hand.set(EMPTY);
        self.tally.reset();
        self.relink()
    }

    /// Where the lowest chunk starts.
    pub(crate) fn base(&self) -> usize {
        self.range.get().base()
    }

    /// Whether all chunks have sound notes and seals.
    ///
    /// # Errors
    ///
    /// The address of a chunk that has not.
    pub(crate) fn sealed(&self) -> Result<(), usize> {
        self.chunks.iter().try_for_each(|chunk| {
            let base = chunk?.base();
            self.is_sealed(base).then_some(()).ok_or(base)
        })
    }

    /// Looks anew where chunks are, and which groups have free slots.
    fn relink(&self) -> Result<(), usize> {
        let mut range = Chunk::NOWHERE;
        self.close();
        for chunk in self.chunks.iter() {
            let chunk = chunk?;
            range = range.reach(chunk);
            self.link(chunk.base());
        }
        self.range.set(range);
        Ok(())
    }

    /// Of each chunk, the newest first: where its slots start, and whether each is in use. Ends where a note is
    /// damaged.
    pub(crate) fn states(&self) -> impl Iterator<Item = (usize, impl Iterator<Item = bool>)> {
        self.chunks.iter().map_while(Result::ok).map(move |chunk| {
            let base = chunk.base();
            let start = base + self.shape.first;
            let in_use = move |slot| {
                let group = self.group(self.shape.group_of(base, slot));
                let address = start + slot * self.shape.size();
                group.get() & bit(slot) == 0 && self.hand.get() != address
            };
            (start, (0..self.shape.each).map(in_use))
        })
    }

    /// How many slots of a chunk are free. `Err` if the words of a group, at this address, say more.
    fn free_in(&self, base: usize) -> Result<usize, usize> {
        let mut count = 0;
        for (number, at) in self.shape.groups_of(base).enumerate() {
            let free = self.group(at).get();
            if free & !self.shape.bits_of(number * GROUP) != 0 {
                return Err(at);
            }
            count += free.count_ones() as usize;
        }
        Ok(count)
    }

    /// Notes how many slots there are now.
    pub(crate) fn set_total(&self, total: usize) {
        self.empty_hand();
        self.tally.set_total(total);
        self.hand
            .set(if self.tally.is_high() { CLOSED } else { EMPTY });
    }

    /// Puts the slot in the hand back into its group.
    fn empty_hand(&self) {
        let hand = self.hand.get();
        if hand > CLOSED {
            self.hand.set(EMPTY);
            if let Some((group, slot)) = self.find(hand) {
                self.put_back(hand, group, slot);
            }
        }
    }

    /// Gives chunks without a slot in use back to the heap, and answers how many bytes they had.
    pub(crate) fn trim<H: Share>(&self, pool: &Pool<H>) -> Result<usize, Error> {
        self.sealed().map_err(|at| pool.damage(at))?;
        self.empty_hand();
        let mut bytes = 0;
        let mut given = Ok(());
        let keep = |chunk: Chunk| {
            let base = chunk.base();
            if given.is_err() || self.free_in(base) != Ok(self.shape.each) {
                return true;
            }
            let [seal] = {
                // SAFETY: the seal of a chunk of this set's, which is borrowed.
                unsafe { chunk.books(base + NOTE) }
            };
            // Whoever has the memory next must not be taken for a chunk.
            seal.set(!seal.get());
            // SAFETY: no slot of it is in use, and the set forgets it.
            given = unsafe { pool.put_chunk(chunk, self.shape.chunk) };
            match given {
                Ok(()) => bytes += chunk.bytes(),
                Err(_) => seal.set(!seal.get()),
            }
            given.is_err()
        };
        let whole = self.chunks.retain(keep).and_then(|()| self.relink());
        whole.map_err(|at| pool.damage(at))?;
        given.map(|()| bytes)
    }

    /// Checks all chunks, and answers how many bytes they have.
    ///
    /// # Errors
    ///
    /// The address of a chunk, or of a group's words, that is damaged.
    pub(crate) fn check(&self) -> Result<usize, usize> {
        self.sealed()?;
        let (mut range, mut used, mut bytes) = (Chunk::NOWHERE, 0, 0);
        let mut open = 0;
        for chunk in self.chunks.iter() {
            let chunk = chunk?;
            range = range.reach(chunk);
            bytes += chunk.bytes();
            used += self.shape.each - self.free_in(chunk.base())?;
            let groups = self.shape.groups_of(chunk.base());
            open += groups.filter(|at| self.group(*at).get() != 0).count();
        }
        if range != self.range.get() {
            return Err(range.base());
        }
        self.check_list(open)?;
        let hand = self.hand.get();
        if hand > CLOSED {
            let out = |(group, slot): &(&Group, usize)| group.get() & bit(*slot) == 0;
            self.find(hand).filter(out).ok_or(hand)?;
            used -= 1;
        }
        if used != self.used() {
            return Err(self.base());
        }
        Ok(bytes)
    }

    /// Checks that so many groups are linked, which all have free slots but for the first.
    fn check_list(&self, open: usize) -> Result<(), usize> {
        let first = self.first();
        if first != 0 && self.group(first).get() != self.free.get() {
            return Err(first);
        }
        let (mut at, mut left) = (first, open);
        while at != 0 {
            if !self.is_group(at) {
                return Err(at);
            }
            let group = self.group(at);
            let next = self.next(group).get() as usize;
            match group.get() {
                0 if at == first && next != first => {}
                0 => return Err(at),
                _ => left = left.checked_sub(1).ok_or(at)?,
            }
            at = next;
        }
        if left > 0 { Err(first) } else { Ok(()) }
    }
}
