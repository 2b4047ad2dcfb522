//! What other threads give back of a span, and how its owner gets it.
//!
//! Anybody sets the slot's bit in the *returned* words, by an exchange, and puts the span on its stock's list of changed
//! ones. Who finds several bits there becomes the span's [`Giver`]: he turns bits over in words of his own and tells
//! nobody, and the owner looks at spans that have one.
//!
//! # Invariants
//!
//! - N2 A word of returned bits that is not 0 has its bit in `changed`, or somebody is about to set that; whoever
//!   makes `changed` other than 0 puts the span on its stock's list. Only what is taken off that list has its returned
//!   words collected. So no span is empty, and none goes, while somebody is still to put it on a list.
//! - N4 Where a span names its shelf no giver is there, and every slot whose giving back is over has its state say so: its
//!   owner need not look at bits. Whoever becomes the giver or sets a bit looks for the shelf afterwards, and takes it
//!   away; the owner, who puts it there, looks for a giver and for bits afterwards, and takes it away. Both do so in
//!   sequentially consistent order, so one of them finds what the other did: either way its owner does not find it
//!   named until the bit is collected and the giver gone. Who takes it away late, after all was collected, or from
//!   another span in the same place, costs that span's owner a look, who then names it again.
//! - N6 Who becomes the giver sets a returned bit afterwards. So the owner who collects that finds the giver, and has the
//!   span among those that are watched from then on: before that its giver's slots are not looked for, but then there is
//!   a returned bit that is to be collected.
//! - N7 Where `without_giver` is odd its owner counts, and does not find his shelf named: of each slot that is not in use any
//!   more, but for what the giver handed over, he changes the state, then the count, and then only the returned bit if there
//!   is one. The count only grows, whatever becomes of the span and of what is in its place. So the giver who reads an odd
//!   count, then that a slot is in use, and finds the same count later, may rely on it (W2).

use core::ptr;

use super::{GROUP, Slot, Span};
use crate::global::atomic::{Ordering, fence};
use crate::global::classes::Class;
use crate::global::local::Local;
use crate::global::shelf::Shelf;
use crate::global::states::IN_USE;
use crate::words::error::Misuse;

/// How many slots the owner gives back beside the giver before he asks whether he still gives, and parts from him: many
/// times what it takes to give one back. The model checker has no time, and is told when it was long.
const LONG: u16 = if cfg!(loom) { 2 } else { 1000 };

/// How many slots of a group a thread finds given back that becomes the giver by the next.
const MANY: u32 = if cfg!(loom) { 1 } else { 8 };

// Places of what is known: a span's address and a group are no other's sum.
const _: () = assert!(Class::numbered(0).starts().div_ceil(GROUP) <= size_of::<Span>());

