//! What a request cost, or a minute: what is held at two moments.

use std::thread;

use tagheap::{Changes, Error, Global, Holding, HoldingChange, Shortage, Tag, scope};

use crate::HEAP;
use crate::support::{Piece, alone, bytes, holding};

/// What became of tags while something was done.
fn since<A>(work: impl FnOnce() -> A, look: impl FnOnce(Changes<'_, Holding>)) -> A {
    let mut rooms = [
        vec![Holding::default(); 4000],
        vec![Holding::default(); 4000],
    ];
    let [before, after] = &mut rooms;
    let before = HEAP.snapshot(before).unwrap();
    let done = work();
    look(Changes::between(before, HEAP.snapshot(after).unwrap()));
    done
}

fn cost_of<A>(tag: Tag, work: impl FnOnce() -> A) -> (HoldingChange, A) {
    let mut cost = None;
    let done = since(work, |changes| cost = Some(changes.of(tag)));
    (cost.unwrap(), done)
}

#[test]
fn a_request_costs_what_it_keeps_to_the_object() {
    const TAG: Tag = Tag::named("cost");
    alone(|| {
        let kept = Piece::take(TAG, bytes(40), 1);
        let (cost, pieces) = cost_of(TAG, || {
            Piece::take(TAG, bytes(100), 1).give_back();
            [40, 100, 100_000].map(|size| Piece::take(TAG, bytes(size), 1))
        });
        assert_eq!((cost.objects, cost.bytes), (3, 48 + 112 + 100_000));
        // A span for the one class, and the large one.
        assert_eq!((cost.held.blocks, cost.held.allocations), (2, 2));
        // By whoever gives it back.
        let (gain, ()) = cost_of(TAG, || {
            thread::scope(|threads| {
                threads.spawn(|| pieces.into_iter().for_each(Piece::give_back));
            });
            kept.give_back();
        });
        assert_eq!((gain.objects, gain.bytes), (-4, -100_208));
        assert_eq!((gain.held.blocks, gain.held.deallocations), (-1, 1));

        let now = holding(TAG);
        let all = now.since(&Holding::none(TAG));
        assert_eq!(
            (all.objects, all.held.blocks),
            (0, now.held.blocks as isize)
        );
        assert_eq!(all.held.allocations, now.held.allocations);
    });
}

#[test]
fn a_snapshot_changes_nothing_and_says_when_it_has_no_room() {
    alone(|| {
        const TAG: Tag = Tag::named("room");
        let piece = Piece::take(TAG, bytes(10), 1);
        let mut rooms = [[Holding::default(); 64]; 3];
        let [first, second, third] = &mut rooms;
        let (first, second) = (
            HEAP.snapshot(first).unwrap(),
            HEAP.snapshot(second).unwrap(),
        );
        assert_eq!(first, second);
        assert!(first.is_sorted_by_key(|held| held.tag));
        assert!(HEAP.holdings().eq(first.iter().copied()));
        assert_eq!(Changes::between(first, second).by_growth().count(), 0);

        let count = first.len();
        assert_eq!(HEAP.snapshot(&mut third[..count]).unwrap(), first);
        let refused = HEAP.snapshot(&mut third[..count - 1]).unwrap_err();
        let Error::OutOfMemory(refused) = refused else {
            panic!("{refused}");
        };
        let (room, tags) = (count - 1, count);
        assert_eq!(refused.cause, Shortage::Tags { room, tags });
        let told = format!("the snapshot has room for {room} tags, and there are {tags}");
        assert!(refused.to_string().ends_with(&told), "{refused}");
        piece.give_back();
    });
}

/// Of a program's minute: what grew comes first.
#[test]
fn the_table_tells_who_grew_most() {
    alone(|| {
        let [cache, index, pages] = ["cache", "index", "pages"].map(Tag::named);
        HEAP.set_name(index, "index of all words").unwrap();
        let page = Piece::take(pages, bytes(20_000), 1);
        let mut table = String::with_capacity(4000);
        let work = || {
            page.give_back();
            let small = scope(index, || vec![Box::new([0_u8; 60]); 10]);
            (small, Piece::take(cache, bytes(50_000), 1))
        };
        let held = since(work, |changes| {
            use std::fmt::Write;
            write!(table, "{changes}").unwrap();
            // The table's own text, and the vectors in which numbers are, were there before.
            assert_eq!(changes.of(Global::UNTAGGED).objects, 0, "{table}");
        });
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[0][..4],
            ["tag", "objects", "bytes", "held"],
            "{table}"
        );
        assert_eq!(lines[1][..3], ["cache", "+1", "+50000"], "{table}");
        let index = table.lines().nth(2).unwrap();
        let index = index.strip_prefix("index of all words ").unwrap();
        let index: Vec<_> = index.split_whitespace().collect();
        assert_eq!(index[..2], ["+11", "+720"], "{table}");
        assert_eq!(lines[3][..3], ["pages", "-1", "-20000"], "{table}");
        assert_eq!(lines[4][..3], ["(all)", "+11", "+30720"], "{table}");
        assert_eq!(lines.len(), 5, "{table}");
        let ends = |line: &str| line.split_whitespace().count() + line.len();
        assert!(table.lines().all(|line| ends(line) > 90), "{table}");
        drop(held);
    });
}
