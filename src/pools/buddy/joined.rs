//! What is free, with what is in the hand joined to it.

use crate::pools::buddy::Buddy;
use crate::pools::buddy::check::{Block, State};
use crate::sharing::share::Share;
use crate::words::size::align_down;

impl<H: Share> Buddy<H> {
    /// Whether a block is in the hand.
    pub(super) fn is_held(&self, block: usize, order: u32) -> bool {
        self.held().any(|held| held == (block, order))
    }

    /// Whether a block is free, or is in the hand, or would be free, were all that is in the hand joined.
    pub(super) fn is_whole(&self, block: usize, order: u32) -> bool {
        if self.free.is_free(block, order) || self.is_held(block, order) {
            return true;
        }
        let is_inside = |(held, below)| below < order && align_down(held, 1 << order) == block;
        // Of halves that are free both, one was in the hand: else they were joined.
        self.held().any(is_inside) && {
            let upper = block + (1 << (order - 1));
            self.is_whole(block, order - 1) && self.is_whole(upper, order - 1)
        }
    }

    /// The block that starts there, or the one that it would be part of, joined to what is in the hand. That starts
    /// there too, if nothing before it was.
    pub(super) fn seen(&self, start: usize, block: Block) -> Block {
        match block.state {
            State::Used => block,
            State::Free | State::Held => Block {
                order: self.joined(start, block.order),
                state: State::Free,
            },
        }
    }

    /// The order of the block that a free one, or one in the hand, would be part of.
    pub(super) fn joined(&self, block: usize, order: u32) -> u32 {
        let is_whole = |order: &u32| self.is_whole(align_down(block, 1 << *order), *order);
        (order..=self.top)
            .take_while(is_whole)
            .last()
            .unwrap_or(order)
    }
}
