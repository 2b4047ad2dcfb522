//! What others give back: each slot is collected once, none is lost, and what is given back twice is told.

use std::ptr::{NonNull, with_exposed_provenance_mut};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::global::atomic::{self, Role, go_live};
use crate::global::faults::Fault;
use crate::global::thread::tidy_left;
use crate::global::world::{World, is_told, own, spawn};
use crate::global::{center, local};
use crate::{check, must_fail_within};

/// All slots that a span has.
const ALL: usize = usize::MAX;

/// Takes so many slots, or those that there are; answers how many.
fn take(world: &World, most: usize) -> usize {
    (0..most)
        .filter(|_| world.take().unwrap().is_some())
        .count()
}

/// Two threads give slots of one span back by exchanges, while its owner takes slots.
fn two_give(most: usize) {
    let (world, all) = World::new(ALL);
    let (first, second, third) = (all[0], all[1], all[all.len() - 1]);
    let (one, two) = (own(), own());
    go_live();
    let one = spawn(&world, 1, one, move |world| world.give(first).unwrap());
    let two = spawn(&world, 2, two, move |world| {
        world.give(second).unwrap();
        world.give(third).unwrap();
    });
    let taken = take(&world, most);
    one.join().unwrap();
    two.join().unwrap();
    world.assert_used(all.len() - 3 + taken);
}

/// As [`two_give`], of two groups.
fn two_give_in_two_groups() {
    let (world, all) = World::sized(960, ALL);
    let (first, second) = (all[0], all[all.len() - 1]);
    let (one, two) = (own(), own());
    go_live();
    let one = spawn(&world, 1, one, move |world| world.give(first).unwrap());
    let two = spawn(&world, 2, two, move |world| world.give(second).unwrap());
    world.collect().unwrap();
    one.join().unwrap();
    two.join().unwrap();
    world.assert_used(all.len() - 2);
}

/// A thread becomes the giver, and hands slots over, while the owner takes slots.
fn one_becomes_the_giver() {
    let (world, all) = World::with_many(ALL);
    let slots = [all[0], all[1], all[all.len() - 1]];
    let own = own();
    go_live();
    let other = spawn(&world, 1, own, move |world| {
        slots.iter().for_each(|at| world.give(*at).unwrap());
    });
    let taken = take(&world, 3);
    other.join().unwrap();
    world.assert_used(all.len() - 3 + taken);
}

/// Two threads would become the giver.
fn two_become_the_giver(count: usize) {
    let (world, all) = World::with_many(ALL);
    let (first, second) = ([all[0], all[1]], [all[2], all[3]]);
    let (one, two) = (own(), own());
    go_live();
    let one = spawn(&world, 1, one, move |world| {
        first.iter().for_each(|at| world.give(*at).unwrap());
    });
    let two = spawn(&world, 2, two, move |world| {
        second[..count]
            .iter()
            .for_each(|at| world.give(*at).unwrap());
    });
    one.join().unwrap();
    two.join().unwrap();
    world.assert_used(all.len() - 2 - count);
}

/// What a giver hands over is his again, and he hands it over again.
fn a_slot_goes_round() {
    let (world, all, own) = World::with_giver(ALL);
    let way = Arc::new(AtomicUsize::new(0));
    let slots = [all[0], all[1]];
    go_live();
    let other = spawn(&world, 1, own, {
        let way = Arc::clone(&way);
        move |world| {
            slots.iter().for_each(|at| world.give(*at).unwrap());
            let at = with_exposed_provenance_mut(way.load(Ordering::Acquire));
            let at = NonNull::new(at);
            at.inspect(|at| world.give(*at).unwrap());
            usize::from(at.is_some())
        }
    });
    let mut taken = 0;
    while taken < 2
        && let Some(at) = world.take().unwrap()
    {
        taken += 1;
        way.store(at.as_ptr().expose_provenance(), Ordering::Release);
    }
    let back = other.join().unwrap();
    world.assert_used(all.len() - 2 + taken - back);
}

