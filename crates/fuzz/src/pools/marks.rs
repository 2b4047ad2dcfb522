//! Marks, and ways back to them.

use tagheap::{Error, Misuse};

use super::side::Side;
use super::subject::{Habit, Subject};
use crate::input::Input;
use crate::tell::tell;

impl<K: Subject> Side<K> {
    pub(super) fn mark_or_rewind(&mut self, input: &mut Input) {
        let Some(mark) = self.kind.mark() else {
            return;
        };
        if !input.flag() || self.marks.is_empty() {
            self.marks.push((mark, self.turn));
            return;
        }
        let place = input.below(self.marks.len());
        let (mark, turn) = self.marks[place].clone();
        tell!("rewind to turn {turn}");
        match self.kind.rewind(mark) {
            Ok(()) => self.rewound(place, turn),
            Err(error) => {
                assert_eq!(error, Error::Misuse(Misuse::StaleMark));
                assert!(self.terms.passes_through, "a mark that is not stale");
            }
        }
    }

    fn rewound(&mut self, place: usize, turn: u64) {
        assert!(!self.terms.passes_through);
        let before = self.live.len();
        let young = self.live.extract_if(.., |live| live.turn > turn);
        self.gone.extend(young.map(|live| live.piece));
        self.deallocations += (before - self.live.len()) as u64;
        self.marks.truncate(place + 1);
        if self.habit == Habit::Bump {
            self.rewound_bump();
        }
    }

    /// An arena counts what comes back by bytes, not by pieces: which is in use it knows again when none is.
    fn rewound_bump(&mut self) {
        let usage = self.usage();
        assert!(usage.live() <= self.live.len() as u64, "{usage}");
        self.assert_whole();
        self.kind.reset().unwrap();
        self.forget();
    }
}
