//! A pool, and what its model knows of it.

use std::alloc::Layout;
use std::ptr::NonNull;

use tagheap::{Corruption, Error, Measure, OutOfMemory, Tag, Usage};

use super::alarm;
use super::subject::{Habit, Subject};
use crate::class::class_size;
use crate::piece::Piece;

/// How a pool is told to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Where it calls, in percent; 0 for nowhere.
    pub(super) percent: u8,
    pub(super) is_bounded: bool,
    pub(super) passes_through: bool,
}

/// A piece, and when it was handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) piece: Piece,
    pub(super) turn: u64,
}

/// A pool and its model.
pub(super) struct Side<K: Subject> {
    pub(super) kind: K,
    pub(super) tag: Tag,
    pub(super) habit: Habit,
    pub(super) terms: Terms,
    pub(super) live: Vec<Live>,
    /// What was given back, and not handed out again since.
    pub(super) gone: Vec<Piece>,
    /// Marks, and the last turn before each.
    pub(super) marks: Vec<(K::Mark, u64)>,
    pub(super) allocations: u64,
    pub(super) deallocations: u64,
    pub(super) failures: u64,
    /// The most that was seen in use.
    peak: usize,
    pub(super) turn: u64,
    /// Somebody wrote over what was given back: errors may name damage.
    pub(super) is_scribbled: bool,
    /// Where its memory starts, once that is known.
    pub(super) start: Option<usize>,
}

impl<K: Subject> Side<K> {
    pub(super) fn new(kind: K, tag: Tag, habit: Habit, terms: Terms) -> Self {
        let usage = kind.usage().unwrap();
        let counted = (usage.used, usage.allocations, usage.failures);
        assert_eq!(counted, (0, 0, 0), "{usage}");
        Self {
            kind,
            tag,
            habit,
            terms,
            live: Vec::new(),
            gone: Vec::new(),
            marks: Vec::new(),
            allocations: 0,
            deallocations: 0,
            failures: 0,
            peak: 0,
            turn: 0,
            is_scribbled: false,
            start: None,
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.kind.usage().unwrap()
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.live.iter().map(|live| &live.piece)
    }

    /// Whether pieces go back in no order but the other way round.
    pub(super) fn is_last_first(&self) -> bool {
        K::LAST_FIRST && !self.terms.passes_through
    }

    /// A piece that was handed out, filled.
    pub(super) fn hold(&mut self, answer: NonNull<[u8]>, layout: Layout) -> Piece {
        self.turn += 1;
        let piece = Piece::new(answer, layout, self.turn as u32);
        self.gone.retain(|gone| !gone.overlaps(&piece));
        let turn = self.turn;
        self.live.push(Live { piece, turn });
        piece
    }

    /// All pieces went at once.
    pub(super) fn forget(&mut self) {
        self.live.clear();
        self.gone.clear();
        self.marks.clear();
        self.deallocations = self.allocations;
    }

    /// Marks made while a piece was in use, which is not what it was, are nobody's.
    pub(super) fn drop_marks_since(&mut self, turn: u64) {
        self.marks.retain(|(_, marked)| *marked < turn);
    }

    pub(super) fn assert_whole(&self) {
        self.pieces().for_each(Piece::assert_whole);
    }

    /// Whether an error names damage where there may be some.
    pub(super) fn is_damage(&self, error: Error) -> bool {
        self.is_scribbled && matches!(error, Error::Corruption(Corruption::Pool { .. }))
    }

    /// Whether an error says that there is no memory for this.
    pub(super) fn is_lack(&self, error: Error, layout: Layout) -> bool {
        let Error::OutOfMemory(OutOfMemory {
            tag, size, align, ..
        }) = error
        else {
            return false;
        };
        assert!(!error.to_string().contains('\n'), "{error}");
        let named = (tag, size, align);
        assert_eq!(named, (self.tag, layout.size(), layout.align()), "{error}");
        true
    }

    /// All that it says of itself is right.
    pub(super) fn compare(&mut self) {
        match self.kind.check() {
            Ok(()) => {}
            Err(error) if self.is_damage(error) => {}
            Err(error) => panic!("{error}\n{}", self.kind.text()),
        }
        self.kind.assert_parts();
        self.pieces().for_each(Piece::assert_edges);
        let usage = self.usage();
        let counted = (usage.allocations, usage.deallocations, usage.failures);
        let wanted = (self.allocations, self.deallocations, self.failures);
        assert_eq!(counted, wanted, "{usage}");
        assert_eq!(usage.live(), self.live.len() as u64, "{usage}");
        let is_boundless = self.terms.passes_through && !self.terms.is_bounded;
        assert!(
            usage.used <= usage.total || usage.total == 0 || is_boundless,
            "{usage}"
        );
        self.compare_used(&usage);
        self.peak = self.peak.max(usage.used);
        assert!(
            usage.peak >= self.peak,
            "{usage}, and {} was seen",
            self.peak
        );
    }

    fn compare_used(&self, usage: &Usage) {
        let asked: usize = self.pieces().map(|piece| piece.layout.size()).sum();
        if usage.measure == Measure::Bytes {
            assert!(usage.used >= asked, "{usage}");
        }
        if self.live.is_empty() && self.habit != Habit::Bump {
            assert_eq!(usage.used, 0, "{usage}");
        }
        let sum = |size: &dyn Fn(&Piece) -> usize| self.pieces().map(size).sum();
        let used: usize = match self.habit {
            _ if self.terms.passes_through => asked,
            Habit::Blocks => asked,
            Habit::Slots { .. } | Habit::ManySlots => self.live.len(),
            Habit::FreeList => sum(&|piece| piece.size().next_multiple_of(16)),
            Habit::Buddy { smallest } => sum(&|piece| buddy_size(piece.layout, smallest)),
            Habit::Rounded => {
                let most = sum(&|piece| class_size(piece.layout, 4, 32 << 10));
                assert!(usage.used <= most, "{usage}, and {most} at most");
                return;
            }
            Habit::Bump | Habit::Stack { .. } => return,
        };
        assert_eq!(usage.used, used, "{usage}");
    }

    /// It called if a request took it to its watermark, and only then.
    pub(super) fn assert_rung(&self, before: &Usage, after: &Usage) {
        let rung = alarm::rung();
        let percent = usize::from(self.terms.percent);
        if !self.terms.is_bounded || percent == 0 {
            return;
        }
        let is_reached =
            |usage: &Usage| usage.used > 0 && usage.used * 100 >= usage.total * percent;
        let is_due = is_reached(after) && !is_reached(before);
        let wanted = is_due.then_some((self.tag, *after));
        assert_eq!(rung, wanted, "{percent} %: {before} -> {after}");
    }
}

/// Bytes that a buddy takes.
pub(super) fn buddy_size(layout: Layout, smallest: usize) -> usize {
    let needed = layout.size().max(layout.align()).max(1);
    needed.next_power_of_two().max(smallest)
}
