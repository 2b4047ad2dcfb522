//! Wrong pointers, which are refused; and writes to what was given back, which nobody minds.

use tagheap::{Error, Share, Usage};

use super::rig::Rig;
use super::side::Side;
use super::subject::{Habit, Subject};
use crate::input::{Input, bytes};
use crate::memory;
use crate::pieces::{give, resize};
use crate::tell::tell;

/// Bytes and alignment up to which a piece lies among others, and not in a block of its own, whose headers nobody may write.
const MOST: usize = 30_000;
const MOST_ALIGNED: usize = 1 << 14;

fn assert_misuse(answer: Result<(), Error>) {
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

impl<K: Subject> Side<K> {
    /// As [`assert_misuse`], where there may be damage, which is named first.
    fn assert_refused(&self, answer: Result<(), Error>) {
        match answer {
            Err(error) if self.is_damage(error) => {}
            answer => assert_misuse(answer),
        }
    }

    /// An address within a piece, or a little behind.
    pub(super) fn interior(&mut self, input: &mut Input) {
        if self.live.is_empty() || !(K::FINDS_INTERIOR || self.terms.passes_through) {
            return;
        }
        let piece = self.live[input.below(self.live.len())].piece;
        let at = piece.at + 1 + input.below(piece.size() + 20);
        if self.pieces().any(|other| other.at == at) {
            return;
        }
        let before = self.usage();
        tell!("deallocate {at:#x} in {piece:x?}");
        let answer = give(&self.kind, memory::pointer(at), bytes(input.size(6)));
        self.assert_refused(answer);
        assert_eq!(self.usage(), before);
    }
}

impl<H: Share + Copy, K: Subject> Rig<H, K> {
    /// Addresses that are nowhere in the pool.
    pub(super) fn stranger(&mut self, which: usize, input: &mut Input) {
        let side = &self.sides[which];
        let here = 0_u64;
        let block = self.blocks.first().map_or(32, |block| block.at);
        let nowhere = [
            block,
            (&raw const here).addr(),
            16,
            1 << 63,
            usize::MAX - 15,
        ];
        let ptr = memory::pointer(input.pick(&nowhere));
        let size = input.size(8);
        let before = side.usage();
        assert_misuse(give(&side.kind, ptr, bytes(size)));
        assert_misuse(resize(&side.kind, ptr, bytes(size), bytes(size + 8)).map(drop));
        if let Some(less) = size.checked_sub(1) {
            assert_misuse(resize(&side.kind, ptr, bytes(size), bytes(less)).map(drop));
        }
        assert_eq!(side.kind.contains(ptr), Ok(false));
        assert_eq!(side.usage(), before);
    }

    /// A piece of the other pool's.
    pub(super) fn of_the_other(&mut self, which: usize) {
        let mut others = self.sides.iter().enumerate();
        let Some((_, other)) = others.find(|(place, _)| *place != which) else {
            return;
        };
        let Some(piece) = other.pieces().last() else {
            return;
        };
        let side = &self.sides[which];
        let before = side.usage();
        assert_misuse(give(&side.kind, piece.ptr(), piece.layout));
        assert_eq!(side.kind.contains(piece.ptr()), Ok(false));
        assert_eq!(side.usage(), before);
    }

    /// A piece that was given back before; another may have its bytes by now, but does not start there.
    pub(super) fn twice(&mut self, which: usize, input: &mut Input) {
        let side = &self.sides[which];
        let is_found = K::FINDS_DOUBLE_FREE || side.terms.passes_through;
        if side.gone.is_empty() || !is_found {
            return;
        }
        let piece = input.pick(&side.gone);
        let all = self.sides.iter().flat_map(Side::pieces).chain(&self.blocks);
        if all.into_iter().any(|other| other.at == piece.at) {
            return;
        }
        tell!("twice {piece:x?}");
        let before = side.usage();
        side.assert_refused(give(&side.kind, piece.place(), piece.layout));
        let more = bytes(piece.layout.size() + 1);
        let answer = resize(&side.kind, piece.place(), piece.layout, more);
        side.assert_refused(answer.map(drop));
        let failures = side.usage().failures;
        assert_eq!(side.usage(), Usage { failures, ..before });
        self.sides[which].failures = failures;
    }

    /// Somebody writes to what was given back.
    pub(super) fn scribble(&mut self, which: usize, input: &mut Input) {
        let side = &self.sides[which];
        let passes_through = side.terms.passes_through;
        if passes_through || !side.kind.may_be_scribbled() || side.gone.is_empty() {
            return;
        }
        let piece = input.pick(&side.gone);
        if piece.layout.size() > MOST || piece.layout.align() > MOST_ALIGNED {
            return;
        }
        let all = self.sides.iter().flat_map(Side::pieces);
        if all.into_iter().any(|other| other.overlaps(&piece)) {
            return;
        }
        // Its memory may have gone back to the heap.
        let ends = [piece.at, piece.end() - 1].map(memory::pointer);
        if ends.iter().any(|end| side.kind.contains(*end) != Ok(true)) {
            return;
        }
        let byte = input.byte();
        tell!("{byte:#x} over {piece:x?}");
        memory::change(piece.at, piece.layout.size(), |bytes| {
            for (offset, written) in bytes.iter_mut().enumerate() {
                *written = byte.wrapping_add(offset as u8 & byte);
            }
        });
        // Their lists go through free pieces.
        self.sides[which].is_scribbled |= side.habit == Habit::Rounded;
    }
}
