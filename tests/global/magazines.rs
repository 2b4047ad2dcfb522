//! What a thread has at hand: not in use in any number, bounded, and no reason for a span to stay.

use std::sync::mpsc;
use std::thread;

use fastrand::Rng;
use tagheap::Tag;

use crate::HEAP;
use crate::careless::{free, take};
use crate::support::{
    LARGEST, Piece, alone, assert_gone, blocks, bytes, double_free, holding, objects, pieces,
    slot_size, slots,
};

const SIZES: [usize; 8] = [16, 64, 200, 512, 1024, 2500, 4096, LARGEST];

/// Slots that a thread has at hand at most.
fn at_hand(size: usize) -> usize {
    ((64 << 10) / slot_size(bytes(size)).unwrap()).clamp(4, 128)
}

#[test]
fn what_is_at_hand_is_not_in_use() {
    const TAG: Tag = Tag::named("mag used");
    alone(|| {
        for size in SIZES {
            let slot = slot_size(bytes(size)).unwrap();
            let mut pieces = pieces(TAG, size, 300);
            let kept = pieces.pop().unwrap();
            while let Some(piece) = pieces.pop() {
                piece.assert_whole();
                piece.free().unwrap();
                let held = holding(TAG);
                let in_use = pieces.len() + 1;
                assert_eq!((held.objects, held.bytes), (in_use, in_use * slot));
                let twice = Err(double_free(piece.start));
                assert_eq!(piece.free(), twice);
                let by_another = thread::scope(|scope| scope.spawn(|| piece.free()).join());
                assert_eq!(by_another.unwrap(), twice);
                assert_eq!(HEAP.tag_of(piece.start), twice.map(|()| TAG));
                assert_eq!(HEAP.usable_size(piece.start), twice.map(|()| 0));
                assert_eq!(holding(TAG), held);
            }
            kept.give_back();
        }
        HEAP.trim().unwrap();
        assert_eq!(blocks(TAG), 0);
    });
}

/// What was given back last is handed out first, likely still in the processor's caches.
#[test]
fn what_was_given_back_last_is_handed_out_first() {
    const TAG: Tag = Tag::named("mag last");
    alone(|| {
        for size in SIZES {
            let pieces = [(); 50].map(|()| take(TAG, bytes(size)));
            let some = &pieces[..at_hand(size).min(50) / 2];
            // Nothing is at hand in the way of these.
            some.iter().for_each(|ptr| free(*ptr, bytes(size)).unwrap());
            let few = some.len().min(4) / 2;
            for ptr in some.iter().rev().take(few) {
                assert_eq!(take(TAG, bytes(size)), *ptr, "{size}");
            }
            let last = pieces[49];
            for _ in 0..1000 {
                free(last, bytes(size)).unwrap();
                assert_eq!(take(TAG, bytes(size)), last);
            }
        }
    });
}

/// In whatever order objects are given back, of their spans no more than one stays.
#[test]
fn spans_of_large_slots_go_when_they_are_empty() {
    const TAG: Tag = Tag::named("mag gone");
    let mut rng = Rng::with_seed(1);
    alone(|| {
        for size in SIZES {
            let count = 40 * slots(size);
            for order in 0..4 {
                let mut taken: Vec<_> = (0..count).map(|_| take(TAG, bytes(size))).collect();
                assert!(blocks(TAG) <= 42, "{}", HEAP.report());
                match order {
                    0 => {}
                    1 => taken.reverse(),
                    2 => rng.shuffle(&mut taken),
                    // One of each span at last.
                    _ => taken.sort_by_key(|ptr| ptr.addr().get() & 0xffff == 0),
                }
                for ptr in taken {
                    free(ptr, bytes(size)).unwrap();
                }
                assert_eq!(objects(TAG), 0);
                assert_eq!(blocks(TAG), 1, "{size} {order}: {}", HEAP.report());
            }
            HEAP.trim().unwrap();
            assert_eq!(blocks(TAG), 0);
        }
    });
}

/// Where what comes back after requests is the last of its spans, these stay for as many requests as are at hand.
#[test]
fn what_is_at_hand_keeps_a_bounded_number_of_spans() {
    const TAG: Tag = Tag::named("mag pins");
    alone(|| {
        for size in SIZES {
            let spans = at_hand(size) + 40;
            let mut taken: Vec<_> = (0..spans * slots(size))
                .map(|_| take(TAG, bytes(size)))
                .collect();
            let lone = |ptr: &core::ptr::NonNull<u8>| ptr.addr().get() & 0xffff == 0;
            let last: Vec<_> = taken.extract_if(.., |ptr| lone(ptr)).collect();
            for ptr in taken {
                free(ptr, bytes(size)).unwrap();
            }
            // Nothing is at hand now but what was asked for at once, and much may be held again.
            let more: Vec<_> = (0..2 * at_hand(size))
                .map(|_| take(TAG, bytes(size)))
                .collect();
            let before = blocks(TAG);
            assert!(before >= spans, "{size}");
            for ptr in last {
                free(ptr, bytes(size)).unwrap();
            }
            let most = at_hand(size) + 2 * at_hand(size).div_ceil(slots(size)) + 2;
            assert!(blocks(TAG) <= most, "{size}: {}", HEAP.report());
            more.into_iter()
                .for_each(|ptr| free(ptr, bytes(size)).unwrap());
            assert_gone(TAG);
        }
    });
}

