//! Headers that somebody writes to: an operation that meets one says so, and nothing has changed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tagheap::{Corruption, Error, HEADER, Placement, Rule, Source, Tag, TagStats};

use super::rig::{Rig, TAGS};
use crate::careless::Careless;
use crate::input::{Input, bytes};
use crate::memory;
use crate::tell::tell;

/// Bits of a header's byte that were flipped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flip {
    header: usize,
    offset: usize,
    bits: u8,
}

impl Flip {
    /// Flips them; a second time flips them back.
    fn apply(self) {
        memory::change(self.header + self.offset, 1, |bytes| bytes[0] ^= self.bits);
    }
}

/// What an operation in a damaged heap did.
enum Answer {
    /// Nothing was asked: there was nothing to ask.
    Nothing,
    Given(Result<(), Error>),
}

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    /// Damages a header in one of many ways.
    pub(super) fn strike(&mut self, input: &mut Input) {
        let header = self.any_header(input);
        let old = memory::copy(header, HEADER);
        let mut new = old.clone();
        match input.byte() % 8 {
            0 => new.fill(0),
            1 => new.fill(0xff),
            2 => {
                let length = input.below(HEADER + 1);
                new[..length].fill(input.byte());
            }
            3 => new = memory::copy(self.any_header(input), HEADER),
            4 => new.iter_mut().for_each(|byte| *byte ^= input.byte()),
            5 => {
                let word = input.below(4) * 8;
                let value = (input.word() * 16) as u64;
                new[word..word + 8].copy_from_slice(&value.to_le_bytes());
            }
            _ => new[input.below(HEADER)] ^= input.byte(),
        }
        tell!("damage at {header:#x}: {new:x?}");
        for (offset, (old, new)) in old.into_iter().zip(new).enumerate() {
            let flip = Flip {
                header,
                offset,
                bits: old ^ new,
            };
            if flip.bits != 0 {
                flip.apply();
                self.damage.push(flip);
            }
        }
        self.assert_found();
    }

    fn any_header(&self, input: &mut Input) -> usize {
        let blocks = &self.model.blocks;
        blocks[input.below(blocks.len())].at
    }

    /// Undoes all damage.
    pub(super) fn mend(&mut self) {
        tell!("mended");
        self.damage.drain(..).rev().for_each(Flip::apply);
    }

    /// A check names the first header that is not as it was, and whoever only looks gets some answer.
    fn assert_found(&self) {
        let mut net: BTreeMap<(usize, usize), u8> = BTreeMap::new();
        for flip in &self.damage {
            *net.entry((flip.header, flip.offset)).or_default() ^= flip.bits;
        }
        let first = net.into_iter().find(|(_, bits)| *bits != 0);
        let found = self.heap.check();
        match first {
            None => assert_eq!(found, Ok(())),
            Some(((at, _), _)) if at == self.heap.base() => {
                let is_named = matches!(
                    found,
                    Err(Corruption::Header { .. } | Corruption::Root { .. })
                );
                assert!(is_named, "{found:?}");
            }
            Some(((at, _), _)) => assert_eq!(found, Err(Corruption::Header { at })),
        }
        let _ = format!("{}{}", self.heap.drawing(), self.heap.table());
        let _ = (self.heap.stats(), self.heap.pinned_by());
        let _ = (self.heap.would_release(TAGS[0]), self.heap.walk().count());
    }

    /// One operation in a damaged heap. It breaks if the operation met no damage and was done: the model
    /// was not asked what it should have done.
    pub(super) fn step_in_damage(
        &mut self,
        op: u8,
        tag: Tag,
        input: &mut Input,
    ) -> ControlFlow<()> {
        let row = self.row();
        if !row.is_visible() {
            self.mend();
            return ControlFlow::Continue(());
        }
        let before: Vec<TagStats> = self.heap.tags().collect();
        let answer = match op {
            36 => {
                self.strike(input);
                Answer::Nothing
            }
            37.. => {
                self.mend();
                Answer::Nothing
            }
            _ => self.attempt(op, tag, input),
        };
        match answer {
            Answer::Nothing => ControlFlow::Continue(()),
            Answer::Given(Err(error)) => {
                tell!("{error}");
                self.assert_named(error);
                self.assert_row(&row);
                self.assert_found();
                self.assert_counted(&before);
                ControlFlow::Continue(())
            }
            Answer::Given(Ok(())) => {
                self.mend();
                if let Err(damage) = self.heap.check() {
                    panic!("done in spite of damage, and not right: {damage}");
                }
                ControlFlow::Break(())
            }
        }
    }

    fn attempt(&mut self, op: u8, tag: Tag, input: &mut Input) -> Answer {
        let block = self.pick(input).and_then(|(_, block)| block.piece());
        Answer::Given(match (op, block) {
            (0..10, _) => self.heap.allocate(tag, input.layout(12)).map(drop),
            (10..16, Some(piece)) => self.heap.free(piece.ptr(), piece.layout),
            (16..23, Some(piece)) => {
                let (ptr, old, new) = (piece.ptr(), piece.layout, input.layout(14));
                match (new.size() < old.size(), input.flag()) {
                    (true, _) => self.heap.reduce(ptr, old, new),
                    (false, true) => self.heap.enlarge(ptr, old, new),
                    (false, false) => self.heap.enlarge_zeroed(ptr, old, new),
                }
                .map(drop)
            }
            (23..26, _) => self.heap.release_tag(tag).map(drop),
            (26, _) => self.heap.release_if(|tag| tag.number() % 2 == 1).map(drop),
            (27 | 28, _) if !self.marks.is_empty() => {
                let mark = input.pick(&self.marks);
                self.heap.release_after(tag, mark).map(drop)
            }
            (29, Some(piece)) => self.heap.retag(piece.ptr(), tag),
            (30..33, _) => self.heap.merge(input.pick(&TAGS), tag).map(drop),
            (33, _) => self.heap.purge().map(drop).map_err(Error::Corruption),
            (34 | 35, _) => {
                let at = self.heap.base() + input.word() * 4 + 1;
                self.heap.free(memory::pointer(at), bytes(1))
            }
            _ => return Answer::Nothing,
        })
    }

    /// A header that an error names is one that was written to.
    fn assert_named(&self, error: Error) {
        assert!(!error.to_string().contains('\n'), "{error}");
        if let Error::Corruption(Corruption::Header { at }) = error {
            let is_damaged = self.damage.iter().any(|flip| flip.header == at);
            assert!(is_damaged, "{error}: it is whole");
        }
    }

    /// Nothing was counted but a failure.
    fn assert_counted(&mut self, before: &[TagStats]) {
        for before in before {
            if let Ok(now) = self.heap.stats_of(before.tag) {
                let failures = now.failures;
                assert_eq!(
                    now,
                    TagStats {
                        failures,
                        ..*before
                    }
                );
            }
        }
        if self.model.has_ledger {
            for stats in self.heap.tags() {
                self.model.account(stats.tag).failures = stats.failures;
            }
        }
    }
}
