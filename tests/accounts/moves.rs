//! Blocks that change their tag; forecasts of a release.

use tagheap::{
    Amount, Directory, Error, Forecast, Heap, Key, Misuse, Reserve, Rule, Split, Tag, Whole,
};

use crate::{A, B, C, bytes, heap, heap_in, take};

#[test]
fn a_merge_gives_all_blocks_to_another_tag() {
    let mut heap = heap();
    let blocks: Vec<_> = (0..50).map(|size| take(&mut heap, A, size)).collect();
    take(&mut heap, B, 8);
    let held = heap.stats_of(A).unwrap();
    let amount = heap.merge(A, B).unwrap();
    assert_eq!(
        amount,
        Amount {
            blocks: 50,
            bytes: held.bytes
        }
    );
    assert!(blocks.iter().all(|block| heap.tag_of(*block) == Ok(B)));
    assert_eq!(heap.stats_of(A).unwrap().blocks, 0);
    assert_eq!(heap.stats_of(A).unwrap().allocations, 50);
    assert_eq!(heap.stats_of(B).unwrap().requested, held.requested + 8);
    heap.check().unwrap();
    assert_eq!(heap.merge(A, B).unwrap(), Amount::default());
    assert_eq!(heap.merge(B, B).unwrap().blocks, 51);
    let refused = heap.merge(B, Tag::FREE).unwrap_err();
    assert_eq!(
        refused,
        Error::Misuse(Misuse::ReservedTag { tag: Tag::FREE })
    );
    // SAFETY: nobody uses the blocks.
    assert_eq!(unsafe { heap.release(B) }.unwrap().blocks, 51);
    heap.check().unwrap();
}

#[test]
fn a_merge_without_a_ledger_walks() {
    let mut heap = heap_in(4096);
    let block = take(&mut heap, A, 8);
    take(&mut heap, C, 8);
    assert_eq!(
        heap.merge(A, B).unwrap(),
        Amount {
            blocks: 1,
            bytes: 48
        }
    );
    assert_eq!(heap.tag_of(block), Ok(B));
    heap.check().unwrap();
}

#[test]
fn a_forecast_comes_true() {
    let mut heap = heap();
    take(&mut heap, A, 100);
    take(&mut heap, B, 100);
    take(&mut heap, A, 100);
    take(&mut heap, C, 100);
    take(&mut heap, A, 100);
    for tag in [A, C, B] {
        let forecast = heap.would_release(tag).unwrap();
        // SAFETY: nobody uses the blocks.
        let amount = unsafe { heap.release(tag) }.unwrap();
        assert_eq!(
            (forecast.amount, forecast.end),
            (amount, heap.end()),
            "{tag}"
        );
    }
}

/// Holes in front of the last blocks go with them, and those between others do not; nothing ends sooner where
/// blocks are reused whole.
#[test]
fn a_forecast_knows_of_holes_and_of_the_rule() {
    fn under<R: Rule>(rule: R) {
        let source = Reserve::new().unwrap();
        let mut heap = Heap::with(source, rule, Directory::new(), Key::FIXED).unwrap();
        let tags = [C, A, B, A, B, C, A, B, A];
        let blocks = tags.map(|tag| {
            let block = heap.allocate(tag, bytes(100)).unwrap();
            block.cast::<u8>()
        });
        for hole in [1, 5, 7] {
            // SAFETY: the block is the test's.
            unsafe { heap.deallocate(blocks[hole], bytes(100)) }.unwrap();
        }
        for tag in [A, B, C, A] {
            let end = heap.end();
            let forecast = heap.would_release(tag).unwrap();
            assert_eq!(heap.end(), end, "nothing is done");
            // SAFETY: nobody uses the blocks.
            let amount = unsafe { heap.release(tag) }.unwrap();
            assert_eq!((forecast.amount, forecast.end), (amount, heap.end()));
        }
    }
    under(Split);
    under(Whole);
}

/// A release of them is refused.
#[test]
fn a_forecast_for_tags_of_the_heaps_own_is_that_nothing_goes() {
    for mut heap in [heap_in(4096), heap_in(80 << 10)] {
        let nothing = |heap: &Heap<_>| Forecast {
            amount: Amount::default(),
            end: heap.end(),
        };
        for tag in [Tag::HEAP, Tag::FREE, Tag::FOREIGN] {
            assert_eq!(heap.would_release(tag), Ok(nothing(&heap)), "{tag}");
            assert_eq!(heap.stats_of(tag).unwrap().amount(), Amount::default());
        }
        take(&mut heap, A, 100);
        for tag in [Tag::HEAP, Tag::FREE, Tag::FOREIGN, B] {
            assert_eq!(heap.would_release(tag), Ok(nothing(&heap)), "{tag}");
            assert_eq!(heap.stats_of(tag).unwrap().amount(), Amount::default());
        }
    }
}

#[test]
fn the_last_block_pins_the_end() {
    let mut heap = heap();
    assert_eq!(heap.pinned_by(), Ok(None));
    take(&mut heap, A, 100);
    let last = take(&mut heap, B, 100);
    assert_eq!(heap.pinned_by(), Ok(Some(B)));
    heap.retag(last, C).unwrap();
    assert_eq!(heap.pinned_by(), Ok(Some(C)));
    // SAFETY: nobody uses the blocks.
    unsafe { heap.release(C) }.unwrap();
    assert_eq!(heap.pinned_by(), Ok(Some(A)));
}

/// The last block goes to the end of the row with whatever is free in front of it, and says how it went.
#[test]
fn the_last_block_takes_the_hole_in_front_along() {
    for holes in 0..3 {
        let mut heap = heap();
        take(&mut heap, A, 100);
        let end = heap.end();
        let holes: Vec<_> = (0..holes).map(|_| take(&mut heap, A, 200)).collect();
        let last = take(&mut heap, B, 300);
        for hole in holes {
            // SAFETY: the block is the test's.
            unsafe { heap.deallocate(hole, bytes(200)) }.unwrap();
        }
        let amount = Amount {
            blocks: 1,
            bytes: 304 + 32,
        };
        // SAFETY: nobody uses the block.
        let released = unsafe { heap.release(B) };
        assert_eq!(released, Ok(amount));
        assert_eq!(heap.end(), end);
        heap.check().unwrap();
        let address = last.addr().get();
        assert_eq!(heap.tag_of(last), Err(Misuse::Released { address }.into()));
    }
}
