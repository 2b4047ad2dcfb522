//! What is special to the list of free places.

use core::ptr::NonNull;

use tagheap::{FreeList, Kind, Pool, Reserve, Share, SharedHeap, Shortage, Tag, Usage};

use crate::{in_reserve, pieces::*};

const TAG: Tag = Tag::named("list");

fn list<H: Share>(heap: H, bytes: usize) -> FreeList<H> {
    FreeList::new(Pool::new(heap, TAG), bytes).unwrap()
}

/// A pointer to the first byte.
fn base(list: &FreeList<impl Share>) -> NonNull<u8> {
    let first = list.allocate(of(1, 1)).unwrap().cast();
    assert_eq!(at(first), list.base());
    give(list, first, of(1, 1)).unwrap();
    first
}

#[test]
fn fits_until_it_is_full_and_says_what_is_too_large() {
    in_reserve(|heap| {
        let mut list = FreeList::small(Pool::new(heap, TAG)).unwrap();
        list.allocate(of(200, 1)).unwrap();
        list.allocate(of(300, 1)).unwrap();
        let (total, used) = (1024, 208 + 304);
        let lacking = |size| lack(list.allocate(of(size, 1)));
        assert_eq!(lacking(1025), Shortage::Oversized { most: 1024 });
        assert_eq!(lacking(513), Shortage::Full { total, used });
        list.allocate(of(512, 1)).unwrap();
        assert_eq!((list.used(), list.top()), (1024, list.base() + 1024));
        list.reset().unwrap();
        assert_eq!((list.used(), list.top()), (0, list.base()));
        list.allocate(of(1024, 16)).unwrap();
        list.reset().unwrap();
        (0..64).for_each(|_| assert!(list.allocate(of(0, 1)).is_ok()));
        list.allocate(of(0, 1)).unwrap_err();
        let Shortage::Overaligned { most } = lack(list.allocate(of(1, 1 << 40))) else {
            panic!("not overaligned");
        };
        list.reset().unwrap();
        list.allocate(of(1, most)).unwrap();
        list.check().unwrap();
    });
}

/// Of three neighbours given back in every order, and with one more behind them or none, one piece comes.
#[test]
fn neighbours_are_one_in_whatever_order_they_come() {
    in_reserve(|heap| {
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            for behind in [false, true] {
                let list = list(heap, 1024);
                let pieces = [0; 3].map(|_| list.allocate(of(100, 1)).unwrap().cast());
                let rest = of(if behind { 1024 - 336 } else { 1 }, 1);
                if behind {
                    list.allocate(rest).unwrap();
                }
                for which in order {
                    give(&list, pieces[which], of(100, 1)).unwrap();
                    list.check().unwrap();
                }
                let whole = of(if behind { 336 } else { 1024 }, 1);
                assert_eq!(list.allocate(whole).unwrap().cast(), pieces[0]);
            }
        }
    });
}

#[test]
fn misuse_is_named_and_changes_nothing() {
    in_reserve(|heap| {
        let list = list(heap, 1024);
        let first = base(&list);
        let [one, two, three, four] =
            [32, 48, 16, 100].map(|size| list.allocate(of(size, 1)).unwrap().cast::<u8>());
        give(&list, two, of(48, 1)).unwrap();
        let (before, drawn) = (list.usage().unwrap(), list.to_string());
        let rows = [
            (two, of(48, 1), twice(two)),
            (two, of(16, 1), twice(two)),
            (moved(two, 16), of(32, 1), twice(moved(two, 16))),
            (moved(four, 112), of(16, 1), twice(moved(four, 112))),
            (one, of(33, 1), mismatch(one, 33, 32)),
            (one, of(32 + 48, 1), mismatch(one, 32 + 48, 32)),
            (one, of(16, 1), mismatch(one, 16, 32)),
            (three, of(16 + 112, 1), mismatch(three, 16 + 112, 16)),
            (four, of(112 + 16, 1), mismatch(four, 112 + 16, 112)),
            (four, of(2048, 1), mismatch(four, 2048, 112)),
            (four, of(1 << 60, 1), mismatch(four, 1 << 60, 112)),
            (one, of(32, 1 << 40), misaligned(one, 1 << 40)),
            (moved(one, 16), of(16, 1), not_a_block(moved(one, 16))),
            (moved(one, 1), of(32, 1), not_a_block(moved(one, 1))),
            (moved(first, 1024), of(16, 1), stranger(moved(first, 1024))),
            (moved(first, -16), of(16, 1), stranger(moved(first, -16))),
        ];
        for (ptr, layout, wanted) in rows {
            assert_eq!(give(&list, ptr, layout), Err(wanted), "{ptr:?} {layout:?}");
            let larger = of(layout.size() + 64, layout.align());
            let refused = resize(&list, ptr, layout, larger);
            assert_eq!(refused, Err(wanted), "grown: {ptr:?} {layout:?}");
            let after = (list.usage().unwrap(), list.to_string());
            assert_eq!(after, (before, drawn.clone()));
            list.check().unwrap();
        }
    });
}

