//! What somebody holds is his alone: whatever is asked of the heap, by whichever thread, no byte of it is touched.
//!
//! Random programs and threads that hide what they hold: `model`, `races`.

use std::thread;

use fastrand::Rng;
use tagheap::{Tag, scope};
use tagheap_trace::Held;

use crate::HEAP;
use crate::careless::face;
use crate::support::{LARGEST, Piece, alone, assert_gone, bytes, double_free, layout, objects};

const KEPT: Tag = Tag::named("held");
const OTHER: Tag = Tag::named("held o");

/// Pieces of all sizes, small and large, between others that went already.
fn some(tag: Tag, seed: u64) -> Vec<Held<Piece>> {
    let mut rng = Rng::with_seed(seed);
    let mut held = Vec::new();
    for number in 0..4000 {
        let power = rng.u32(1..13);
        let size = match number % 100 {
            0 => rng.usize(LARGEST..20 * LARGEST),
            _ => rng.usize(..1 << power),
        };
        let align = 1 << rng.u32(..8);
        let piece = Piece::take(tag, layout(size, align), number as u8);
        if rng.bool() {
            held.push(piece.hide());
        } else {
            piece.give_back();
        }
    }
    held
}

fn assert_whole(held: &[Held<Piece>]) {
    held.iter()
        .for_each(|piece| piece.look(Piece::assert_whole));
}

/// All that only looks, what is noted of tags, and what gives memory back to the kernel.
fn look_around(held: &[Held<Piece>]) {
    HEAP.check().unwrap();
    assert!(!HEAP.report().to_string().is_empty());
    assert!(HEAP.holdings().count() > 0);
    for piece in held {
        assert_eq!(HEAP.tag_of(piece.start), Ok(KEPT));
        assert!(HEAP.usable_size(piece.start).unwrap() >= piece.layout.size());
    }
    HEAP.set_name(KEPT, "held").unwrap();
    HEAP.set_limit(KEPT, Some(1 << 40)).unwrap();
    HEAP.set_limit(KEPT, None).unwrap();
    HEAP.reset_peak(KEPT).unwrap();
    HEAP.forget(KEPT).unwrap();
    assert_eq!(objects(KEPT), held.len());
    HEAP.trim().unwrap();
    HEAP.purge().unwrap();
    HEAP.check().unwrap();
}

#[test]
fn nothing_asked_of_the_heap_touches_what_is_held() {
    alone(|| {
        let held = some(KEPT, 1);
        look_around(&held);
        assert_whole(&held);
        for size in [0, 100, LARGEST, 10 * LARGEST] {
            let piece = Piece::take(KEPT, bytes(size), 1);
            let (start, again) = (piece.start, piece.again());
            piece.give_back();
            assert!(size > LARGEST || again.free() == Err(double_free(start)));
            again.free().unwrap_err();
        }
        // Others come between, are refused, and go with their tag.
        let others = some(OTHER, 2);
        scope(OTHER, || assert!(HEAP.allocate(bytes(1 << 60)).is_err()));
        for size in [1 << 60, (1 << 60) + 1] {
            assert_eq!(scope(OTHER, || face::alloc(bytes(size))), None);
        }
        look_around(&held);
        assert_whole(&others);
        drop(others);
        // SAFETY: nobody uses them any more.
        unsafe { HEAP.release(OTHER) }.unwrap();
        look_around(&held);
        assert_whole(&held);
        held.into_iter().for_each(Piece::shown_and_given_back);
        assert_gone(KEPT);
        assert_gone(OTHER);
    });
}

/// Those that end have more at hand, and leave spans with pieces in use; others take over what they left.
#[test]
fn threads_that_come_and_go_touch_nothing_that_is_held() {
    alone(|| {
        let mut held = Vec::new();
        for round in 0..6 {
            let taken = [0, 1].map(|number| thread::spawn(move || some(KEPT, 10 * round + number)));
            for thread in taken {
                held.extend(thread.join().unwrap());
            }
            look_around(&held);
            // Another thread gives some back, among them those of the threads that ended.
            Rng::with_seed(round).shuffle(&mut held);
            let some = held.split_off(held.len() / 2);
            thread::spawn(move || some.into_iter().for_each(Piece::shown_and_given_back))
                .join()
                .unwrap();
            look_around(&held);
            assert_whole(&held);
        }
        held.into_iter().for_each(Piece::shown_and_given_back);
        assert_gone(KEPT);
    });
}
