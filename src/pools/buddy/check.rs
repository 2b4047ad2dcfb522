//! The blocks of a buddy system in a row, and whether its books agree on them.

use crate::pools::buddy::Buddy;
use crate::sharing::share::Share;

/// A block of the region's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) order: u32,
    pub(super) state: State,
}

/// Who has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    /// In the hand.
    Held,
    Used,
}

impl<H: Share> Buddy<H> {
    /// All blocks by address, each with its number, seen as somebody sees the one that
    /// starts there; ends with the address at which none does.
    pub(super) fn blocks(
        &self,
        see: impl Fn(usize, Block) -> Block,
    ) -> impl Iterator<Item = Result<(usize, Block), usize>> {
        let mut at = 0;
        core::iter::from_fn(move || {
            if at >= self.region.bytes() >> self.shift {
                return None;
            }
            let start = at;
            let block = self.block_at(start).map(|block| see(start, block));
            at = block.map_or(usize::MAX, |block| start + (1 << block.order));
            let block = block.map(|block| (start, block));
            Some(block.ok_or(self.hand.address(start)))
        })
    }

    /// The one block of this number, if there is exactly one.
    fn block_at(&self, start: usize) -> Option<Block> {
        let out = self.hand.out(start).map(|power| Block {
            order: self.order(power),
            state: if self.hand.holds(start, power) {
                State::Held
            } else {
                State::Used
            },
        });
        // Blocks start at multiples of their size.
        let most = start.trailing_zeros().min(self.top);
        let free = (0..=most).filter(|order| self.free.is_free(start, *order));
        let free = free.map(|order| Block {
            order,
            state: State::Free,
        });
        let mut blocks = out.into_iter().chain(free);
        let block = blocks.next().filter(|block| block.order <= most);
        block.filter(|_| blocks.next().is_none())
    }

    /// The address at which something is wrong, if so.
    pub(super) fn check_books(&self) -> Result<(), usize> {
        let base = self.region.base();
        let (mut used, mut live, mut free) = (0, 0, 0);
        let all = self.held_in_all();
        let mut held = self.hand.moves();
        let mut before = None;
        for found in self.blocks(|_, block| block) {
            let (start, block) = found?;
            let amount = 1 << block.order;
            match block.state {
                // Of two halves, at most one is free.
                State::Free if before == Some((start ^ amount, block)) => {
                    return Err(self.hand.address(start));
                }
                State::Free => free += 1,
                State::Held => {
                    held.blocks += 1;
                    held.amount += amount;
                }
                State::Used => {
                    used += amount << self.shift;
                    live += 1;
                }
            }
            before = Some((start, block));
        }
        // Nothing is noted inside blocks either.
        let counted = self.hand.count() as u64 == live + held.blocks && self.free.count() == free;
        let usage = self.tally.usage(held);
        let metered = (used, live) == (usage.used, usage.live());
        if !counted || !metered || held != all || !self.free.is_sound() {
            return Err(base);
        }
        Ok(())
    }
}
