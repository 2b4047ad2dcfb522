//! Marks of an arena, and pieces of no bytes in it.

use std::alloc::Layout;

use tagheap::{Bump, Error, Kind, Misuse, Pool, Share, Tag};

use crate::in_reserve;
use crate::pieces::{give, moved, resize, scribble, stranger};

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 1).unwrap()
}

/// The chunk of a mark went back to the heap, and another came to the same place that ends before the mark.
#[test]
fn a_mark_behind_the_end_of_another_chunk_is_stale() {
    in_reserve(|heap| {
        let mut bump = Bump::new(Pool::new(heap, Tag::new(1)));
        let start = bump.mark();
        let first = bump.allocate(bytes(2000)).unwrap().addr();
        let mark = bump.mark();
        bump.rewind(start).unwrap();

        assert_eq!(bump.allocate(bytes(8)).unwrap().addr(), first);
        bump.allocate(bytes(1500)).unwrap();
        assert_eq!(bump.rewind(mark), Err(Error::from(Misuse::StaleMark)));
        let usage = bump.usage().unwrap();
        assert_eq!((usage.used, usage.live()), (1508, 2), "nothing changed");
        bump.check().unwrap();
    });
}

/// However large the other is, and however much is in it.
#[test]
fn a_mark_in_another_chunk_at_the_same_place_is_stale() {
    in_reserve(|heap| {
        let mut bump = Bump::new(Pool::new(heap, Tag::new(1)));
        bump.allocate(bytes(600)).unwrap();
        let start = bump.mark();
        bump.allocate(bytes(300)).unwrap();
        let first = bump.allocate(bytes(2000)).unwrap().addr();
        let mark = bump.mark();
        bump.rewind(start).unwrap();

        let second = bump.allocate(bytes(2000)).unwrap().addr();
        assert_eq!(second, first, "in another chunk");
        for chunks in 1..3 {
            let before = bump.usage().unwrap();
            assert_eq!(bump.rewind(mark), Err(Error::from(Misuse::StaleMark)));
            assert_eq!(bump.usage().unwrap(), before, "nothing changed");
            bump.check().unwrap();
            bump.allocate(bytes(4000 * chunks)).unwrap();
        }
        bump.rewind(start).unwrap();
        assert_eq!(bump.usage().unwrap().used, 600);
    });
}

/// Also that of one which had no chunk yet: there was nothing then, and all would go back.
#[test]
fn a_mark_of_another_arena_is_stale() {
    in_reserve(|heap| {
        let arena = |tag| Bump::new(Pool::new(heap, Tag::new(tag)));
        let (empty, other) = (arena(1), arena(2));
        other.allocate(bytes(8)).unwrap();
        let mut bump = arena(3);
        let own = bump.mark();
        bump.allocate(bytes(100)).unwrap();
        for mark in [empty.mark(), other.mark()] {
            assert_eq!(bump.rewind(mark), Err(Error::from(Misuse::StaleMark)));
            assert_eq!(bump.usage().unwrap().used, 100, "nothing changed");
        }
        bump.rewind(own).unwrap();
        assert_eq!(bump.usage().unwrap().used, 0);
        bump.rewind(own).unwrap();
    });
}

/// What was given back after a mark was given back, though the way to the mark leads past it.
#[test]
fn a_way_back_forgets_nothing_that_was_given_back() {
    in_reserve(|heap| {
        let mut bump = Bump::new(Pool::new(heap, Tag::new(1)));
        let [one, two, _] = [8, 16, 24].map(|size| bump.allocate(bytes(size)).unwrap().cast());
        let mark = bump.mark();
        give(&bump, one, bytes(8)).unwrap();
        give(&bump, two, bytes(16)).unwrap();
        let before = bump.usage().unwrap();
        assert_eq!((before.deallocations, before.live()), (2, 1));
        bump.rewind(mark).unwrap();
        assert_eq!(bump.usage().unwrap(), before, "nothing came since");

        bump.allocate(bytes(8)).unwrap();
        (0..4).for_each(|_| assert!(bump.allocate(bytes(8)).is_ok()));
        bump.rewind(mark).unwrap();
        // Of the five taken back with the mark and the two before, as many as are known to be different ones.
        let usage = bump.usage().unwrap();
        assert_eq!((usage.allocations, usage.deallocations), (8, 5), "{usage}");
        bump.check().unwrap();
    });
}

