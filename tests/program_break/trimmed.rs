//! The break goes down again, if it is ours (B11).

use crate::ground::{
    Blocks, Foreign, KIB, MIB, Mine, PAGE, brk, fences, heap_at_the_break, resident, take_foreign,
};

pub(crate) fn b11_the_break_falls_behind_the_last_block() {
    let mut heap = heap_at_the_break();
    let blocks = Blocks::take(&mut heap, 20, 1000);
    for _ in 0..3 {
        let large = Mine::take(&mut heap, 4 * MIB).expect("room");
        let high = brk(0);
        large.give_back(&mut heap);
        assert_eq!(brk(0), high, "4 MiB are kept for the next request");
        let given = heap.trim();
        assert_eq!(brk(0), high - given);
        assert!(given >= 4 * MIB, "{given}");
        let spare = brk(0) - heap.end();
        assert!(
            (32..32 + PAGE).contains(&spare),
            "{spare} bytes beyond the end"
        );
        assert_eq!(heap.trim(), 0, "there is no more to give");
        heap.check().expect("a whole heap");
        blocks.assert_intact();
    }
    // More than 128 MiB go back unasked, but for some to grow into.
    let large = Mine::take(&mut heap, 192 * MIB).expect("room");
    let high = brk(0);
    large.give_back(&mut heap);
    assert!(brk(0) < high - 144 * MIB);
    heap.check().expect("a whole heap");
}

pub(crate) fn b11_the_break_never_falls_past_foreign_bytes() {
    let mut heap = heap_at_the_break();
    let blocks = Blocks::take(&mut heap, 20, 1000);
    let large = Mine::take(&mut heap, MIB).expect("room");
    large.give_back(&mut heap);

    let foreign = take_foreign(100);
    assert_eq!(heap.trim(), 0);
    assert_eq!(brk(0), foreign.range.end);
    foreign.assert_intact();
    heap.check().expect("a whole heap");

    // The heap goes on behind the fence, and gives back what lies behind it, but not the fence.
    let large = Mine::take(&mut heap, 4 * MIB).expect("room");
    large.give_back(&mut heap);
    let more = Mine::take(&mut heap, 2 * MIB).expect("room");
    more.give_back(&mut heap);
    assert!(heap.trim() >= 3 * MIB);
    assert!(brk(0) >= foreign.range.end);
    assert!(foreign.is_inside(&fences(&heap)[0]));
    let again = Mine::take(&mut heap, 300 * KIB).expect("room");
    again.assert_intact();
    Foreign::assert_intact(&foreign);
    blocks.assert_intact();
    heap.check().expect("a whole heap");
}

pub(crate) fn pages_of_free_blocks_go_back_and_the_break_stays() {
    let mut heap = heap_at_the_break();
    let blocks = Blocks::take(&mut heap, 20, 1000);
    let large = Mine::take(&mut heap, 4 * MIB).expect("room");
    let behind = Mine::take(&mut heap, 100).expect("room");
    heap.trim();
    let (high, before) = (brk(0), resident());
    large.give_back(&mut heap);
    let given = heap.purge().expect("a whole row");
    assert!((4 * MIB - 2 * PAGE..=4 * MIB).contains(&given), "{given}");
    assert_eq!(brk(0), high, "a block in use stands at the end");
    assert!(before - resident() > 3 * MIB, "{before} before");
    blocks.assert_intact();
    behind.assert_intact();

    // Where somebody else has what follows, the break cannot fall, but pages go.
    let foreign = take_foreign(100);
    behind.give_back(&mut heap);
    let granted = heap.stats().expect("a whole row").granted;
    let beyond = granted - (heap.end() - heap.base());
    assert_eq!(heap.trim(), 0);
    let given = heap.purge().expect("a whole row");
    assert!(
        given <= beyond && beyond - given < 2 * PAGE,
        "{given} of {beyond}"
    );
    foreign.assert_intact();
    blocks.assert_intact();
    let again = Mine::take_zeroed(&mut heap, 5 * MIB).expect("room");
    again.assert_intact();
    heap.check().expect("a whole heap");
}
