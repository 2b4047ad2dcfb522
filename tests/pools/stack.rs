//! What is special to the stack.

use core::alloc::Layout;

use tagheap::{Error, Kind, Misuse, Pool, Reserve, Share, SharedHeap, Shortage, Stack, Tag, Typed};

use crate::{in_reserve, pieces::*};

const TAG: Tag = Tag::named("stack");

fn stack<H: Share>(heap: H, bytes: usize) -> Stack<H> {
    Stack::new(Pool::new(heap, TAG), bytes).unwrap()
}

#[test]
fn fits_until_it_is_full_and_says_what_is_too_large() {
    in_reserve(|heap| {
        let mut stack = Stack::small(Pool::new(heap, TAG)).unwrap();
        stack.allocate(of(200, 1)).unwrap();
        stack.allocate(of(300, 1)).unwrap();
        let lacking = |size| lack(stack.allocate(of(size, 1)));
        assert_eq!(lacking(1500), Shortage::Oversized { most: 1024 });
        assert_eq!(lacking(1025), Shortage::Oversized { most: 1024 });
        let (total, used) = (1024, 504);
        assert_eq!(lacking(600), Shortage::Full { total, used });
        assert_eq!(lacking(1024), Shortage::Full { total, used });
        assert_eq!(lacking(521), Shortage::Full { total, used });
        assert_eq!(stack.usage().unwrap().failures, 5);
        stack.allocate(of(520, 1)).unwrap();
        stack.reset().unwrap();
        stack.allocate(of(1024, 16)).unwrap();
        assert_eq!(stack.usage().unwrap().free(), 0);
        stack.reset().unwrap();
        (0..128).for_each(|_| assert!(stack.allocate(of(1, 1)).is_ok()));
        stack.allocate(of(0, 1)).unwrap_err();
        stack.check().unwrap();
    });
}

#[test]
fn a_limit_holds_for_requests_and_growth() {
    in_reserve(|heap| {
        let stack = stack(heap, 1024).with_limit(100);
        let most = Shortage::Oversized { most: 100 };
        assert_eq!(lack(stack.allocate(of(101, 1))), most);
        let piece = stack.allocate(of(100, 1)).unwrap().cast();
        assert_eq!(lack(resize(&stack, piece, of(100, 1), of(101, 1))), most);
        give(&stack, piece, of(100, 1)).unwrap();
        let generous = Stack::new(Pool::new(heap, Tag::new(2)), 64).unwrap();
        let generous = generous.with_limit(1000);
        let most = Shortage::Oversized { most: 64 };
        assert_eq!(lack(generous.allocate(of(65, 1))), most);
    });
}

#[test]
fn what_no_alignment_in_the_block_allows_is_overaligned() {
    in_reserve(|heap| {
        let stack = stack(heap, 256);
        let Shortage::Overaligned { most } = lack(stack.allocate(of(1, 1 << 40))) else {
            panic!("not overaligned");
        };
        stack.allocate(of(1, most)).unwrap();
    });
}

#[test]
fn misuse_is_named_and_changes_nothing() {
    in_reserve(|heap| {
        let stack = stack(heap, 1024);
        let _filler = stack.allocate(of(8, 128)).unwrap();
        let low = stack.allocate(of(24, 8)).unwrap().cast::<u8>();
        let padded = stack.allocate(of(40, 64)).unwrap().cast::<u8>();
        let last = stack.allocate(of(8, 8)).unwrap().cast::<u8>();
        let (before, drawn) = (stack.usage().unwrap(), stack.to_string());
        let late = |ptr| {
            let (address, top) = (at(ptr), at(last));
            Error::from(Misuse::OutOfOrder { address, top })
        };
        let rows = [
            (low, of(24, 8), late(low)),
            (low, of(17, 1), late(low)),
            (padded, of(40, 64), late(padded)),
            (low, of(16, 8), mismatch(low, 16, 24)),
            (low, of(32, 8), mismatch(low, 32, 24)),
            (padded, of(48, 64), mismatch(padded, 48, 40)),
            (padded, of(40, 1 << 40), misaligned(padded, 1 << 40)),
            (last, of(9, 8), mismatch(last, 9, 8)),
            (last, of(1 << 60, 8), mismatch(last, 1 << 60, 8)),
            (moved(low, 8), of(16, 8), not_a_block(moved(low, 8))),
            (moved(last, 1), of(1, 1), not_a_block(moved(last, 1))),
            (moved(padded, -8), of(48, 8), not_a_block(moved(padded, -8))),
            (moved(last, 8), of(8, 8), twice(moved(last, 8))),
            (
                moved(last, 1 << 40),
                of(8, 8),
                stranger(moved(last, 1 << 40)),
            ),
        ];
        for (ptr, layout, wanted) in rows {
            assert_eq!(give(&stack, ptr, layout), Err(wanted), "{ptr:?} {layout:?}");
            let larger = Layout::from_size_align(layout.size() + 64, layout.align()).unwrap();
            let refused = resize(&stack, ptr, layout, larger);
            assert_eq!(refused, Err(wanted), "grown: {ptr:?} {layout:?}");
            assert_eq!(
                (stack.usage().unwrap(), stack.to_string()),
                (before, drawn.clone())
            );
            stack.check().unwrap();
        }
        for (ptr, layout) in [(last, of(8, 8)), (padded, of(40, 64)), (low, of(24, 8))] {
            give(&stack, ptr, layout).unwrap();
            assert_eq!(give(&stack, ptr, layout), Err(twice(ptr)));
        }
    });
}

