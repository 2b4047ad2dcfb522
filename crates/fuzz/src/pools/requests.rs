//! What a pool is asked for: pieces, pieces back, other sizes, everything back.

use tagheap::{Error, Misuse, Usage};

use super::alarm;
use super::side::{Live, Side};
use super::subject::Subject;
use crate::input::Input;
use crate::memory;
use crate::pieces::{give, resize};
use crate::tell::tell;

impl<K: Subject> Side<K> {
    pub(super) fn allocate(&mut self, power: u32, input: &mut Input) {
        let Some(layout) = input.request(power) else {
            return;
        };
        let part = input.byte();
        let before = self.usage();
        let forecast = self.forecast(layout, &before);
        let answer = self.kind.allocate_in(part, layout);
        let after = self.usage();
        tell!("allocate {layout:?}: {answer:x?}, {forecast:x?}");
        forecast.assert_is(&answer);
        match answer {
            Ok(answer) => {
                self.allocations += 1;
                assert_eq!(self.kind.contains(answer.cast()), Ok(true));
                let piece = self.hold(answer, layout);
                self.learn(piece, &before);
                self.assert_rung(&before, &after);
            }
            Err(error) => {
                assert!(
                    self.is_damage(error) || self.is_lack(error, layout),
                    "{error}"
                );
                self.failures += 1;
                let wanted = Usage {
                    failures: before.failures + 1,
                    total: after.total,
                    ..before
                };
                assert_eq!(after, wanted);
                assert_eq!(alarm::rung(), None);
            }
        }
    }

    /// One of the pieces, or the one that goes first.
    fn pick(&self, may_be_any: bool, input: &mut Input) -> Option<usize> {
        let last = self.live.len().checked_sub(1)?;
        Some(if may_be_any {
            input.below(last + 1)
        } else {
            last
        })
    }

    pub(super) fn deallocate(&mut self, input: &mut Input) {
        let Some(place) = self.pick(!self.is_last_first(), input) else {
            return;
        };
        let Live { piece, turn } = self.live[place];
        piece.assert_whole();
        tell!("deallocate {piece:x?}");
        give(&self.kind, piece.ptr(), piece.layout).unwrap();
        self.live.remove(place);
        self.deallocations += 1;
        self.drop_marks_since(turn);
        self.gone.push(piece);
    }

    pub(super) fn resize(&mut self, power: u32, input: &mut Input) {
        let may_be_any = !self.is_last_first() || input.byte() < 20;
        let Some(place) = self.pick(may_be_any, input) else {
            return;
        };
        let Live { piece, turn } = self.live[place];
        let Some(new) = input.new_layout(piece.layout.size(), power) else {
            return;
        };
        piece.assert_whole();
        let before = self.usage();
        let answer = resize(&self.kind, piece.ptr(), piece.layout, new);
        tell!("resize {piece:x?} to {new:?}: {answer:x?}");
        let after = self.usage();
        let moved = after.allocations - before.allocations;
        assert!(moved <= 1, "{before} -> {after}");
        assert_eq!(after.deallocations - before.deallocations, moved, "{after}");
        (self.allocations, self.deallocations) = (after.allocations, after.deallocations);
        let error = match answer {
            Ok(answer) => {
                let at = memory::address(answer, new.size());
                piece.assert_kept(at, piece.layout.size().min(new.size()));
                self.live.remove(place);
                self.drop_marks_since(turn);
                self.hold(answer, new);
                if at != piece.at {
                    self.give_up(piece);
                }
                if self.is_last_first() && place + 1 < self.live.len() {
                    // Below others: it stays in its place.
                    assert_eq!(at, piece.at);
                    self.live[place..].rotate_right(1);
                }
                if moved == 0 && after.used > before.used {
                    self.assert_rung(&before, &after);
                }
                return;
            }
            Err(error) => error,
        };
        piece.assert_whole();
        assert_eq!((after.used, moved), (before.used, 0), "{error}");
        if self.is_damage(error) {
            self.failures = after.failures;
        } else if self.is_lack(error, new) {
            self.failures += 1;
        } else {
            let is_order = matches!(error, Error::Misuse(Misuse::OutOfOrder { .. }));
            assert!(K::LAST_FIRST && is_order, "{error}");
        }
    }

    /// A piece that moved left its bytes behind, but for those that it got again.
    fn give_up(&mut self, piece: crate::piece::Piece) {
        if !self.pieces().any(|other| other.overlaps(&piece)) {
            self.gone.push(piece);
        }
    }

    pub(super) fn trim_or_reset(&mut self, input: &mut Input) {
        let before = self.usage();
        if input.byte() & 3 > 0 {
            let trimmed = self.kind.trim();
            tell!("trim: {trimmed:?}");
            trimmed.unwrap();
            self.gone.clear();
            let Usage { total, .. } = self.usage();
            assert_eq!(self.usage(), Usage { total, ..before });
            return;
        }
        tell!("reset");
        self.assert_whole();
        self.kind.reset().unwrap();
        self.forget();
        self.is_scribbled = false;
        assert_eq!(self.usage().used, 0);
    }
}
