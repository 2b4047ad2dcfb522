//! Pages that go back to the kernel of themselves, where that is asked for.

use std::thread::sleep;
use std::time::Duration;

use tagheap::Tag;

use crate::HEAP;
use crate::careless::{free_at, resize_at};
use crate::support::{Piece, alone, bytes, ends, is_done, resident, text};

const TAG: Tag = Tag::named("idle");

const MEBIBYTE: usize = 1 << 20;

/// Longer than a phase of these tests takes, whoever else is busy.
const WAIT: Duration = Duration::from_millis(1500);

/// Mebibytes that go where so much is given back, with pieces that stay in between, and somebody comes by at once and
/// again after some time.
fn lost_after(give: impl Fn(Piece), size: usize) -> [usize; 2] {
    let count = 64 * MEBIBYTE / size;
    let mut kept = Vec::with_capacity(17);
    let mut given = Vec::with_capacity(count);
    for number in 0..count {
        given.push(Piece::take(TAG, bytes(size), 1));
        if number.is_multiple_of(count / 16) {
            kept.push(Piece::take(TAG, bytes(60_000), 2));
        }
    }
    let full = resident();
    given.into_iter().for_each(give);
    // The slow way: in the thread's magazines there is nothing of the class.
    let lost = [Duration::ZERO, WAIT].map(|wait| {
        sleep(wait);
        Piece::take(TAG, bytes(30_000), 3).give_back();
        full.saturating_sub(resident()) / MEBIBYTE
    });
    kept.into_iter().for_each(Piece::give_back);
    HEAP.check().unwrap();
    lost
}

/// Blocks and spans, however they are given back.
#[test]
fn what_was_given_back_goes_after_the_wait_and_not_before() {
    alone(|| {
        let ways: [fn(Piece); 4] = [
            Piece::give_back,
            |piece| free_at(piece.start).unwrap(),
            // Leaves a slot.
            |piece| {
                let at = resize_at(piece.start, bytes(100)).unwrap();
                free_at(at).unwrap();
            },
            |mut piece| {
                piece.resize(bytes(10)).unwrap();
                piece.give_back();
            },
        ];
        for give in ways {
            for size in [MEBIBYTE, 100_000] {
                HEAP.set_purge_after(Some(WAIT));
                let [at_once, later] = lost_after(give, size);
                assert!(at_once < 8 && later > 48, "{size}: {at_once}, {later}");
            }
        }
        // Spans, but for those that the thread keeps.
        HEAP.set_purge_after(Some(WAIT));
        let [at_once, later] = lost_after(Piece::give_back, 4000);
        assert!(at_once < 8 && later > 40, "{at_once}, {later}");
        HEAP.set_purge_after(None);
        let [at_once, later] = lost_after(Piece::give_back, MEBIBYTE);
        assert!(at_once < 8 && later < 8, "{at_once}, {later}");
    });
}

/// What a release gives back, too.
#[test]
fn what_was_released_goes_after_the_wait() {
    const GONE: Tag = Tag::named("idle 2");
    alone(|| {
        HEAP.set_purge_after(Some(WAIT));
        for _ in 0..64 {
            Piece::take(GONE, bytes(MEBIBYTE), 1);
        }
        let kept = Piece::take(TAG, bytes(60_000), 1);
        let full = resident();
        // SAFETY: nobody uses any of it.
        let released = unsafe { HEAP.release(GONE) }.unwrap();
        assert!(released.bytes > 64 * MEBIBYTE);
        for wait in [Duration::ZERO, WAIT] {
            sleep(wait);
            Piece::take(TAG, bytes(30_000), 3).give_back();
        }
        assert!(full - resident() > 60 * MEBIBYTE);
        kept.give_back();
    });
}

#[test]
fn little_stays() {
    alone(|| {
        HEAP.set_purge_after(Some(Duration::ZERO));
        let (little, _pin) = (
            Piece::take(TAG, bytes(900_000), 1),
            Piece::take(TAG, bytes(60_000), 1),
        );
        let full = resident();
        little.give_back();
        for _ in 0..3 {
            Piece::take(TAG, bytes(10_000), 3).give_back();
        }
        assert!(full.saturating_sub(resident()) < 400_000);
    });
}

#[test]
fn the_environment_asks_for_it() {
    let output = ends(&[("TAGHEAP_PURGE", "1.5")], || {
        let [at_once, later] = lost_after(Piece::give_back, MEBIBYTE);
        assert!(at_once < 8 && later > 48, "{at_once}, {later}");
    });
    assert!(is_done(&output), "{}", text(&output));
    assert!(!text(&output).contains("tagheap:"), "{}", text(&output));
}

#[test]
fn what_is_no_number_of_seconds_is_refused_with_a_line() {
    for no_number in ["ten", "-1", "NaN", "1e30"] {
        let output = ends(&[("TAGHEAP_PURGE", no_number)], || {
            Piece::take(TAG, bytes(30_000), 3).give_back();
        });
        assert!(is_done(&output), "{}", text(&output));
        let line = "tagheap: TAGHEAP_PURGE is no number of seconds\n";
        assert!(text(&output).contains(line), "{}", text(&output));
    }
}
