//! Pools of size classes in random programs whose pieces grow and shrink, too, with wrong calls in between.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{Error, Kind, Pool, Share, SizeClasses, Tag};

use crate::pieces::{self, give, scribble};
use crate::size_classes::bytes_of;
use crate::{in_large_buffer, in_reserve};

const TAG: Tag = Tag::named("resized");

/// A piece in use, full of a byte, and by how much it made what is in use rise.
#[derive(Clone, Copy, Debug)]
struct Piece {
    at: NonNull<u8>,
    layout: Layout,
    byte: u8,
    bytes: usize,
}

impl Piece {
    fn fill(&self) {
        scribble(self.at, self.layout.size(), self.byte);
    }

    fn assert_full(&self, bytes: usize) {
        let found = NonNull::slice_from_raw_parts(self.at, bytes);
        // SAFETY: the test's own, filled.
        let found = unsafe { found.as_ref() };
        assert!(found.iter().all(|byte| *byte == self.byte), "{self:?}");
    }

    fn overlaps(&self, other: &Self) -> bool {
        let end = |piece: &Self| piece.at.addr().get() + piece.layout.size().max(1);
        self.at.addr().get() < end(other) && other.at.addr().get() < end(self)
    }
}

fn random_layout(near: usize) -> Layout {
    let align = match fastrand::u8(..6) {
        0 => 1 << fastrand::u32(5..=13),
        _ => 1 << fastrand::u32(..=4),
    };
    let size = match fastrand::u8(..8) {
        // Where classes, and pieces, end.
        0 => (1_usize << fastrand::u32(4..=15)) + fastrand::usize(..3) - 1,
        1 => 0,
        2..5 => near + fastrand::usize(..64),
        _ => fastrand::usize(..=1 << fastrand::u32(..=13)),
    };
    Layout::from_size_align(size, align).unwrap()
}

/// As [`pieces::resize`], of which the piece has so many bytes.
fn resize(
    kind: &impl Kind,
    at: NonNull<u8>,
    [old, new]: [Layout; 2],
) -> Result<NonNull<u8>, Error> {
    let piece = pieces::resize(kind, at, old, new)?;
    assert_eq!(piece.len(), new.size());
    Ok(piece.cast())
}

struct Program<H: Share> {
    kind: SizeClasses<H>,
    pieces: Vec<Piece>,
    gone: Vec<Piece>,
    used: usize,
    failures: u64,
}

impl<H: Share> Program<H> {
    fn used(&self) -> usize {
        self.kind.usage().unwrap().used
    }

    /// Notes what a request got, if it got anything.
    fn got(&mut self, answer: Result<NonNull<u8>, Error>, layout: Layout) -> Option<Piece> {
        let at = match answer {
            Ok(at) => at,
            Err(Error::OutOfMemory(lacking)) => {
                assert_eq!((lacking.tag, lacking.size), (TAG, layout.size()));
                self.failures += 1;
                return None;
            }
            Err(other) => panic!("{other}"),
        };
        assert!(at.addr().get().is_multiple_of(layout.align().max(16)));
        let bytes = self.used() - self.used;
        let (size, class) = (layout.size().max(1), bytes_of(layout));
        assert!(
            bytes == size || Some(bytes) == class,
            "{layout:?} takes {bytes}"
        );
        let byte = fastrand::u8(..);
        let piece = Piece {
            at,
            layout,
            byte,
            bytes,
        };
        let other = self.pieces.iter().find(|other| other.overlaps(&piece));
        assert!(other.is_none(), "{piece:?} overlaps {other:?}");
        piece.fill();
        self.used += bytes;
        self.pieces.push(piece);
        Some(piece)
    }

    fn take_out(&mut self, place: usize) -> Piece {
        let piece = self.pieces.swap_remove(place);
        piece.assert_full(piece.layout.size());
        self.used -= piece.bytes;
        piece
    }

    fn resize(&mut self, place: usize) {
        let new = random_layout(self.pieces[place].layout.size());
        let piece = self.take_out(place);
        match resize(&self.kind, piece.at, [piece.layout, new]) {
            Ok(at) => {
                let kept = piece.layout.size().min(new.size());
                Piece { at, ..piece }.assert_full(kept);
                self.got(Ok(at), new).unwrap();
                if at != piece.at {
                    self.gone.push(piece);
                }
            }
            Err(error) => {
                self.used += piece.bytes;
                self.pieces.push(piece);
                assert!(self.got(Err(error), new).is_none());
            }
        }
    }