#[test]
fn grows_into_what_is_free_behind_and_else_elsewhere() {
    in_reserve(|heap| {
        let list = list(heap, 1024);
        let [one, two, three] =
            [16, 32, 16].map(|size| list.allocate(of(size, 1)).unwrap().cast::<u8>());
        give(&list, two, of(32, 1)).unwrap();
        let same = resize(&list, one, of(16, 1), of(48, 1)).unwrap();
        assert_eq!(same.cast(), one);
        list.check().unwrap();
        let other = resize(&list, one, of(48, 1), of(49, 1)).unwrap();
        assert_eq!(at(other.cast()), at(three) + 16);
        assert_eq!(
            list.allocate(of(48, 1)).unwrap().cast(),
            one,
            "its place is free"
        );
        let less = resize(&list, other.cast(), of(49, 1), of(0, 1)).unwrap();
        assert_eq!(
            (less.cast(), list.top()),
            (other.cast::<u8>(), at(three) + 32)
        );
        list.check().unwrap();
    });
}

/// Every answer is as first fit in a vector of granules says.
#[test]
fn agrees_with_a_vector() {
    in_reserve(|heap| {
        for seed in 0..60 {
            fastrand::seed(seed);
            let granules = fastrand::usize(1..300);
            let list = list(heap, granules * 16);
            let base = base(&list);
            let mut taken = vec![false; granules];
            let mut pieces = Vec::new();
            for _ in 0..300 {
                let align = 1 << fastrand::u32(..9);
                let layout = of(fastrand::usize(..1 << fastrand::u32(..10)), align);
                let needed = layout.size().max(1).div_ceil(16);
                let fits = |taken: &[bool], start: usize| {
                    (at(base) + start * 16).is_multiple_of(align)
                        && taken
                            .get(start..start + needed)
                            .is_some_and(|all| !all.contains(&true))
                };
                if fastrand::u8(..16) < 9 || pieces.is_empty() {
                    let wanted = (0..granules).find(|start| fits(&taken, *start));
                    let answer = list.allocate(layout).ok();
                    let found = answer.map(|piece| (at(piece.cast()) - at(base)) / 16);
                    assert_eq!(found, wanted, "{layout:?}");
                    if let Some(start) = wanted {
                        taken[start..start + needed].fill(true);
                        pieces.push((start, layout));
                    }
                } else {
                    let which = fastrand::usize(..pieces.len());
                    let (start, old) = pieces.swap_remove(which);
                    let ptr = moved(base, start as isize * 16);
                    let end = start + old.size().max(1).div_ceil(16);
                    if fastrand::bool() {
                        give(&list, ptr, old).unwrap();
                        taken[start..end].fill(false);
                        scribble(ptr, (end - start) * 16, 0xff);
                    } else {
                        let mut without = taken.clone();
                        without[start..end].fill(false);
                        let wanted = if fits(&without, start) {
                            Some(start)
                        } else {
                            (0..granules).find(|start| fits(&taken, *start))
                        };
                        let answer = resize(&list, ptr, old, layout).ok();
                        let found = answer.map(|piece| (at(piece.cast()) - at(base)) / 16);
                        assert_eq!(found, wanted, "{old:?} {layout:?}");
                        match wanted {
                            Some(start) => {
                                taken = without;
                                taken[start..start + needed].fill(true);
                                pieces.push((start, layout));
                            }
                            None => pieces.push((start, old)),
                        }
                    }
                }
                list.check().unwrap();
                let used = taken.iter().filter(|taken| **taken).count() * 16;
                let high = taken
                    .iter()
                    .rposition(|taken| *taken)
                    .map_or(0, |last| last + 1);
                assert_eq!((list.used(), list.top()), (used, at(base) + high * 16));
                let Usage { used: told, .. } = list.usage().unwrap();
                assert_eq!(
                    (told, list.usage().unwrap().live()),
                    (used, pieces.len() as u64)
                );
            }
        }
    });
}

#[test]
fn every_flipped_bit_of_its_books_is_found() {
    in_reserve(|heap| {
        let list = list(heap, 2048);
        let base = base(&list);
        let [one, _, _] = [40, 100, 8].map(|size| list.allocate(of(size, 1)).unwrap().cast());
        give(&list, one, of(40, 1)).unwrap();
        for bit in 0..256 {
            let word = moved(base, 2048 + bit / 8);
            assert!(is_found(&list, word, bit as u32 % 8), "bit {bit}");
        }
    });
}

#[test]
fn draws_its_pieces() {
    in_reserve(|heap| {
        let list = list(heap, 1024);
        let [one, _, _] = [16, 32, 17].map(|size| list.allocate(of(size, 1)).unwrap().cast());
        give(&list, one, of(16, 1)).unwrap();
        let base = list.base();
        assert_eq!(list.to_string(), format!("{base:#x} |[16]|32 x2|[944]|"));
    });
}

#[test]
fn goes_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<FreeList<&'static SharedHeap<Reserve>>>();
}
