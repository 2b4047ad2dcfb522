//! An arena's cursor: numbers by bytes and pieces, compared with ones kept by hand.

use std::alloc::Layout;

use tagheap::{Bump, BumpMark, Error, Kind, Misuse, Pool, Share, Tag, Usage};

use crate::in_reserve;
use crate::pieces::{give, resize};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// What an arena's numbers must be. How far the cursor moved over an alignment's padding is taken from it.
#[derive(Clone, Default)]
struct Model {
    pieces: Vec<(std::ptr::NonNull<u8>, Layout)>,
    allocations: u64,
    deallocations: u64,
    peak: usize,
}

impl Model {
    fn assert_agrees(&mut self, bump: &Bump<impl Share>) -> Usage {
        let usage = bump.usage().unwrap();
        self.peak = self.peak.max(usage.used);
        let numbers = (usage.allocations, usage.deallocations, usage.peak);
        let wanted = (self.allocations, self.deallocations, self.peak);
        assert_eq!(numbers, wanted, "{usage}");
        assert!(usage.used <= usage.total);
        bump.check().unwrap();
        usage
    }
}

/// Counts stay exact through chunks, marks, resets and pieces given back, with watermarks or none.
#[test]
fn counts_as_a_model_does() {
    for seed in 0..30 {
        in_reserve(|heap| counts(heap, seed));
    }
}

fn counts(heap: &impl Share, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pool = Pool::new(heap, Tag::new(1));
    if seed.is_multiple_of(2) {
        pool = pool
            .bounded(24 << 10)
            .alarmed_at(random.u8(1..=100), |_, _| {});
    }
    let mut bump = Bump::new(pool);
    let mut model = Model::default();
    let mut marks: Vec<(BumpMark, Model, usize)> = Vec::new();
    for _ in 0..2000 {
        let before = bump.usage().unwrap().used;
        match (random.u8(..64), model.pieces.len()) {
            (0, _) => {
                bump.reset().unwrap();
                model.pieces.clear();
                marks.clear();
                model.deallocations = model.allocations;
                assert_eq!(model.assert_agrees(&bump).used, 0);
            }
            (1..4, _) => marks.push((bump.mark(), model.clone(), before)),
            (4..6, _) => {
                let Some((mark, then, used)) = marks.pop() else {
                    continue;
                };
                bump.rewind(mark).unwrap();
                let since = model.allocations - then.allocations;
                model.deallocations = then.deallocations + since;
                model.pieces = then.pieces;
                assert_eq!(model.assert_agrees(&bump).used, used);
            }
            (6..12, 1..) if marks.is_empty() => {
                let (piece, layout) = model.pieces.pop().unwrap();
                // SAFETY: handed out for this layout, and forgotten by the model.
                unsafe { bump.deallocate(piece, layout) }.unwrap();
                model.deallocations += 1;
                // The padding in front of it stays, so the one before may not be the last again.
                let used = model.assert_agrees(&bump).used;
                assert!([before, before - layout.size().max(1)].contains(&used));
            }
            _ => {
                let (most, align) = (1 << random.u32(..9), 1 << random.u32(..8));
                let layout = layout(random.usize(..most), align);
                match bump.allocate(layout) {
                    Ok(piece) => {
                        assert!(piece.addr().get().is_multiple_of(align));
                        model.pieces.push((piece.cast(), layout));
                        model.allocations += 1;
                        let more = model.assert_agrees(&bump).used - before;
                        let size = layout.size().max(1);
                        assert!((size..size + align).contains(&more), "{layout:?}: {more}");
                    }
                    Err(Error::OutOfMemory(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

/// A chunk of more than four gibibytes is used to its end.
#[test]
fn a_chunk_may_be_larger_than_a_word_counts() {
    in_reserve(|heap| {
        let mut bump = Bump::new(Pool::new(heap, Tag::new(1)));
        let large = layout(5 << 30, 16);
        let Ok(first) = bump.allocate(large) else {
            return; // A machine that commits less.
        };
        bump.reset().unwrap();
        let quarter = layout(5 << 28, 16);
        for count in 0..4 {
            let piece = bump.allocate(quarter).unwrap();
            assert_eq!(piece.addr().get(), first.addr().get() + count * (5 << 28));
            let usage = bump.usage().unwrap();
            assert_eq!(
                (usage.used, usage.live()),
                ((count + 1) * (5 << 28), count as u64 + 1)
            );
        }
        bump.check().unwrap();
        bump.reset().unwrap();
        let halves = [layout((5 << 29) + 7, 1), layout(5 << 28, 1)];
        let pieces = halves.map(|half| bump.allocate(half).unwrap().cast::<u8>());
        let [_, last] = pieces;
        // SAFETY: handed out for this layout.
        let grown = unsafe { bump.grow(last, halves[1], layout((5 << 29) - 7, 1)) };
        assert_eq!(
            grown.unwrap().cast(),
            last,
            "in place, over the cursor's end"
        );
        assert_eq!(bump.usage().unwrap().used, 5 << 30);
        bump.check().unwrap();
    });
}

/// Which piece is given back an arena does not know, but how many there were.
#[test]
fn no_more_come_back_than_were_handed_out() {
    in_reserve(|heap| {
        let mut bump = Bump::new(Pool::new(heap, Tag::named("back")));
        for _ in 0..3 {
            let two = [(); 2].map(|()| bump.allocate(layout(40, 8)).unwrap().cast::<u8>());
            let twice = Err(Misuse::DoubleFree {
                address: two[0].addr().get(),
            }
            .into());
            // SAFETY: the first is given back twice, of which the arena notices nothing yet.
            let back =
                [two[0], two[0]].map(|piece| unsafe { bump.deallocate(piece, layout(40, 8)) });
            assert_eq!(back, [Ok(()); 2]);
            // SAFETY: one too many: it must notice.
            assert_eq!(unsafe { bump.deallocate(two[0], layout(40, 8)) }, twice);
            assert_eq!(bump.usage().unwrap().live(), 0);
            bump.reset().unwrap();
            // SAFETY: gone with the reset: it must notice.
            assert_eq!(unsafe { bump.deallocate(two[0], layout(40, 8)) }, twice);
        }
        assert_eq!(bump.usage().unwrap().deallocations, 6);
    });
}

/// A piece of an older chunk is not the last one, though it would end at the cursor if it were as large as is said.
#[test]
fn no_size_leads_the_cursor_into_an_older_chunk() {
    for shrinks in [false, true] {
        in_reserve(|heap| {
            let bump = Bump::new(Pool::new(heap, Tag::new(1)));
            let [older, newer] = [900, 1800].map(|size| bump.allocate(layout(size, 1)).unwrap());
            let end = newer.addr().get() + newer.len();
            let size = end - older.addr().get();
            assert!(size > 2700, "the newer chunk is behind the older one");
            if shrinks {
                resize(&bump, older.cast(), layout(size, 1), layout(1, 1)).unwrap();
            } else {
                give(&bump, older.cast(), layout(size, 1)).unwrap();
            }
            bump.check().unwrap();
            let next = bump.allocate(layout(8, 1)).unwrap();
            assert_eq!(next.addr().get(), end);
        });
    }
}
