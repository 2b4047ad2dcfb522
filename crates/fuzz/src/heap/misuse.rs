//! Wrong pointers, sizes, alignments and tags: each is refused by its name, and nothing changes.

use std::alloc::Layout;

use tagheap::{Amount, Error, Misuse, Placement, Rule, Source, Tag};

use super::model::Block;
use super::rig::Rig;
use crate::careless::Careless;
use crate::input::{Input, bytes, layout};
use crate::memory;
use crate::tell::tell;

/// An alignment that hardly an address has.
const RARE: usize = 1 << 20;

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    pub(super) fn misuse(&mut self, tag: Tag, input: &mut Input) {
        let Some((at, layout)) = self.wrong(input) else {
            return;
        };
        tell!("misuse of {at:#x} as {layout:?}");
        let row = self.row();
        let is_there = |block: &Block| block.held.is_some() && block.payload() == at;
        match self.model.blocks.iter().copied().find(is_there) {
            Some(block) => self.misnamed(block, input),
            None => self.no_block(at, layout, tag),
        }
        self.reserved(tag);
        self.assert_row(&row);
    }

    /// Something that may be wrong: what was given back, any address, one in a block, one out of the blue.
    fn wrong(&self, input: &mut Input) -> Option<(usize, Layout)> {
        let (at, layout) = match input.byte() % 4 {
            0 if !self.gone.is_empty() => {
                let piece = input.pick(&self.gone);
                (piece.at, piece.layout)
            }
            1 => (self.heap.base() + input.word() * 4, input.layout(8)),
            2 => {
                let (_, block) = self.pick(input)?;
                let at = block.payload() + input.below(block.size * 2);
                (at, block.held?.layout)
            }
            _ => (input.word() << (input.byte() % 48), Layout::new::<u8>()),
        };
        (at != 0).then_some((at, layout))
    }

    /// No block in use is there.
    fn no_block(&mut self, at: usize, layout: Layout, tag: Tag) {
        let ptr = memory::pointer(at);
        assert!(!self.heap.contains(ptr));
        let errors = [
            self.heap.tag_of(ptr).map(drop),
            self.heap.usable_size(ptr).map(drop),
            self.heap.requested_size(ptr).map(drop),
            self.heap.free(ptr, layout),
            self.heap
                .enlarge(ptr, layout, bytes(layout.size() + 9))
                .map(drop),
            self.heap.retag(ptr, tag),
        ];
        let is_inside = (self.heap.base()..self.heap.end()).contains(&at);
        let fences = self
            .model
            .blocks
            .iter()
            .filter(|block| block.tag == Tag::FOREIGN);
        let is_foreign = fences
            .into_iter()
            .any(|fence| (fence.at..fence.end()).contains(&at));
        for error in errors {
            match error.unwrap_err() {
                Error::Misuse(Misuse::NotFromHere { .. }) => assert!(!is_inside || is_foreign),
                Error::Misuse(Misuse::NotABlock { .. }) => assert!(is_inside && !is_foreign),
                Error::Misuse(_) => {}
                error => panic!("{error}"),
            }
        }
    }

    /// A block in use, of which something else is said than is so.
    fn misnamed(&mut self, block: Block, input: &mut Input) {
        let Some(piece) = block.piece() else { return };
        let (ptr, asked) = (piece.ptr(), piece.layout.size());
        assert!(self.heap.contains(ptr));
        assert_eq!(self.heap.tag_of(ptr), Ok(block.tag));
        assert_eq!(self.heap.usable_size(ptr), Ok(block.usable()));
        assert_eq!(self.heap.requested_size(ptr), Ok(block.requested()));
        let wrong = asked + 1 + usize::from(input.byte());
        if !block.passes(wrong) {
            let error = self.heap.free(ptr, bytes(wrong)).unwrap_err();
            let is_named = matches!(error, Error::Misuse(Misuse::SizeMismatch { claimed, .. }) if claimed == wrong);
            assert!(is_named, "{error}");
        }
        let claimed = Tag::new(9999);
        let address = piece.at;
        let mismatch = Misuse::TagMismatch {
            address,
            claimed,
            tag: block.tag,
        };
        let error = self.heap.free_in(claimed, ptr, bytes(asked));
        assert_eq!(error, Err(mismatch.into()));
        if !address.is_multiple_of(RARE) {
            let claimed = RARE;
            let mismatch = Misuse::AlignMismatch { address, claimed };
            let error = self.heap.free(ptr, layout(asked, RARE));
            assert_eq!(error, Err(mismatch.into()));
        }
        if let Some(less) = asked.checked_sub(1) {
            let wrong_way = |new| Err(Misuse::WrongWay { old: asked, new }.into());
            let error = self.heap.enlarge(ptr, bytes(asked), bytes(less));
            assert_eq!(error, wrong_way(less));
            let error = self.heap.reduce(ptr, bytes(asked), bytes(asked + 1));
            assert_eq!(error, wrong_way(asked + 1));
        }
    }

    /// The heap's own tags are nobody's to name.
    fn reserved(&mut self, tag: Tag) {
        for own in [Tag::FREE, Tag::HEAP, Tag::FOREIGN, Tag::new(u64::MAX - 15)] {
            let errors = [
                self.heap.allocate(own, Layout::new::<u8>()).map(drop),
                self.heap.set_limit(own, None),
                self.heap.merge(own, tag).map(drop),
                self.heap.merge(tag, own).map(drop),
                self.heap.release_tag(own).map(drop),
            ];
            for error in errors {
                assert_eq!(error, Err(Misuse::ReservedTag { tag: own }.into()));
            }
            let forecast = self.heap.would_release(own).unwrap();
            assert_eq!(forecast.amount, Amount::default());
            assert_eq!(forecast.end, self.heap.end());
        }
    }
}