/// A chunk's note is nobody's piece, be the chunk the newest or not.
#[test]
fn what_stands_in_front_of_pieces_is_none() {
    in_reserve(|heap| {
        let bump = Bump::new(Pool::new(heap, Tag::new(1)));
        let pieces = [600, 1500].map(|size| bump.allocate(bytes(size)).unwrap().cast());
        let before = bump.usage().unwrap();
        for piece in pieces {
            for by in 1..=32 {
                let note = moved(piece, -by);
                assert_eq!(bump.contains(note), Ok(false));
                assert_eq!(give(&bump, note, bytes(1)), Err(stranger(note)), "{by}");
                let grown = resize(&bump, note, bytes(1), bytes(2));
                assert_eq!(grown, Err(stranger(note)), "{by}");
            }
        }
        assert_eq!(bump.usage().unwrap(), before);
        bump.check().unwrap();
    });
}

/// Be it the last or not, and the arena full: it takes nothing.
#[test]
fn a_piece_resized_to_its_own_size_stays() {
    in_reserve(|heap| {
        let bump = Bump::new(Pool::new(heap, Tag::new(1)).bounded(1 << 10));
        let sizes = [0, 1, 40, 600].map(bytes);
        let pieces = sizes.map(|size| bump.allocate(size).unwrap().cast());
        while bump.allocate(bytes(1)).is_ok() {}
        let before = bump.usage().unwrap();
        for (piece, size) in pieces.into_iter().zip(sizes) {
            assert_eq!(resize(&bump, piece, size, size).unwrap().cast(), piece);
        }
        // One of no bytes has an address of its own, and so a byte.
        let one = resize(&bump, pieces[0], bytes(0), bytes(1)).unwrap();
        assert_eq!(one.cast(), pieces[0]);
        assert_eq!(bump.usage().unwrap(), before);
        assert!(resize(&bump, pieces[2], bytes(40), bytes(41)).is_err());
        bump.check().unwrap();
    });
}

/// Chunks cannot go back while somebody visits the heap's blocks: a reset or a way back that needs it is refused, and no
/// chunk, piece or number is lost.
#[test]
fn a_way_back_in_a_busy_heap_changes_nothing() {
    in_reserve(|heap| {
        let mut bump = Bump::new(Pool::new(heap, Tag::new(1)));
        let busy = Err(Error::from(Misuse::Reentered));
        let start = bump.mark();
        let first = bump.allocate(bytes(600)).unwrap();
        let [mark, before] = [bump.mark(), bump.mark()];
        let later = [1500, 3000].map(|size| bump.allocate(bytes(size)).unwrap());
        let newest = bump.mark();
        let usage = bump.usage().unwrap();
        for back in [Some(start), Some(mark), None] {
            let refused = heap.look(|_heap| match back {
                Some(mark) => bump.rewind(mark),
                None => bump.reset(),
            });
            assert_eq!(refused.unwrap(), busy);
            assert_eq!(bump.usage().unwrap(), usage);
            bump.check().unwrap();
            for piece in [first, later[0], later[1]] {
                assert_eq!(bump.contains(piece.cast()), Ok(true));
            }
        }
        let last = bump.allocate(bytes(8)).unwrap();
        assert_eq!(
            last.addr().get(),
            later[1].addr().get() + 3000,
            "it goes on"
        );
        // The newest chunk is known by marks of before.
        bump.rewind(newest).unwrap();
        assert_eq!(bump.usage().unwrap().used, usage.used);
        // What needs no chunk to go needs no heap.
        let mark = bump.mark();
        bump.allocate(bytes(8)).unwrap();
        heap.look(|_heap| bump.rewind(mark)).unwrap().unwrap();
        bump.rewind(before).unwrap();
        assert_eq!(bump.usage().unwrap().used, 600);
        bump.check().unwrap();
    });
}

