//! What somebody holds is his alone: no operation reads or writes a byte of it that is not asked to copy or clear it.
//!
//! Every operation of a [`Rig`] hides the blocks in use from the heap; here are those that others leave out. Who
//! touches what is hidden is found by AddressSanitizer, who writes to it by any run.

use core::ptr::NonNull;

use tagheap::{Error, Tag};
use tagheap_trace::{Held, is_hidden};

use crate::scene::{A, B, Op, run, scene};
use crate::shadow;
use crate::support::{Careless, Config, Live, Rig, Shaken, bytes};

stamp!(buffer_and_reserve: held_no_operation_touches_what_is_held);
stamp!(stepped: held_no_operation_touches_what_is_held);
stamp!(shaken: held_no_operation_touches_others);

#[test]
fn held_bytes_are_hidden_and_shown_again() {
    let mut bytes = [7_u64; 4];
    let first = NonNull::from(&mut bytes).cast::<u8>();
    let held = Held::new((), first, 32);
    assert_eq!(is_hidden(first), cfg!(asan), "until it is shown");
    held.look(|()| assert!(!is_hidden(first)));
    assert_eq!(is_hidden(first), cfg!(asan), "and after a look");
    held.show();
    assert!(!is_hidden(first));
    assert_eq!(bytes, [7; 4]);
}

/// Whether the holder gives a block to an operation of the scene's.
fn is_given(op: Op, own: Live, block: &Live) -> bool {
    match op {
        Op::Deallocate | Op::DeallocateIn | Op::Shrink => block.ptr == own.ptr,
        Op::Grow | Op::GrowByMoving | Op::GrowZeroed | Op::GrowToAlign => block.ptr == own.ptr,
        Op::Release | Op::ReleaseSince => block.tag == A,
        Op::ReleaseMany => block.tag == B,
        Op::ReleaseWhere => true,
        _ => false,
    }
}

fn held_no_operation_touches_others<C: Config<Ground: Shaken>>() {
    for neighbours_are_free in [false, true] {
        for op in scene::<C>(neighbours_are_free).ops() {
            let mut scene = scene::<C>(neighbours_are_free);
            let (own, mark) = (scene.own, scene.mark);
            let held = scene.rig.hide(|block| !is_given(op, own, block));
            let effect = run::<C>(op, &mut scene.rig.heap, own, mark).unwrap();
            drop(held);
            scene.note(effect);
        }
    }
}

fn held_no_operation_touches_what_is_held<C: Config>() {
    let mut random = fastrand::Rng::with_seed(41);
    let mut rig = Rig::<C>::new(20 << 10);
    for round in 0..2000 {
        match shadow::step(&mut rig, &mut random) {
            Ok(()) | Err(Error::OutOfMemory(_)) => rig.payloads(),
            Err(error) => panic!("{error}"),
        }
        match round % 30 {
            0 => look_around(&mut rig),
            10 => release_what_came(&mut rig, Tag::new(1 + round % 5)),
            20 => merge(&mut rig, Tag::new(1 + round % 5), Tag::new(9)),
            _ => {}
        }
    }
    rig.check();
    rig.contents();
}

/// All that only looks, and what is noted of tags.
fn look_around<C: Config>(rig: &mut Rig<C>) {
    let held: Vec<_> = rig.live.values().copied().collect();
    let has_ledger = rig.has_ledger();
    rig.unseen(|heap| {
        heap.check().unwrap();
        assert!(heap.walk().all(|block| block.is_ok()));
        heap.stats().unwrap();
        heap.pinned_by().unwrap();
        assert!(!format!("{}{}", heap.drawing(), heap.table()).is_empty());
        for tag in heap.tags().map(|stats| stats.tag).collect::<Vec<_>>() {
            assert!(heap.blocks_of(tag).all(|block| block.is_ok()));
            heap.stats_of(tag).unwrap();
            heap.would_release(tag).unwrap();
            heap.reset_peak(tag);
        }
        for tag in (0..40).map(|number| Tag::new(1 + number)) {
            let limited = heap.set_limit(tag, Some(1 << 30));
            let named = heap.set_name(tag, "somebody");
            assert!(limited.is_ok() && named.is_ok() || !has_ledger);
            heap.forget(tag);
        }
        for live in held {
            assert_eq!(heap.tag_of(live.ptr), Ok(live.tag));
            assert!(heap.contains(live.ptr));
            assert!(heap.usable_size(live.ptr).unwrap() >= live.layout.size());
            heap.requested_size(live.ptr).unwrap();
        }
    });
    rig.payloads();
}

/// A phase: what came since a mark goes.
fn release_what_came<C: Config>(rig: &mut Rig<C>, tag: Tag) {
    if !rig.has_ledger() {
        return;
    }
    let mark = rig.unseen(|heap| heap.mark());
    let came: Vec<_> = (0..4)
        .map_while(|n| rig.allocate(tag, bytes(100 * n)).ok())
        .collect();
    let held = rig.hide(|live| !came.contains(&live.ptr));
    let released = rig.heap.release_after(tag, mark).unwrap();
    drop(held);
    assert_eq!(released.blocks, came.len());
    rig.live.retain(|_, live| !came.contains(&live.ptr));
    rig.check();
    rig.payloads();
}

fn merge<C: Config>(rig: &mut Rig<C>, from: Tag, to: Tag) {
    rig.unseen(|heap| heap.merge(from, to)).unwrap();
    for live in rig.live.values_mut().filter(|live| live.tag == from) {
        live.tag = to;
    }
    rig.check();
    rig.payloads();
}