#[test]
fn a_mark_takes_back_what_came_later() {
    in_reserve(|heap| {
        let mut stack = stack(heap, 1024);
        let empty = stack.mark();
        let low = stack.allocate(of(24, 8)).unwrap().cast();
        let mark = stack.mark();
        let later: Vec<_> = [(8, 256), (16, 8), (1, 1)]
            .map(|(size, align)| stack.allocate(of(size, align)).unwrap())
            .into();
        let (used, live) = (stack.usage().unwrap().used, stack.usage().unwrap().live());
        assert!(used > 24 && live == 4);
        // SAFETY: nobody uses what came later.
        unsafe { stack.rewind_shared(mark) }.unwrap();
        stack.check().unwrap();
        assert_eq!(
            (stack.usage().unwrap().used, stack.usage().unwrap().live()),
            (24, 1)
        );
        assert_eq!(
            give(&stack, later[2].cast(), of(1, 1)),
            Err(twice(later[2].cast()))
        );
        assert_eq!(
            stack.allocate(of(8, 256)).unwrap(),
            later[0],
            "the same place"
        );
        stack.rewind(mark).unwrap();
        stack.rewind(mark).unwrap();
        give(&stack, low, of(24, 8)).unwrap();
        assert_eq!(
            stack.rewind(mark),
            Err(Misuse::StaleMark.into()),
            "lower since"
        );
        stack.allocate(of(64, 8)).unwrap();
        assert_eq!(
            stack.rewind(mark),
            Err(Misuse::StaleMark.into()),
            "within a piece"
        );
        stack.check().unwrap();
        let other = Stack::new(Pool::new(heap, Tag::new(2)), 1024).unwrap();
        assert_eq!(stack.rewind(other.mark()), Err(Misuse::StaleMark.into()));
        stack.rewind(empty).unwrap();
        assert_eq!(stack.usage().unwrap().live(), 0);
        stack.check().unwrap();
    });
}

#[test]
fn an_owner_that_goes_out_of_order_keeps_its_piece_until_a_rewind() {
    in_reserve(|heap| {
        let stack = stack(heap, 1024);
        let mark = stack.mark();
        let (low, high) = (stack.own(1_u64).unwrap(), stack.own(2_u64).unwrap());
        drop(low);
        assert_eq!((*high, stack.usage().unwrap().live()), (2, 2));
        drop(high);
        assert_eq!(stack.usage().unwrap().live(), 1, "the lower one is on top");
        // SAFETY: all owners are gone.
        unsafe { stack.rewind_shared(mark) }.unwrap();
        assert_eq!(stack.usage().unwrap().live(), 0);
        stack.check().unwrap();
    });
}

