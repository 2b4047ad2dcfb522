//! What others give back is told once and collected once, with a giver and without.

use super::*;
use crate::global::span::is_far;
use crate::global::span::tests::{classes, held, in_use, open, opened, zeroed};
use crate::global::states::HELD;
use core::sync::atomic::AtomicU64;
use std::vec::Vec;

#[test]
fn what_others_give_back_is_told_once_and_collected() {
    let mut rng = fastrand::Rng::with_seed(1);
    for class in classes() {
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
        let address = span.start().addr() + twice.0 * class.bytes();
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
    for class in classes() {
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
                let address = span.start().addr() + slot.0 * class.bytes();
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
    become_giver(span, local);
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
    become_giver(span, local);
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

/// Whatever becomes of slots, by whomever, their giver gives back what somebody has and nothing else.
#[test]
fn a_giver_is_told_what_is_not_in_use() {
    let mut rng = fastrand::Rng::with_seed(1);
    for class in classes().filter(|class| is_far(*class)) {
        let (span, local) = (opened(class), nobody());
        let mut used: Vec<bool> = std::vec![true; span.slots()];
        in_use(span, span.slots());
        become_giver(span, local);
        used[..=MANY as usize].fill(false);
        span.collect().unwrap();
        let (mut told, mut given) = (0, 0);
        for step in 0..2000 {
            if step == 200 {
                span.know_giver();
            }
            // Two groups at most, so that what is known is asked again.
            let slot = Slot(rng.usize(..span.slots().min(80)));
            match rng.u8(..16) {
                0 => span.collect().unwrap(),
                1 => span.collect_handed().unwrap(),
                // Its owner gives it back, and has it.
                2 if span.in_use(slot).is_ok() => {
                    span.state_of(slot).store(HELD, Ordering::Relaxed);
                    span.count_without_giver();
                    used[slot.0] = false;
                }
                3 if span.state_of(slot).load(Ordering::Relaxed) == HELD => span.put(slot),
                // And takes some.
                4..8 => {
                    for slot in held(span, span.free().min(5)) {
                        span.state_of(slot).store(IN_USE, Ordering::Relaxed);
                        assert!(!used[slot.0], "{step}");
                        used[slot.0] = true;
                    }
                }
                8 => {
                    let answer = span.give_from_afar(slot, None);
                    assert_eq!(answer.is_ok(), used[slot.0], "{step}");
                    used[slot.0] = false;
                }
                _ => {
                    let answer = span.give_as_giver(slot, local);
                    assert_eq!(answer.is_ok(), used[slot.0], "{step}");
                    (given, told) = match used[slot.0] {
                        true => (given + 1, told),
                        false => (given, told + 1),
                    };
                    used[slot.0] = false;
                }
            }
        }
        assert!(told > 100 && given > 100, "{told} {given}");
    }
}

/// Has a thread give so many slots back by exchanges that it becomes the giver.
fn become_giver(span: &Span, local: &Local) {
    for number in 0..=MANY as usize {
        assert!(span.give_from_afar(Slot(number), Some(local)).is_ok());
    }
    assert!(span.giver.is(local));
}

/// Has the owner know of the giver.
fn know(span: &Span) {
    assert_eq!(span.collect(), Ok(()));
    span.know_giver();
}

/// A span without a giver, all slots free, that had one: he looked at the first group, in which all came back since but for
/// what he gave. It was empty meanwhile, or closed.
fn emptied(class: Class, local: &Local, is_closed: bool) -> &'static Span {
    let span = opened(class);
    in_use(span, span.slots());
    become_giver(span, local);
    know(span);
    assert_eq!(span.give_as_giver(FIRST, local), Ok(()));
    assert_eq!(span.collect_handed(), Ok(()));
    for number in (0..span.slots()).filter(|number| span.in_use(Slot(*number)).is_ok()) {
        span.put(Slot(number));
        span.count_without_giver();
    }
    assert!(span.is_empty());
    span.giver.end();
    if is_closed {
        span.close();
        open(span, class);
    } else {
        span.be_quick(zeroed());
    }
    span
}

/// What its giver gives, and what its owner gives back, of one group.
const FIRST: Slot = Slot(50);
const EARLY: Slot = Slot(51);
const LATE: Slot = Slot(52);

/// What he knew as an earlier giver is no longer so, and nothing is known before the owner counts.
#[test]
fn who_becomes_the_giver_again_knows_nothing() {
    for (is_closed, is_known) in [(false, false), (false, true), (true, false), (true, true)] {
        let local = nobody();
        let span = emptied(Class::numbered(3), local, is_closed);
        in_use(span, span.slots());
        // The quick way, on which the owner does not count.
        span.put(EARLY);
        become_giver(span, local);
        if is_known {
            know(span);
        }
        assert!(span.give_as_giver(EARLY, local).is_err(), "its owner did");
        span.give_as_giver(FIRST, local).unwrap();
        if !is_known {
            span.put(LATE);
            assert!(span.give_as_giver(LATE, local).is_err(), "its owner did");
        }
    }
}

/// One who was the giver when he came is told, too, if another is it by the time he goes on.
#[test]
fn who_was_the_giver_is_told_still() {
    for is_closed in [false, true] {
        let (local, other) = (nobody(), nobody());
        let span = emptied(Class::numbered(3), local, is_closed);
        in_use(span, EARLY.0);
        become_giver(span, other);
        know(span);
        assert!(span.give_as_giver(EARLY, local).is_err(), "its owner did");
    }
}