/// The owner parts from a giver who hands slots over still, and finds of each that it was given back.
fn the_owner_parts(count: usize) {
    let (world, all, own) = World::with_giver(ALL);
    let given = Arc::new(AtomicUsize::new(0));
    let slots = [all[0], all[1]];
    let mine = &all[2..7];
    go_live();
    let other = spawn(&world, 1, own, {
        let given = Arc::clone(&given);
        move |world| {
            atomic::be_awaited();
            for (count, at) in slots[..count].iter().enumerate() {
                world.give(*at).unwrap();
                given.store(count + 1, Ordering::Release);
            }
            atomic::answer_for_good();
        }
    });
    let find = || {
        let count = given.load(Ordering::Acquire);
        for at in &slots[..count] {
            assert!(
                is_told(world.give_again(*at)),
                "a slot is not found given back"
            );
        }
    };
    mine[..2].iter().for_each(|at| world.give(*at).unwrap());
    atomic::wait_long();
    mine[2..4].iter().for_each(|at| world.give(*at).unwrap());
    find();
    world.give(mine[4]).unwrap();
    find();
    other.join().unwrap();
    find();
    world.assert_used(all.len() - count - 5);
}

/// One gives a slot back, by an exchange or as the giver, and then its owner does.
fn given_before_its_owner_does(becomes_giver: bool) {
    let (world, all) = match becomes_giver {
        true => World::with_many(ALL),
        false => World::new(ALL),
    };
    let given = Arc::new(AtomicUsize::new(0));
    let slots = [all[0], all[1]];
    let own = own();
    go_live();
    let other = spawn(&world, 1, own, {
        let given = Arc::clone(&given);
        move |world| {
            for (count, at) in slots.iter().enumerate() {
                world.give(*at).unwrap();
                given.store(count + 1, Ordering::Release);
            }
        }
    });
    world.give(all[2]).unwrap();
    let count = given.load(Ordering::Acquire);
    for at in &slots[..count] {
        let x = is_told(world.give_again(*at));
        assert!(x, "a slot is not found given back");
    }
    other.join().unwrap();
    world.assert_used(all.len() - 3);
}

/// One gives a slot back, by an exchange or as the giver, and then another does, while its owner collects.
fn given_before_another_does(is_giver: bool) {
    let (world, all, own) = match is_giver {
        true => World::with_giver(ALL),
        false => {
            let (world, all) = World::new(ALL);
            (world, all, own())
        }
    };
    let (at, mine, another) = (all[0], all[1], self::own());
    let given = Arc::new(AtomicUsize::new(0));
    go_live();
    let one = spawn(&world, 1, own, {
        let given = Arc::clone(&given);
        move |world| {
            world.give(at).unwrap();
            given.store(1, Ordering::Release);
        }
    });
    let two = spawn(&world, 2, another, move |world| {
        let is_given = given.load(Ordering::Acquire) > 0;
        assert!(
            !is_given || is_told(world.give_again(at)),
            "a slot is not found given back"
        );
    });
    world.give(mine).unwrap();
    world.collect().unwrap();
    one.join().unwrap();
    two.join().unwrap();
    world.assert_used(all.len() - 2);
}

/// The giver, who saw all slots in use, gives one back that its owner gave back before, or collected from another.
fn given_before_its_giver_does(by_owner: bool) {
    let (world, all, own) = World::with_giver(ALL);
    let (first, second, another) = (all[0], all[1], self::own());
    let given = Arc::new(AtomicUsize::new(0));
    go_live();
    let giver = spawn(&world, 1, own, {
        let given = Arc::clone(&given);
        move |world| {
            world.give(first).unwrap();
            let is_given = given.load(Ordering::Acquire) > 0;
            assert!(
                !is_given || is_told(world.give_again(second)),
                "a slot is not found given back"
            );
        }
    });
    if by_owner {
        world.give(second).unwrap();
    } else {
        let other = spawn(&world, 2, another, move |world| world.give(second).unwrap());
        other.join().unwrap();
        world.collect().unwrap();
    }
    given.store(1, Ordering::Release);
    giver.join().unwrap();
    world.assert_used(all.len() - 2);
}

/// A slot's owner and another give it back at once: that is told once, to one of them or to who collects.
fn given_twice_at_once(is_giver: bool) {
    let (world, all, own) = match is_giver {
        true => World::with_giver(ALL),
        false => {
            let (world, all) = World::new(ALL);
            (world, all, own())
        }
    };
    let at = all[0];
    go_live();
    let other = spawn(&world, 1, own, move |world| is_told(world.give_again(at)));
    let mine = is_told(world.give_again(at));
    let told = [mine, other.join().unwrap(), is_told(world.collect())];
    assert_eq!(told.iter().filter(|told| **told).count(), 1, "{told:?}");
    world.assert_taken(all.len() - 1);
}

