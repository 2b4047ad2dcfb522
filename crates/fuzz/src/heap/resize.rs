//! Growing and shrinking: in place where the model says so, else where a new block would go.

use std::alloc::Layout;

use tagheap::{Error, HEADER, OutOfMemory, Placement, Rule, SMALLEST, Shortage, Source};

use super::model::{Block, Held, Model, Place};
use super::requests::ZEROED;
use super::rig::{Rig, Row};
use crate::careless::Careless;
use crate::input::Input;
use crate::memory;
use crate::piece::Piece;
use crate::tell::tell;

/// What becomes of a block.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// It stays, as large as it is, or with so many bytes.
    Stays(usize),
    /// It is the row's last, which the row follows.
    Follows(usize),
    Moves(Place),
    Refused(Shortage),
}

impl Model {
    fn plan(&self, index: usize, new: Layout, limit: usize) -> Plan {
        let block = self.blocks[index];
        let wanted = Self::wanted(new);
        if wanted > isize::MAX as usize {
            return Plan::Refused(Shortage::TooLarge);
        }
        if !block.payload().is_multiple_of(new.align()) {
            return self.plan_move(block, new, limit);
        }
        let old = block.held.map_or(0, |held| held.layout.size());
        if new.size() < old {
            return self.plan_shrink(index, wanted);
        }
        if block.size >= wanted {
            return Plan::Stays(block.size);
        }
        match self.allows(block.tag, wanted - block.size) {
            Err(cause) => Plan::Refused(cause),
            Ok(()) => self.plan_growth(index, new, limit),
        }
    }

    fn plan_move(&self, block: Block, new: Layout, limit: usize) -> Plan {
        match self.find(block.tag, new, limit) {
            Ok(place) => Plan::Moves(place),
            Err(cause) => Plan::Refused(cause),
        }
    }

    fn plan_growth(&self, index: usize, new: Layout, limit: usize) -> Plan {
        let block = self.blocks[index];
        let wanted = Self::wanted(new);
        if block.end() == self.end {
            let to = block.at + wanted;
            let is_next = self.growth.overtaken(limit).is_none();
            if to <= limit || (is_next && self.growth.grants(to)) {
                return Plan::Follows(wanted);
            }
        } else if let Some(next) = self.free_behind(index)
            && block.size + next.size >= wanted
        {
            let lack = wanted - block.size;
            let is_cut = next.size - lack >= SMALLEST;
            let more = if is_cut { lack } else { next.size };
            return match self.allows(block.tag, more) {
                Ok(()) => Plan::Stays(block.size + more),
                Err(cause) => Plan::Refused(cause),
            };
        }
        self.plan_move(block, new, limit)
    }

    fn plan_shrink(&self, index: usize, wanted: usize) -> Plan {
        let block = self.blocks[index];
        let rest = block.size.saturating_sub(wanted);
        let goes = rest >= SMALLEST || block.end() == self.end || self.free_behind(index).is_some();
        Plan::Stays(if self.splits && rest > 0 && goes {
            wanted
        } else {
            block.size
        })
    }

    /// The free block behind another, where the rule lets it be taken from.
    fn free_behind(&self, index: usize) -> Option<Block> {
        let next = self.blocks.get(index + 1)?;
        (self.splits && next.is_free()).then_some(*next)
    }

    /// A block has another size, and its neighbour what is left.
    fn set_size(&mut self, index: usize, size: usize) {
        let block = &mut self.blocks[index];
        let (old, at) = (block.size, block.at);
        block.size = size;
        if size > old {
            let next = self.blocks[index + 1];
            self.blocks[index + 1] = Block::free(at + size, next.end() - at - size);
            self.blocks.retain(|block| block.size > 0);
        } else if size < old {
            self.blocks
                .insert(index + 1, Block::free(at + size, old - size));
        }
        self.coalesce();
    }
}

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    pub(super) fn resize(&mut self, input: &mut Input) {
        let Some((index, block)) = self.pick(input) else {
            return;
        };
        let Some(piece) = block.piece() else { return };
        let old = piece.layout;
        let is_zeroed = input.flag();
        let Some(new) = input.new_layout(old.size(), 20) else {
            return;
        };
        let grows = new.size() >= old.size();
        let is_zeroed = is_zeroed && grows && new.size() < ZEROED;
        tell!("resize {piece:x?} to {new:?}, zeroed: {is_zeroed}");
        piece.assert_whole();
        let (row, limit) = (self.row(), self.limit_of_row());
        let mut plan = self.model.plan(index, new, limit);
        let answer = match (grows, is_zeroed) {
            (false, _) => self.heap.reduce(piece.ptr(), old, new),
            (true, false) => self.heap.enlarge(piece.ptr(), old, new),
            (true, true) => self.heap.enlarge_zeroed(piece.ptr(), old, new),
        };
        let at = answer.map(|answer| memory::address(answer, new.size()));
        if matches!(plan, Plan::Follows(_)) && at != Ok(piece.at) && !self.maps {
            // There is no memory to index a longer row.
            plan = self.model.plan_move(block, new, limit);
        }
        if let Ok(at) = at {
            piece.assert_kept(at, old.size().min(new.size()));
            let added = new.size().saturating_sub(old.size());
            let is_clean = !is_zeroed || memory::is_zero(at + old.size(), added);
            assert!(is_clean, "zeroed");
        }
        self.resized(index, new, plan, at, &row);
    }

    /// Compares the answer with the plan, and has the model follow.
    fn resized(
        &mut self,
        index: usize,
        new: Layout,
        plan: Plan,
        answer: Result<usize, Error>,
        row: &Row,
    ) {
        let block = self.model.blocks[index];
        let (Some(piece), Some(held)) = (block.piece(), block.held) else {
            return;
        };
        match (answer, plan) {
            (Err(error), _) if self.is_index(error) => self.lacked_index(row),
            (Err(error), Plan::Refused(cause)) => {
                let (tag, size, align) = (block.tag, new.size(), new.align());
                let refused = OutOfMemory {
                    tag,
                    size,
                    align,
                    cause,
                };
                self.assert_refused(error, refused, row);
                piece.assert_whole();
                self.model.account(tag).failures += 1;
            }
            (Ok(at), Plan::Stays(size) | Plan::Follows(size)) => {
                assert_eq!(at, block.payload(), "stays");
                let layout = new;
                self.model.blocks[index].held = Some(Held { layout, ..held });
                if matches!(plan, Plan::Follows(_)) {
                    self.model.blocks[index].size = size;
                    self.model.end = block.at + size;
                } else {
                    self.model.set_size(index, size);
                }
                self.model.note_peak(block.tag);
                Piece { layout, ..piece }.fill();
            }
            (Ok(at), Plan::Moves(place)) => {
                assert_eq!(at, place.at + HEADER, "moves");
                let moved = self.model.put(place, block.tag, new, held.age);
                let of_old = |block: &Block| block.held.is_some_and(|other| other.id == held.id);
                if let Some(index) = self.model.blocks.iter().position(of_old) {
                    self.model.free(index);
                }
                self.model.coalesce();
                self.gone.push(piece);
                moved.piece().inspect(Piece::fill);
            }
            (answer, plan) => panic!("{answer:x?} where {plan:x?} is right"),
        }
    }
}
