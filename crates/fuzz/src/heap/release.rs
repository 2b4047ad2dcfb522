//! Releases: of a tag, of some, of what is younger than a mark; and what goes back to the source.

use tagheap::{Amount, Placement, Rule, Source, Tag};

use super::model::Block;
use super::rig::Rig;
use crate::careless::Careless;
use crate::input::Input;
use crate::piece::Piece;
use crate::sources::Growth;

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    pub(super) fn release(&mut self, tag: Tag) {
        let forecast = self.heap.would_release(tag).unwrap();
        self.assert_whole();
        let gone = self.gone(|block| block.tag == tag);
        let released = self.heap.release_tag(tag).unwrap();
        assert_eq!(released, gone);
        assert_eq!((forecast.amount, forecast.end), (gone, self.heap.end()));
    }

    /// Tags picked by bits of a number that all of theirs say something to.
    pub(super) fn release_some(&mut self, input: &mut Input) {
        let mask = u64::from(input.byte());
        let picks = |tag: Tag| {
            assert!(!tag.is_reserved(), "{tag}");
            tag.number().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56 & mask == 0
        };
        self.assert_whole();
        let gone = self.gone(|block| picks(block.tag));
        assert_eq!(self.heap.release_if(picks).unwrap(), gone);
    }

    pub(super) fn release_since(&mut self, tag: Tag, input: &mut Input) {
        if self.marks.is_empty() {
            return;
        }
        let age = input.below(self.marks.len());
        let is_young = |block: &Block| block.held.is_some_and(|held| held.age > age);
        self.assert_whole();
        let row = self.row();
        match self.heap.release_after(tag, self.marks[age]) {
            Ok(released) => assert_eq!(
                released,
                self.gone(|block| block.tag == tag && is_young(block))
            ),
            // Without a ledger nobody knows what is young.
            Err(error) if self.is_index(error) => self.assert_row(&row),
            Err(error) => panic!("{error}"),
        }
    }

    /// What is in use is as it was left. Of what goes nobody can say so later: the memory may be the kernel's again.
    fn assert_whole(&self) {
        for (_, block) in self.model.in_use() {
            block.piece().inspect(Piece::assert_whole);
        }
    }

    /// Takes blocks in use out of the model, and answers how many they are.
    fn gone(&mut self, goes: impl Fn(&Block) -> bool) -> Amount {
        let blocks: Vec<(usize, Block)> = self
            .model
            .in_use()
            .filter(|(_, block)| goes(block))
            .map(|(index, block)| (index, *block))
            .collect();
        let mut amount = Amount::default();
        for (index, block) in blocks {
            amount.blocks += 1;
            amount.bytes += block.size;
            if let Some(piece) = block.piece() {
                self.gone.push(piece);
            }
            self.model.free(index);
            self.model.account(block.tag).deallocations += 1;
        }
        self.model.coalesce();
        amount
    }

    /// Memory that nobody uses, to the source or the kernel.
    pub(super) fn give_back(&mut self, input: &mut Input) {
        if input.flag() {
            let purged = self.heap.purge().unwrap();
            assert!(purged == 0 || self.model.growth != Growth::Never);
        } else {
            let before = self.limit_of_row();
            let given = self.heap.trim();
            assert_eq!(before - given, self.limit_of_row());
        }
    }
}