/// The last slots of a span are given back, and its owner lets it go and opens another in its place.
fn a_span_goes(is_giver: bool) {
    let (world, all, own) = match is_giver {
        true => World::with_giver(4),
        false => {
            let (world, all) = World::new(3);
            (world, all, own())
        }
    };
    let [.., one, two, three] = all[..] else {
        panic!("three slots")
    };
    let another = self::own();
    all[..all.len() - 3]
        .iter()
        .for_each(|at| world.give(*at).unwrap());
    center::with(|center| center.spare = 1).unwrap();
    go_live();
    let one = spawn(&world, 1, own, move |world| world.give(one).unwrap());
    let two = spawn(&world, 2, another, move |world| world.give(two).unwrap());
    world.give(three).unwrap();
    world.collect().unwrap();
    let at = world.take().unwrap().unwrap();
    world.give(at).unwrap();
    one.join().unwrap();
    two.join().unwrap();
    world.assert_used(0);
}

/// The giver's thread goes, and one that comes has its place.
fn a_giver_goes() {
    let (world, all, own) = World::with_giver(ALL);
    let slots = [all[0], all[1]];
    go_live();
    let other = spawn(&world, 1, own, move |world| world.give(slots[0]).unwrap());
    let next = thread::spawn({
        let world = Rc::clone(&world);
        move || {
            other.join().unwrap();
            atomic::set_number(2);
            local::be(own);
            world.give(slots[1]).unwrap();
        }
    });
    let taken = take(&world, 2);
    next.join().unwrap();
    world.assert_used(all.len() - 2 + taken);
}

/// Nothing is in use, so that there is no giver, and another becomes it; whether it came to that.
fn another_becomes_the_giver() -> bool {
    let (world, mut all, own) = World::with_giver(ALL);
    let (another, last) = (self::own(), all.remove(0));
    world.as_other(own, || {
        all.iter().for_each(|at| world.give(*at).unwrap());
    });
    let way = Arc::new([(); 2].map(|()| AtomicUsize::new(0)));
    go_live();
    let one = spawn(&world, 1, own, move |world| world.give(last).unwrap());
    let two = spawn(&world, 2, another, {
        let way = Arc::clone(&way);
        move |world| {
            let all = way.iter().map(|at| at.load(Ordering::Acquire));
            let all = all.filter_map(|at| NonNull::new(with_exposed_provenance_mut(at)));
            all.map(|at| world.give(at).unwrap()).count()
        }
    });
    for at in way.iter() {
        let slot = world.take().unwrap().unwrap();
        at.store(slot.as_ptr().expose_provenance(), Ordering::Release);
    }
    one.join().unwrap();
    let back = two.join().unwrap();
    let is_giver = world.span.giver.is(another);
    world.assert_used(2 - back);
    is_giver
}

/// The owner goes while slots are given back: who tidies finds them.
fn the_owner_goes(is_giver: bool) {
    let (world, all, own) = match is_giver {
        true => World::with_giver(ALL),
        false => {
            let (world, all) = World::new(ALL);
            (world, all, own())
        }
    };
    let slots = [all[0], all[1]];
    go_live();
    let other = spawn(&world, 1, own, move |world| {
        slots.iter().for_each(|at| world.give(*at).unwrap());
    });
    world.leave();
    other.join().unwrap();
    tidy_left().unwrap();
    world.assert_taken(all.len() - 2);
}

#[test]
fn what_two_give_back_is_collected_once() {
    check(1, || two_give(1));
}

#[test]
fn what_two_give_back_in_two_groups_is_collected_once() {
    check(1, two_give_in_two_groups);
}

#[test]
fn what_a_giver_gives_back_is_collected_once() {
    check(1, one_becomes_the_giver);
}

#[test]
fn one_of_two_becomes_the_giver() {
    check(2, || two_become_the_giver(1));
}

#[test]
fn what_goes_round_is_one_threads_at_a_time() {
    check(2, a_slot_goes_round);
}

#[test]
fn what_a_giver_gives_back_is_found_when_its_owner_parts() {
    check(1, || the_owner_parts(2));
}

#[test]
fn what_was_given_back_is_found_by_its_owner() {
    check(2, || given_before_its_owner_does(false));
}

#[test]
fn what_a_giver_gave_back_is_found_by_its_owner() {
    check(2, || given_before_its_owner_does(true));
}

#[test]
fn what_was_given_back_is_found_by_others() {
    check(2, || given_before_another_does(false));
}

#[test]
fn what_a_giver_gave_back_is_found_by_others() {
    check(2, || given_before_another_does(true));
}

#[test]
fn what_its_owner_gave_back_is_found_by_the_giver() {
    check(2, || given_before_its_giver_does(true));
}

