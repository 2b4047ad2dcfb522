//! What was put last: it is whole, it is never older than what the reader knows of, and nobody waits.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::atomic::Fault;
use super::turns::{PLACES, Turns};
use crate::{check, must_fail};

/// The turns, and for each place a cell that the checker watches: who writes where another is at it is found, and so is
/// who does not see what was written.
struct Latest {
    turns: Turns,
    places: Vec<UnsafeCell<u64>>,
}

// SAFETY: that a place is written by one at a time and read by no other then is what is checked.
unsafe impl Sync for Latest {}

impl Latest {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            turns: Turns::new(),
            places: (0..PLACES).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    /// Whether there was a place for it.
    fn put(&self, value: u64) -> bool {
        let Some(turn) = self.turns.take() else {
            return false;
        };
        // SAFETY: this thread's turn.
        self.places[turn.place()].with_mut(|place| unsafe { *place = value });
        self.turns.publish(turn);
        true
    }

    fn get(&self) -> Option<u64> {
        let visit = self.turns.enter()?;
        // SAFETY: this thread is counted there.
        let value = self.places[visit.place()].with(|place| unsafe { *place });
        self.turns.leave(visit);
        Some(value)
    }
}

/// Two who put and one who asks, all at once: there is room for all, and what was put before is never asked for in vain.
fn putting_and_asking() {
    let latest = Latest::new();
    assert_eq!(latest.get(), None);
    assert!(latest.put(1));
    let putting = [2, 3].map(|value| {
        let latest = Arc::clone(&latest);
        thread::spawn(move || assert!(latest.put(value) && latest.put(value + 10)))
    });
    let seen = [(); 2].map(|()| latest.get().unwrap());
    assert!(seen.iter().all(|seen| [1, 2, 3, 12, 13].contains(seen)));
    // Not back to what it was before one of the same thread.
    assert!(seen != [12, 2] && seen != [13, 3] && (seen[0] == 1 || seen[1] != 1));
    for thread in putting {
        thread.join().unwrap();
    }
    assert!(matches!(latest.get(), Some(12 | 13)));
}

/// One who puts goes round all places while two read.
fn a_reader_is_not_overtaken() {
    let latest = Latest::new();
    assert!(latest.put(0));
    let reading = [(); 2].map(|()| {
        let latest = Arc::clone(&latest);
        thread::spawn(move || assert!(latest.get().unwrap() <= PLACES as u64))
    });
    for value in 1..=PLACES as u64 {
        assert!(latest.put(value));
        assert_eq!(latest.get(), Some(value));
    }
    for thread in reading {
        thread.join().unwrap();
    }
}

#[test]
fn what_was_put_last_is_told_whoever_else_puts() {
    check(3, putting_and_asking);
}

#[test]
fn whoever_reads_keeps_his_place() {
    check(3, a_reader_is_not_overtaken);
}

#[test]
fn where_all_places_are_taken_nothing_is_put_and_something_is_told() {
    check(0, || {
        let latest = Latest::new();
        assert!(latest.put(1));
        // As those who were interrupted.
        let turns: Vec<_> = (1..PLACES).map(|_| latest.turns.take().unwrap()).collect();
        assert!(!latest.put(2));
        assert_eq!(latest.get(), Some(1));
        for turn in turns {
            latest.turns.publish(turn);
        }
        assert!(latest.put(3));
        assert_eq!(latest.get(), Some(3));
        // Readers who are interrupted keep one place each.
        let visits = [4, 5, 6].map(|value| {
            let visit = latest.turns.enter().unwrap();
            assert!(latest.put(value));
            visit
        });
        assert!(!latest.put(7));
        assert_eq!(latest.get(), Some(6));
        for visit in visits {
            latest.turns.leave(visit);
        }
        assert!(latest.put(8));
        assert_eq!(latest.get(), Some(8));
    });
}

#[test]
fn exchanges_in_two_are_found() {
    must_fail(
        Fault::NoClaim,
        &["Causality violation", "concurrent", "assertion"],
        putting_and_asking,
    );
}

#[test]
fn what_does_not_acquire_is_found() {
    must_fail(
        Fault::Unacquired,
        &["Causality violation", "concurrent"],
        putting_and_asking,
    );
}

#[test]
fn what_does_not_release_is_found() {
    must_fail(
        Fault::Unreleased,
        &["Causality violation", "concurrent"],
        a_reader_is_not_overtaken,
    );
}