    /// A call about what is nobody's, or somebody's of another class: refused, and nothing is changed.
    fn err(&mut self) {
        let before = self.kind.usage().unwrap();
        let any = if fastrand::bool() {
            &self.gone
        } else {
            &self.pieces
        };
        let Some(mut wrong) = fastrand::choice(any).copied() else {
            return;
        };
        match fastrand::u8(..4) {
            0 => wrong.at = wrong.at.map_addr(|at| at.saturating_add(16)),
            1 => wrong.at = wrong.at.map_addr(|at| at.saturating_add(1)),
            2 => wrong.layout = random_layout(wrong.layout.size()),
            _ => {}
        }
        let class = bytes_of(wrong.layout);
        let is_right = |piece: &Piece| {
            piece.at == wrong.at
                && (Some(piece.bytes) == class || piece.bytes == wrong.layout.size().max(1))
        };
        if self.pieces.iter().any(is_right) {
            return;
        }
        let answer = match fastrand::bool() {
            true => give(&self.kind, wrong.at, wrong.layout),
            false => {
                let new = random_layout(wrong.layout.size());
                resize(&self.kind, wrong.at, [wrong.layout, new]).map(drop)
            }
        };
        assert!(
            matches!(answer, Err(Error::Misuse(_))),
            "{wrong:?}: {answer:?}"
        );
        assert_eq!(self.kind.usage().unwrap(), before);
    }

    fn run(&mut self, steps: usize, frees: u8) {
        for _ in 0..steps {
            let count = self.pieces.len();
            match fastrand::u8(..100) {
                0 if fastrand::u8(..10) == 0 => {
                    self.kind.reset().unwrap();
                    while !self.pieces.is_empty() {
                        self.take_out(0);
                    }
                    self.gone.clear();
                }
                1 => drop(self.kind.trim().unwrap()),
                2..12 => self.err(),
                12..40 if count > 0 => {
                    // The last is before the cursor, as a rule.
                    let last = fastrand::bool();
                    self.resize(if last {
                        count - 1
                    } else {
                        fastrand::usize(..count)
                    });
                }
                n if n < 40 + frees && count > 0 => {
                    let last = fastrand::bool();
                    let place = if last {
                        count - 1
                    } else {
                        fastrand::usize(..count)
                    };
                    let piece = self.take_out(place);
                    give(&self.kind, piece.at, piece.layout).unwrap();
                    self.gone.push(piece);
                }
                _ => {
                    let layout = random_layout(100);
                    let answer = self.kind.allocate(layout);
                    self.got(answer.map(NonNull::cast), layout);
                }
            }
            let usage = self.kind.usage().unwrap();
            assert_eq!((usage.used, usage.failures), (self.used, self.failures));
            assert_eq!(usage.live(), self.pieces.len() as u64);
            assert!(
                usage.peak >= usage.used && usage.total >= usage.used,
                "{usage}"
            );
            if fastrand::u8(..50) == 0 {
                self.kind.check().unwrap();
            }
        }
        self.kind.check().unwrap();
        self.pieces
            .iter()
            .for_each(|piece| piece.assert_full(piece.layout.size()));
    }
}

fn agrees<H: Share + Copy>(heap: H, bounds: &[usize]) {
    for seed in 0..1000 {
        fastrand::seed(seed);
        let mut pool = Pool::new(heap, TAG);
        if fastrand::bool() {
            pool = pool.bounded(*fastrand::choice(bounds).unwrap());
        }
        if fastrand::u8(..4) == 0 {
            pool = pool.alarmed_at(50, |_, _| {});
        }
        let kind = match fastrand::bool() {
            true => SizeClasses::new(pool),
            false => SizeClasses::with_chunk(pool, 1 << fastrand::u32(10..17)),
        };
        let mut program = Program {
            kind,
            pieces: Vec::new(),
            gone: Vec::new(),
            used: 0,
            failures: 0,
        };
        program.run(1000, fastrand::u8(10..50));
        drop(program);
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
    }
}

#[test]
fn agrees_with_a_model_in_a_reservation() {
    in_reserve(|heap| agrees(heap, &[1 << 10, 10_000, 100_000, 1 << 20]));
}

#[test]
fn agrees_with_a_model_where_memory_ends() {
    in_large_buffer(|heap| agrees(heap, &[100_000, 300_000]));
}