#[test]
fn what_its_owner_collected_is_found_by_the_giver() {
    check(2, || given_before_its_giver_does(false));
}

#[test]
fn what_two_give_back_at_once_is_told_once() {
    check(2, || given_twice_at_once(false));
}

#[test]
fn what_a_giver_and_the_owner_give_back_at_once_is_told_once() {
    check(2, || given_twice_at_once(true));
}

#[test]
fn a_span_goes_with_its_last_slot() {
    check(1, || a_span_goes(false));
}

#[test]
fn a_span_goes_from_its_giver() {
    check(1, || a_span_goes(true));
}

#[test]
fn who_comes_in_the_place_of_a_giver_is_it() {
    check(2, a_giver_goes);
}

#[test]
fn who_comes_after_a_giver_may_become_it() {
    static CAME: AtomicBool = AtomicBool::new(false);
    check(1, || {
        if another_becomes_the_giver() {
            CAME.store(true, Relaxed);
        }
    });
    assert!(CAME.load(Relaxed), "in no order");
}

#[test]
fn what_is_given_back_to_one_who_goes_is_found() {
    check(2, || the_owner_goes(false));
}

#[test]
fn what_its_giver_gives_back_to_one_who_goes_is_found() {
    check(2, || the_owner_goes(true));
}

/// What is said of a slot that two hold at once, or whose last holder's writes are not seen.
const RACE: &str = "Causality violation";
const LOST: &str = "slots are ";
const UNFOUND: &str = "a slot is not found given back";

#[test]
fn without_order_of_returned_bits_a_race_is_found() {
    must_fail_within(2, Fault::NoOrder(Role::Returned), &[RACE, LOST], || {
        two_give(3)
    });
}

#[test]
fn without_order_of_handed_bits_a_race_is_found() {
    must_fail_within(1, Fault::NoOrder(Role::Handed), &[RACE], a_slot_goes_round);
}

#[test]
fn without_order_of_seen_bits_a_slot_is_given_back_twice() {
    must_fail_within(1, Fault::NoOrder(Role::Seen), &[UNFOUND], || {
        given_before_another_does(true);
    });
}

#[test]
fn without_its_count_a_slot_is_given_back_twice() {
    must_fail_within(1, Fault::NoCount, &[UNFOUND, "DoubleFree"], || {
        given_before_its_giver_does(true);
    });
}

#[test]
fn without_the_count_of_the_collected_a_slot_is_given_back_twice() {
    must_fail_within(1, Fault::NoCount, &[UNFOUND, "DoubleFree"], || {
        given_before_its_giver_does(false);
    });
}

#[test]
fn without_order_of_the_count_a_slot_is_given_back_twice() {
    must_fail_within(
        2,
        Fault::NoOrder(Role::Beside),
        &[UNFOUND, "DoubleFree"],
        || {
            given_before_its_giver_does(true);
        },
    );
}

#[test]
fn without_exchanges_returned_bits_are_lost() {
    must_fail_within(
        1,
        Fault::NoExchange(Role::Returned),
        &[LOST, "DoubleFree"],
        || two_give(1),
    );
}

#[test]
fn without_exchanges_changed_groups_are_lost() {
    must_fail_within(
        1,
        Fault::NoExchange(Role::Changed),
        &[LOST, RACE],
        two_give_in_two_groups,
    );
}

#[test]
fn without_sequence_a_slot_is_given_back_twice() {
    must_fail_within(3, Fault::NoSequence, &[UNFOUND], || {
        given_before_its_owner_does(false)
    });
}

#[test]
fn without_a_look_for_the_shelf_a_slot_is_given_back_twice() {
    must_fail_within(1, Fault::NoLook, &[UNFOUND], || {
        given_before_its_owner_does(false)
    });
}

#[test]
fn without_a_look_after_naming_it_a_slot_is_given_back_twice() {
    must_fail_within(1, Fault::NoLookAgain, &[UNFOUND], || {
        given_before_its_owner_does(true)
    });
}

#[test]
fn in_one_step_parting_a_slot_is_given_back_twice() {
    must_fail_within(1, Fault::PartsAtOnce, &[UNFOUND], || the_owner_parts(1));
}

#[test]
fn who_claims_late_is_not_collected_from() {
    must_fail_within(1, Fault::LateClaim, &[LOST, UNFOUND], || {
        given_before_its_owner_does(true)
    });
}

#[test]
fn without_its_exchange_two_become_the_giver() {
    must_fail_within(2, Fault::NoExchange(Role::Giver), &[LOST, RACE], || {
        two_become_the_giver(2)
    });
}