/// Half of the chunks went back to the heap, and the next is damaged: nothing is handed out of what went.
#[test]
fn a_way_back_that_ends_half_way_leaves_no_room() {
    in_reserve(|heap| {
        let mut bump = Bump::new(Pool::new(heap, Tag::new(1)));
        bump.allocate(bytes(600)).unwrap();
        let mark = bump.mark();
        let [second, third] = [1500, 3000].map(|size| bump.allocate(bytes(size)).unwrap());
        let at = second.addr().get();
        let blocks = heap.look(|heap| heap.walk().map(Result::unwrap).collect::<Vec<_>>());
        let block = blocks
            .unwrap()
            .into_iter()
            .find(|block| (block.at..block.at + block.size).contains(&at));
        let size = moved(second.cast(), 8 - (at - block.unwrap().at) as isize);
        scribble(size, 1, 0xff);
        let refused = bump.rewind(mark);
        assert!(matches!(refused, Err(Error::Corruption(_))), "{refused:?}");
        // Somebody else has it now.
        let theirs = heap.allocate(Tag::new(2), bytes(5000)).unwrap();
        let taken = theirs.addr().get()..theirs.addr().get() + 5000;
        assert!(taken.contains(&third.addr().get()));
        for _ in 0..20 {
            let piece = bump.allocate(bytes(100)).unwrap().addr().get();
            assert!(!taken.contains(&piece) && !taken.contains(&(piece + 99)));
        }
    });
}

/// Be it the only chunk, the newest or the oldest, in any byte of what stands in front of its first piece.
#[test]
fn a_reset_finds_damage_to_any_chunk() {
    for (chunks, damaged) in [(1, 0), (2, 0), (2, 1), (3, 0), (3, 2)] {
        for byte in 1..=32 {
            in_reserve(|heap| {
                let mut bump = Bump::new(Pool::new(heap, Tag::new(1)));
                let firsts = [600, 1500, 3000].map(bytes);
                let firsts = firsts.iter().take(chunks);
                let firsts: Vec<_> = firsts.map(|first| bump.allocate(*first).unwrap()).collect();
                let note = moved(firsts[damaged].cast(), -byte);
                // SAFETY: in the pool's chunk, which nobody uses meanwhile.
                let was = unsafe { note.read() };
                scribble(note, 1, !was);
                let refused = bump.reset();
                assert!(matches!(refused, Err(Error::Corruption(_))), "{refused:?}");
                scribble(note, 1, was);
                if damaged + 1 == chunks {
                    bump.reset().unwrap();
                    assert_eq!(bump.usage().unwrap().used, 0);
                }
            });
        }
    }
}

/// Wherever the cursor stands, and whatever the alignment.
#[test]
fn pieces_of_no_bytes_have_addresses_of_their_own() {
    in_reserve(|heap| {
        let bump = Bump::new(Pool::new(heap, Tag::new(1)));
        let mut taken = std::collections::BTreeSet::new();
        for round in 0..200 {
            let (size, align) = ([0, 1, 0, 3][round % 4], 1 << (round % 7));
            let layout = Layout::from_size_align(size, align).unwrap();
            let piece = bump.allocate(layout).unwrap();
            let at = piece.addr().get();
            assert_eq!((piece.len(), at % align), (size, 0));
            for byte in at..at + size.max(1) {
                assert!(taken.insert(byte), "{layout:?} at {at:#x}");
            }
        }
    });
}
