//! Allocation and deallocation.

use tagheap::{HEADER, OutOfMemory, Placement, Rule, Source, Tag};

use super::rig::Rig;
use crate::careless::Careless;
use crate::input::Input;
use crate::memory;
use crate::piece::Piece;
use crate::tell::tell;

/// Bytes up to which zeroed memory is asked for.
pub(super) const ZEROED: usize = 8 << 20;

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    pub(super) fn allocate(&mut self, tag: Tag, power: u32, input: &mut Input) {
        let is_zeroed = input.byte() % 4 == 3;
        let Some(layout) = input.request(power) else {
            return;
        };
        let is_zeroed = is_zeroed && layout.size() < ZEROED;
        tell!("allocate {layout:?}, zeroed: {is_zeroed}");
        let row = self.row();
        let wanted = self.model.find(tag, layout, self.limit_of_row());
        let answer = if is_zeroed {
            self.heap.allocate_zeroed(tag, layout)
        } else {
            self.heap.allocate(tag, layout)
        };
        match (answer, wanted) {
            (Err(error), _) if self.is_index(error) => self.lacked_index(&row),
            (Ok(answer), Ok(place)) => {
                let at = memory::address(answer, layout.size());
                assert_eq!(at, place.at + HEADER, "{}", self.heap.drawing());
                if is_zeroed {
                    assert!(memory::is_zero(at, layout.size()), "zeroed");
                }
                let age = self.marks.len();
                let block = self.model.put(place, tag, layout, age);
                let account = self.model.account(tag);
                account.allocations += 1;
                account.largest = account.largest.max(layout.size());
                block.piece().inspect(Piece::fill);
            }
            (Err(error), Err(cause)) => {
                let (size, align) = (layout.size(), layout.align());
                let refused = OutOfMemory {
                    tag,
                    size,
                    align,
                    cause,
                };
                self.assert_refused(error, refused, &row);
                self.model.account(tag).failures += 1;
            }
            (answer, wanted) => panic!("{answer:x?} where {wanted:x?} is right"),
        }
    }

    pub(super) fn deallocate(&mut self, input: &mut Input) {
        let Some((index, block)) = self.pick(input) else {
            return;
        };
        let Some(piece) = block.piece() else { return };
        piece.assert_whole();
        let answer = if input.flag() {
            self.heap.free_in(block.tag, piece.ptr(), piece.layout)
        } else {
            self.heap.free(piece.ptr(), piece.layout)
        };
        answer.unwrap();
        self.model.free(index);
        self.model.account(block.tag).deallocations += 1;
        self.model.coalesce();
        self.gone.push(piece);
    }
}