/// Every answer is as a vector of begins, starts and ends says, and the drawing adds up.
#[test]
fn agrees_with_a_vector() {
    in_reserve(|heap| {
        for seed in 0..60 {
            fastrand::seed(seed);
            let bytes = 8 * fastrand::usize(1..600);
            let stack = stack(heap, bytes);
            let first = stack.allocate(of(1, 1)).unwrap().cast::<u8>();
            let base = at(first);
            let pointer = |address: usize| moved(first, (address - base) as isize);
            let mut rows = vec![(base, base, of(1, 1), base + 8)];
            let mut marks = Vec::new();
            for _ in 0..200 {
                let align = 1 << fastrand::u32(..9);
                let new = of(fastrand::usize(..1 << fastrand::u32(..10)), align);
                let top = rows.last().map_or(base, |row| row.3);
                let place = |begin: usize, layout: Layout| {
                    let start = begin.next_multiple_of(layout.align().max(8));
                    let end = start + layout.size().max(1).next_multiple_of(8);
                    (end <= base + bytes).then_some((begin, start, layout, end))
                };
                match fastrand::u8(..8) {
                    0..4 => {
                        let answer = stack.allocate(new).ok().map(|piece| at(piece.cast()));
                        let row = place(top, new);
                        assert_eq!(answer, row.map(|row| row.1), "{new:?}");
                        rows.extend(row);
                    }
                    4 if !rows.is_empty() => {
                        let (_, start, layout, _) = rows.pop().unwrap();
                        give(&stack, pointer(start), layout).unwrap();
                    }
                    5 if !rows.is_empty() => {
                        // The piece on top.
                        let row = rows.pop().unwrap();
                        let aligned = row.1.is_multiple_of(new.align());
                        let from = if aligned { row.1 } else { row.0 };
                        let wanted = place(from, new).map(|place| (row.0, place.1, new, place.3));
                        let answer = resize(&stack, pointer(row.1), row.2, new);
                        assert_eq!(
                            answer.ok().map(|piece| at(piece.cast())),
                            wanted.map(|row| row.1)
                        );
                        rows.push(wanted.unwrap_or(row));
                    }
                    6 if rows.len() > 1 => {
                        // One below.
                        let which = fastrand::usize(..rows.len() - 1);
                        let row = rows[which];
                        let end = row.1 + new.size().max(1).next_multiple_of(8);
                        let fits = end <= row.3 && row.1.is_multiple_of(new.align());
                        let answer = resize(&stack, pointer(row.1), row.2, new);
                        assert_eq!(answer.is_ok(), fits, "{answer:?}");
                        if fits {
                            rows[which].2 = new;
                            rows[which].3 = end;
                            rows[which + 1].0 = end;
                        }
                    }
                    7 => {
                        marks.push((stack.mark(), top));
                        let (mark, height) = marks[fastrand::usize(..marks.len())];
                        let stale =
                            height > top || rows.iter().any(|row| row.1 < height && height < row.3);
                        // SAFETY: nobody uses any piece.
                        let answer = unsafe { stack.rewind_shared(mark) };
                        assert_eq!(answer.is_err(), stale, "{answer:?}");
                        if !stale {
                            rows.retain(|row| row.1 < height);
                        }
                    }
                    _ => {}
                }
                stack.check().unwrap();
                let top = rows.last().map_or(base, |row| row.3);
                let usage = stack.usage().unwrap();
                assert_eq!((usage.used, usage.live()), (top - base, rows.len() as u64));
                if top < base + bytes {
                    let rest = base + bytes - top;
                    scribble(pointer(top), rest, 0xff);
                    assert!(stack.to_string().ends_with(&format!("[{rest}]|")));
                }
            }
        }
    });
}

#[test]
fn every_flipped_bit_of_its_books_is_found() {
    in_reserve(|heap| {
        let stack = stack(heap, 1024);
        let base = stack.allocate(of(24, 1)).unwrap().cast::<u8>();
        stack.allocate(of(100, 64)).unwrap();
        stack.allocate(of(8, 8)).unwrap();
        // Two words of begins, one that sums them up with a bit each, two words of starts.
        for bit in (0..130).chain(192..320) {
            let word = moved(base, 1024 + bit / 8);
            assert!(is_found(&stack, word, bit as u32 % 8), "bit {bit}");
        }
    });
}

/// Where the note of a piece's end is damaged, a piece below it does not end before it starts.
#[test]
fn a_damaged_note_of_an_end_tells_no_size_below_nothing() {
    in_reserve(|heap| {
        let stack = stack(heap, 1024);
        let base = stack.allocate(of(24, 1)).unwrap().cast::<u8>();
        // Its alignment leaves 24 bytes free in front.
        let strict = stack.allocate(of(8, 64)).unwrap().cast::<u8>();
        stack.allocate(of(8, 8)).unwrap();
        // Where the top stood before the last piece.
        let end = at(strict) + 8 - at(base);
        let word = moved(base, (1024 + end / 8 / 8) as isize);
        // SAFETY: in the chunk, whose books nobody else in the test uses.
        let old = unsafe { word.read() };
        scribble(word, 1, old ^ 1 << (end / 8 % 8));
        let error = give(&stack, strict, of(8, 64)).unwrap_err();
        assert!(matches!(error, Error::Misuse(_)), "{error}");
        assert!(stack.check().is_err());
        scribble(word, 1, old);
        stack.check().unwrap();
    });
}

#[test]
fn draws_its_pieces() {
    in_reserve(|heap| {
        let stack = stack(heap, 1024);
        let base = at(stack.allocate(of(24, 1)).unwrap().cast());
        stack.allocate(of(20, 8)).unwrap();
        stack.allocate(of(8, 8)).unwrap();
        assert_eq!(stack.to_string(), format!("{base:#x} |24 x2|8|[968]|"));
    });
}

#[test]
fn goes_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Stack<&'static SharedHeap<Reserve>>>();
}