impl Span {
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] if nobody holds the slot.
    pub(in crate::global) fn in_use(&self, slot: Slot) -> Result<(), Misuse> {
        match self.has_owner(slot) {
            true => Ok(()),
            false => Err(self.double_free(slot)),
        }
    }

    /// Whether somebody holds the slot.
    #[inline(always)]
    pub(super) fn has_owner(&self, slot: Slot) -> bool {
        let group = slot.group();
        let returned = self.returned_in(group).load(Ordering::Acquire) | self.giver.handed(group);
        // The state last: who finds that the slot's giving back was collected or seen finds what became of it.
        returned & slot.bit() == 0 && self.state_of(slot).load(Ordering::Relaxed) == IN_USE
    }

    /// Gives a slot back, by anybody, who may become the giver; whether the caller has to put the span on its stock's
    /// list of changed ones (N2).
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] if somebody did before.
    pub(in crate::global) fn give_from_afar(
        &self,
        slot: Slot,
        local: Option<&Local>,
    ) -> Result<bool, Misuse> {
        let group = slot.group();
        let returned = self.returned_in(group);
        // Ahead of the state, as in `has_owner`.
        let others = returned.load(Ordering::Acquire);
        if !self.giver.is_none() {
            self.in_use(slot)?;
        } else if others & slot.bit() != 0 || self.state_of(slot).load(Ordering::Relaxed) != IN_USE
        {
            return Err(self.double_free(slot));
        } else if let Some(local) = local
            && others.count_ones() >= MANY
        {
            // Ahead of the bit: who collects that finds the giver (N6).
            self.giver.claim(local);
        }
        let before = returned.fetch_or(slot.bit(), Ordering::SeqCst);
        if before & slot.bit() != 0 {
            return Err(self.double_free(slot));
        }
        self.unname();
        Ok(before == 0 && self.changed.fetch_or(1 << group, Ordering::AcqRel) == 0)
    }

    /// Gives a slot back, by the giver.
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] if somebody did before.
    #[inline(always)]
    pub(in crate::global) fn give_as_giver(&self, slot: Slot, local: &Local) -> Result<(), Misuse> {
        if !self.is_known_in_use(slot, local) {
            return Err(self.double_free(slot));
        }
        self.giver.hand(slot.group(), slot.bit());
        if !self.giver.is(local) {
            self.be_slow();
        }
        Ok(())
    }

    /// Whether somebody holds the slot, by the giver: as [`has_owner`](Span::has_owner), but that the state need not be
    /// read again of what he found in use.
    #[inline(always)]
    fn is_known_in_use(&self, slot: Slot, local: &Local) -> bool {
        let (group, bit) = (slot.group(), slot.bit());
        // What was given back is asked first, as in `has_owner`, and the count then.
        let back = self.returned_in(group).load(Ordering::Acquire) | self.giver.handed(group);
        let count = self.without_giver.load(Ordering::Acquire);
        if count.is_multiple_of(2) {
            return self.has_owner(slot);
        }
        let place = ptr::from_ref(self).addr() + group;
        let look = || self.in_use_beside(slot) & !back;
        back & bit == 0 && local.known.take(place, count, bit, look)
    }

    /// Counts that the owner has slots back which the giver did not hand over, and whose states say so (N7).
    pub(in crate::global) fn count_without_giver(&self) {
        let count = self.without_giver.load(Ordering::Relaxed);
        if !count.is_multiple_of(2) {
            let next = count.wrapping_add(2);
            self.without_giver.store(next, Ordering::Release);
        }
    }

    /// Counts from now on, since there is a giver; by the owner (N7).
    fn know_giver(&self) {
        let count = self.without_giver.load(Ordering::Relaxed);
        if count.is_multiple_of(2) {
            // It may be named still: who becomes the giver takes that away afterwards.
            self.shelf.set(None);
            let next = count.wrapping_add(1);
            self.without_giver.store(next, Ordering::Release);
        }
    }

    /// Counts no more, by the owner, where there is no giver (N7).
    pub(super) fn stop_counting(&self) {
        let count = self.without_giver.load(Ordering::Relaxed);
        if !count.is_multiple_of(2) {
            let next = count.wrapping_add(1);
            self.without_giver.store(next, Ordering::Relaxed);
        }
    }

    /// As [`unname`](Span::unname), by one who parted meanwhile.
    #[cold]
    fn be_slow(&self) {
        fence(Ordering::SeqCst);
        self.unname();
    }

    /// Takes the name of its shelf away, by who gave a slot back, which stands in order before that (N4).
    #[inline(always)]
    fn unname(&self) {
        if self.shelf.is_some_in_order() {
            self.shelf.set(None);
        }
    }

    /// Counts a slot that the owner gives back beside the giver; whether it is time to ask whether he still gives.
    #[inline(always)]
    pub(in crate::global) fn count_beside(&self) -> bool {
        let count = self.beside.load(Ordering::Relaxed) + 1;
        let is_due = count >= LONG;
        if !is_due {
            self.beside.store(count, Ordering::Relaxed);
        }
        is_due
    }

    /// Asks so: makes free what the giver gave back, and parts from him if that is nothing; by the owner.
    ///
    /// # Errors
    ///
    /// As for [`collect`](Span::collect).
    pub(in crate::global) fn look_beside(&self) -> Result<(), Misuse> {
        if !self.is_handed() {
            self.beside.store(0, Ordering::Relaxed);
            self.giver.part();
        }
        self.collect_handed()
    }

    /// Names its shelf, unless it has a giver, beside whom its owner counts from now on, or slots are given back that were
    /// not collected; by its owner (N4, N7).
    pub(in crate::global) fn be_quick(&self, shelf: &'static Shelf) {
        if self.giver.is_there() {
            return self.know_giver();
        }
        self.stop_counting();
        self.shelf.set(Some(shelf));
        fence(Ordering::SeqCst);
        let is_returned = |group| self.returned_in(group).load(Ordering::SeqCst) != 0;
        if self.giver.is_there()
            || self.groups(self.class()).any(is_returned)
            || (!self.giver.is_none() && self.is_handed())
        {
            self.shelf.set(None);
        }
    }

    /// Makes the returned slots free, by the owner who took the span off the list (N2).
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] for a slot that its owner had back already.
    pub(in crate::global) fn collect(&self) -> Result<(), Misuse> {
        let mut answer = Ok(());
        let mut groups = self.changed.swap(0, Ordering::AcqRel);
        while groups != 0 {
            let group = groups.trailing_zeros() as usize;
            groups &= groups - 1;
            answer = answer.and(self.collect_returned(group));
        }
        answer
    }

    /// Makes the returned slots of a group free. Their bits stay until their states say so: else who gives one back again
    /// in between would find neither (N1).
    ///
    /// # Errors
    ///
    /// As for [`collect`](Span::collect).
    fn collect_returned(&self, group: usize) -> Result<(), Misuse> {
        let word = self.returned_in(group);
        let (done, not) = (Ordering::AcqRel, Ordering::Acquire);
        let mut answer = Ok(());
        let (mut seen, mut returned) = (0, word.load(not));
        loop {
            answer = answer.and(self.put_all(group, returned & !seen));
            self.count_without_giver();
            seen = returned;
            match word.compare_exchange(seen, 0, done, not) {
                Ok(_) => return answer,
                // Others were added.
                Err(more) => returned = more,
            }
        }
    }

    /// Makes free what its giver gave back, by the owner.
    ///
    /// # Errors
    ///
    /// As for [`collect`](Span::collect).
    pub(in crate::global) fn collect_handed(&self) -> Result<(), Misuse> {
        let mut answer = Ok(());
        for group in self.groups(self.class()) {
            let handed = self.giver.handed(group);
            if handed != 0 {
                answer = answer.and(self.put_all(group, handed));
                self.giver.see(group, handed);
                self.beside.store(0, Ordering::Relaxed);
            }
        }
        answer
    }

    /// Makes slots of a group free that others gave back.
    ///
    /// # Errors
    ///
    /// As for [`collect`](Span::collect).
    fn put_all(&self, group: usize, mut bits: u64) -> Result<(), Misuse> {
        let mut answer = Ok(());
        while bits != 0 {
            let slot = Slot(group * GROUP + bits.trailing_zeros() as usize);
            bits &= bits - 1;
            if self.state_of(slot).load(Ordering::Relaxed) == IN_USE {
                self.put(slot);
            } else {
                answer = answer.and(Err(self.double_free(slot)));
            }
        }
        answer
    }

    #[cold]
    fn double_free(&self, slot: Slot) -> Misuse {
        let address = self.start().addr() + slot.0 * self.class().bytes();
        Misuse::DoubleFree { address }
    }

    /// Whether somebody gave slots back that its owner has to look at.
    pub(in crate::global) fn is_changed(&self) -> bool {
        self.changed.load(Ordering::Acquire) != 0
    }

    /// Whether its giver gave slots back that its owner has to look at.
    pub(in crate::global) fn is_handed(&self) -> bool {
        let mut groups = self.groups(self.class());
        groups.any(|group| self.giver.handed(group) != 0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