/// What others give back serves the owner again: his spans do not become more.
#[test]
fn what_others_give_back_is_found() {
    const TAG: Tag = Tag::named("mag back");
    alone(|| {
        for size in SIZES {
            let count = 3 * slots(size);
            for round in 0..20 {
                let pieces = pieces(TAG, size, count);
                // A whole span, what is at hand, and one for who finds little.
                let most = 3 + at_hand(size).div_ceil(slots(size)) + 1;
                assert!(blocks(TAG) <= most, "{size} {round}: {}", HEAP.report());
                let (own, others): (Vec<_>, Vec<_>) =
                    { pieces.into_iter().enumerate() }.partition(|(n, _)| n % 3 == round % 3);
                let back = || others.into_iter().for_each(|(_, piece)| piece.give_back());
                thread::scope(|scope| scope.spawn(back).join().unwrap());
                // Into spans that others changed.
                own.into_iter().for_each(|(_, piece)| piece.give_back());
                assert_eq!(objects(TAG), 0);
            }
            HEAP.trim().unwrap();
            assert_eq!(blocks(TAG), 0, "{size}");
        }
    });
}

/// One takes, another gives back, always: that takes no more memory than is between them.
#[test]
fn what_is_passed_on_takes_no_more_than_is_under_way() {
    const TAG: Tag = Tag::named("mag pass");
    const WAY: usize = 100;
    alone(|| {
        for size in SIZES {
            let (send, receive) = mpsc::sync_channel::<Piece>(WAY);
            let most = WAY.div_ceil(slots(size)) + at_hand(size).div_ceil(slots(size)) + 3;
            thread::scope(|scope| {
                let other = scope.spawn(move || {
                    receive.iter().for_each(Piece::give_back);
                });
                for n in 0..30_000 {
                    send.send(Piece::take(TAG, bytes(size), n as u8)).unwrap();
                    if n % 1000 == 0 {
                        assert!(blocks(TAG) <= most, "{size}: {}", HEAP.report());
                    }
                }
                drop(send);
                // Its end too: it may have taken over what the last one left.
                other.join().unwrap();
            });
            assert_gone(TAG);
        }
    });
}

/// What is at hand when its tag is released is nobody's any more.
#[test]
fn what_is_at_hand_goes_with_its_tag() {
    const TAG: Tag = Tag::named("mag rel");
    const KEPT: Tag = Tag::named("mag kept");
    let use_it = |byte| {
        for size in SIZES {
            let pieces = [(); 60].map(|()| Piece::take(TAG, bytes(size), byte));
            for piece in pieces.into_iter().skip(byte as usize % 7).step_by(2) {
                piece.give_back();
            }
        }
    };
    alone(|| {
        let kept = Piece::take(KEPT, bytes(100), 9);
        let (go, wait) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                for byte in 0..=255 {
                    use_it(byte);
                    done.send(()).unwrap();
                    wait.recv().unwrap();
                }
            });
            for round in 0..=255 {
                use_it(round);
                is_done.recv().unwrap();
                // In the way of what starts where spans did.
                let other = Piece::take(KEPT, bytes(300_000), round);
                // SAFETY: nobody uses what is under it.
                unsafe { HEAP.release(TAG) }.unwrap();
                assert_eq!((objects(TAG), blocks(TAG)), (0, 0));
                let more = [(); 40].map(|()| Piece::take(TAG, bytes(64), round));
                assert_eq!(objects(TAG), 40);
                more.into_iter().for_each(Piece::give_back);
                other.give_back();
                go.send(()).unwrap();
            }
        });
        kept.give_back();
        HEAP.check().unwrap();
    });
}

/// Of two tags of one thread each has its own at hand, whichever is in force when something is given back.
#[test]
fn each_tag_gets_its_own_back() {
    const TAGS: [Tag; 2] = [Tag::named("mag one"), Tag::named("mag two")];
    alone(|| {
        for size in SIZES {
            for _ in 0..5 {
                let pieces: Vec<_> = (0..200)
                    .map(|n| Piece::take(TAGS[n % 2], bytes(size), n as u8))
                    .collect();
                for (n, piece) in pieces.into_iter().enumerate() {
                    assert_eq!(HEAP.tag_of(piece.start), Ok(TAGS[n % 2]));
                    tagheap::scope(TAGS[(n / 2) % 2], || piece.give_back());
                    assert_eq!(objects(TAGS[0]) + objects(TAGS[1]), 199 - n);
                }
                for tag in TAGS {
                    let piece = Piece::take(tag, bytes(size), 1);
                    assert_eq!(HEAP.tag_of(piece.start), Ok(tag));
                    piece.give_back();
                }
            }
        }
    });
}
