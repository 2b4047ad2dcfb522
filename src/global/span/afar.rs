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

use core::sync::atomic::{Ordering, fence};

use super::{GROUP, Slot, Span};
use crate::global::local::Local;
use crate::global::shelf::Shelf;
use crate::global::states::IN_USE;
use crate::words::error::Misuse;

/// How many slots the owner gives back beside the giver before he asks whether he still gives, and parts from him: many
/// times what it takes to give one back.
const LONG: u16 = 1000;

/// How many slots of a group a thread finds given back that becomes the giver by the next.
const MANY: u32 = 8;

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
        // The state last: who finds that the slot's giving back was seen finds what became of it.
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
        if !self.giver.is_none() {
            self.in_use(slot)?;
        } else if self.state_of(slot).load(Ordering::Relaxed) != IN_USE {
            return Err(self.double_free(slot));
        } else if let Some(local) = local
            && returned.load(Ordering::Relaxed).count_ones() >= MANY
        {
            // Ahead of the bit: who collects that finds the giver (N6).
            self.giver.claim(local);
        }
        let before = returned.fetch_or(slot.bit(), Ordering::SeqCst);
        if before & slot.bit() != 0 {
            return Err(self.double_free(slot));
        }
        // N4.
        if self.shelf.is_some_in_order() {
            self.shelf.set(None);
        }
        Ok(before == 0 && self.changed.fetch_or(1 << group, Ordering::AcqRel) == 0)
    }

    /// Gives a slot back, by the giver.
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] if somebody did before.
    #[inline(always)]
    pub(in crate::global) fn give_as_giver(&self, slot: Slot, local: &Local) -> Result<(), Misuse> {
        self.in_use(slot)?;
        self.giver.hand(slot.group(), slot.bit());
        if !self.giver.is(local) {
            self.be_slow();
        }
        Ok(())
    }

    /// Takes the name of its shelf away, by who gave a slot back (N4).
    #[cold]
    fn be_slow(&self) {
        fence(Ordering::SeqCst);
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

    /// Names its shelf, unless it has a giver or slots are given back that were not collected; by its owner (N4).
    pub(in crate::global) fn be_quick(&self, shelf: &'static Shelf) {
        if self.giver.is_there() {
            return;
        }
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
            let returned = self.returned_in(group).swap(0, Ordering::AcqRel);
            answer = answer.and(self.put_all(group, returned));
        }
        answer
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::global::classes::Class;
    use crate::global::span::tests::{held, in_use, opened, zeroed};
    use crate::global::span::{SPAN, is_far};
    use crate::global::states::HELD;
    use core::sync::atomic::AtomicU64;
    use std::vec::Vec;

    #[test]
    fn what_others_give_back_is_told_once_and_collected() {
        let mut rng = fastrand::Rng::with_seed(1);
        for class in Class::all() {
            let span = opened(class);
            let mut all = in_use(span, span.slots());
            rng.shuffle(&mut all);
            let (back, kept) = all.split_at(all.len() / 2);
            let told = back
                .iter()
                .filter(|slot| span.give_from_afar(**slot, None).unwrap());
            assert_eq!(told.count(), 1, "who is first puts it on the list");
            for slot in back {
                span.give_from_afar(*slot, None).unwrap_err();
                span.in_use(*slot).unwrap_err();
            }
            assert!(span.is_changed() && !span.is_empty());
            assert_eq!((span.used(), span.free()), (kept.len(), 0));
            // Its owner gave one back at the same moment.
            let (twice, more) = (back[0], kept[0]);
            span.state_of(twice).store(HELD, Ordering::Relaxed);
            let address = SPAN + twice.0 * class.bytes();
            assert_eq!(span.collect(), Err(Misuse::DoubleFree { address }));
            assert_eq!(span.free(), back.len() - 1, "all others are collected");
            assert!(!span.is_changed());
            assert!(
                span.give_from_afar(more, None).unwrap(),
                "it was taken off the list"
            );
            assert_eq!((span.collect(), span.collect()), (Ok(()), Ok(())));
            assert_eq!(span.used(), kept.len() - 1);
            // Each of them is there to be taken, the lowest first.
            let mut free: Vec<_> = back[1..].iter().chain([&more]).collect();
            free.sort_by_key(|slot| slot.0);
            assert!(held(span, span.free()).iter().eq(free));
        }
    }

    /// Nobody's slot is forgotten: where it is not collected its owner does not take the quick way (N4).
    #[test]
    fn a_span_that_names_its_shelf_has_nothing_to_collect() {
        let shelf: &Shelf = zeroed();
        let span = opened(Class::numbered(0));
        let all = in_use(span, span.slots());
        span.be_quick(shelf);
        assert!(span.shelf.is(Some(shelf)));
        let rounds = 100;
        let (back, mine, failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..rounds {
                    for slot in &all[..7] {
                        span.give_from_afar(*slot, None).unwrap();
                        back.fetch_add(1, Ordering::Release);
                    }
                    while mine.load(Ordering::Acquire) <= round {
                        std::thread::yield_now();
                    }
                }
            });
            for round in 0..rounds {
                let mut given = 0;
                while given < 7 {
                    given = back.load(Ordering::Acquire) - 7 * round;
                    // As its owner sees it: given back before now, and not collected.
                    let note = || {
                        let is_named = span.shelf.is(Some(shelf));
                        failed.fetch_add((given > 0 && is_named).into(), Ordering::Relaxed);
                    };
                    note();
                    span.be_quick(shelf);
                    note();
                }
                span.collect().unwrap();
                span.be_quick(shelf);
                let is_whole = span.shelf.is(Some(shelf)) && span.free() == 7;
                failed.fetch_add((!is_whole).into(), Ordering::Relaxed);
                in_use(span, 7);
                mine.store(round + 1, Ordering::Release);
            }
        });
        assert_eq!(failed.into_inner(), 0);
    }

    /// What a thread has for itself, of no thread.
    fn nobody() -> &'static Local {
        zeroed()
    }

    #[test]
    fn who_finds_many_given_back_gives_without_an_exchange() {
        let mut rng = fastrand::Rng::with_seed(1);
        for class in Class::all() {
            let (span, local, other) = (opened(class), nobody(), nobody());
            let many = MANY as usize;
            let mut all = in_use(span, span.slots());
            // Of one group, so that each finds those before it.
            for slot in &all[..many.min(all.len())] {
                assert!(!span.giver.is_there(), "too few");
                span.give_from_afar(*slot, Some(local)).unwrap();
            }
            if !is_far(class) {
                let rest = all.iter().skip(many);
                rest.for_each(|slot| assert!(span.give_from_afar(*slot, Some(local)).is_ok()));
                assert!(!span.giver.is_there(), "no words");
                continue;
            }
            span.give_from_afar(all[many], None).unwrap();
            assert!(!span.giver.is_there(), "not in an operation");
            span.give_from_afar(all[many + 1], Some(local)).unwrap();
            assert!(span.giver.is(local) && span.giver.is_there());
            span.collect().unwrap();
            span.be_quick(zeroed());
            assert!(span.shelf.is(None), "its giver says nothing");
            span.give_from_afar(all[many + 2], Some(other)).unwrap();
            assert!(span.giver.is(local), "who was first");
            span.collect().unwrap();
            assert_eq!(span.free(), many + 3);
            let mut back = all.split_off(many + 3);
            for round in 0..5 {
                rng.shuffle(&mut back);
                let (back, kept) = back.split_at(rng.usize(..=back.len()));
                for (given, slot) in back.iter().enumerate() {
                    assert_eq!(span.used(), back.len() + kept.len() - given);
                    span.give_as_giver(*slot, local).unwrap();
                    let address = SPAN + slot.0 * class.bytes();
                    let told = Err(Misuse::DoubleFree { address });
                    assert_eq!(span.in_use(*slot), told);
                    assert_eq!(span.give_as_giver(*slot, local), told);
                    assert_eq!(span.give_from_afar(*slot, None), told.map(|()| false));
                }
                assert_eq!(span.is_handed(), !back.is_empty());
                let free = span.free();
                let twice = back.first().filter(|_| round == 3);
                // Its owner gave one back at the same moment.
                twice.inspect(|slot| span.state_of(**slot).store(HELD, Ordering::Relaxed));
                assert_eq!(span.collect_handed().is_err(), twice.is_some());
                assert_eq!(
                    span.free(),
                    free + back.len() - usize::from(twice.is_some())
                );
                assert!(!span.is_handed() && span.collect_handed().is_ok());
                twice.inspect(|slot| span.put(**slot));
                // All but what was given back first is in use again.
                let more = held(span, span.free());
                let again = more.iter().filter(|slot| back.contains(slot));
                again.for_each(|slot| span.state_of(*slot).store(IN_USE, Ordering::Relaxed));
                let first = more.iter().filter(|slot| !back.contains(slot));
                first.for_each(|slot| span.put(*slot));
            }
            back.iter().for_each(|slot| span.put(*slot));
            span.giver.end();
            assert!(!span.giver.is_there() && span.is_empty());
        }
    }

    #[test]
    fn an_owner_parts_from_a_giver_who_does_not_give_any_more() {
        let (span, local, other) = (opened(Class::numbered(3)), nobody(), nobody());
        let shelf: &Shelf = zeroed();
        let all = in_use(span, span.slots());
        for slot in &all[..=MANY as usize] {
            span.give_from_afar(*slot, Some(local)).unwrap();
        }
        span.collect().unwrap();
        let mut rest = all[MANY as usize + 1..].iter();
        // How many slots are given back beside him until he is asked for.
        let wait = || (1..).find(|_| span.count_beside()).unwrap();
        span.give_as_giver(*rest.next().unwrap(), local).unwrap();
        assert_eq!(wait(), LONG);
        span.look_beside().unwrap();
        assert!(span.giver.is(local) && !span.is_handed(), "he gave");
        assert_eq!(wait(), LONG);
        span.look_beside().unwrap();
        span.be_quick(shelf);
        assert!(!span.giver.is(local) && span.giver.is_there());
        assert!(span.shelf.is(None), "he may be about to give one");
        span.give_as_giver(*rest.next().unwrap(), local).unwrap();
        assert_eq!(wait(), LONG);
        span.look_beside().unwrap();
        assert!(span.giver.is_there(), "he did");
        assert_eq!(wait(), LONG);
        span.look_beside().unwrap();
        span.be_quick(shelf);
        assert!(!span.giver.is_there() && !span.giver.is_none());
        assert!(span.shelf.is(Some(shelf)));
        // Who is that late says so himself, and whoever looks finds it.
        let late = *rest.next().unwrap();
        span.give_as_giver(late, local).unwrap();
        assert!(span.shelf.is(None) && span.in_use(late).is_err());
        span.be_quick(shelf);
        assert!(span.shelf.is(None));
        span.collect_handed().unwrap();
        span.be_quick(shelf);
        assert!(span.shelf.is(Some(shelf)));
        for slot in rest.take(2 * MANY as usize) {
            span.give_from_afar(*slot, Some(other)).unwrap();
        }
        assert!(!span.giver.is_there() && span.shelf.is(None), "nobody else");
        span.collect().unwrap();
    }

    /// Two threads hand slots round and round: each that is given is there again once, whoever looks when.
    #[test]
    fn what_a_giver_gives_is_collected_once() {
        let span = opened(Class::numbered(3));
        let all = in_use(span, span.slots());
        let local = nobody();
        for slot in &all[..=MANY as usize] {
            span.give_from_afar(*slot, Some(local)).unwrap();
        }
        span.collect().unwrap();
        let rounds = if cfg!(miri) { 3 } else { 200 };
        // How many slots were passed on, and all that are passed, in order.
        let passed = AtomicU64::new(0);
        let way: Vec<_> = (0..1024).map(|_| AtomicU64::new(0)).collect();
        let total = rounds * 1000;
        let back = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let (passed, way, back) = (&passed, &way, &back);
            scope.spawn(move || {
                for number in 0..total {
                    while passed.load(Ordering::Acquire) <= number {
                        std::thread::yield_now();
                    }
                    let slot = way[number as usize % 1024].load(Ordering::Relaxed);
                    span.give_as_giver(Slot(slot as usize), local).unwrap();
                    back.store(number + 1, Ordering::Release);
                }
            });
            let mut next = 0;
            // Those that are not free yet are passed on first.
            let mut ready: Vec<_> = all[MANY as usize + 1..].to_vec();
            while next < total {
                for slot in ready.drain(..) {
                    if next < total {
                        way[next as usize % 1024].store(slot.0 as u64, Ordering::Relaxed);
                        next += 1;
                        passed.store(next, Ordering::Release);
                    }
                }
                span.collect_handed().unwrap();
                ready = in_use(span, span.free());
            }
        });
        span.collect_handed().unwrap();
        assert_eq!(back.into_inner(), total);
        assert_eq!(span.free() + span.used(), span.slots());
    }
}
