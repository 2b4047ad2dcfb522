//! Blocks given to another tag; and what is said of a tag: its limit, its name, its peak.

use tagheap::{Error, OutOfMemory, Placement, Rule, Source, Tag};

use super::rig::{Rig, Row, TAGS};
use crate::input::Input;

/// Bytes of a tag's name at most.
const NAME: usize = 31;

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    pub(super) fn retag(&mut self, tag: Tag, input: &mut Input) {
        let Some((index, block)) = self.pick(input) else {
            return;
        };
        let Some(piece) = block.piece() else { return };
        let row = self.row();
        let answer = self.heap.retag(piece.ptr(), tag);
        if block.tag == tag {
            return answer.unwrap();
        }
        if self.moves(answer, tag, block.size, &row) {
            self.model.blocks[index].tag = tag;
            self.model.note_peak(tag);
        }
    }

    pub(super) fn merge(&mut self, tag: Tag, input: &mut Input) {
        let from = input.pick(&TAGS);
        let count = |tag| {
            self.model
                .in_use()
                .filter(|(_, block)| block.tag == tag)
                .count()
        };
        let (blocks, bytes) = (count(from), self.model.held(from));
        let row = self.row();
        let answer = self.heap.merge(from, tag);
        if let Ok(given) = answer {
            assert_eq!((given.blocks, given.bytes), (blocks, bytes));
        }
        if from == tag || blocks == 0 {
            answer.unwrap();
        } else if self.moves(answer.map(drop), tag, bytes, &row) {
            let given = self.model.blocks.iter_mut();
            for block in given.filter(|block| block.tag == from) {
                block.tag = tag;
            }
            self.model.note_peak(tag);
        }
    }

    /// Whether a tag got so many bytes more; if not, that is what its limit says.
    fn moves(&mut self, answer: Result<(), Error>, tag: Tag, bytes: usize, row: &Row) -> bool {
        match (answer, self.model.allows(tag, bytes)) {
            (Err(error), _) if self.is_index(error) => {
                self.lacked_index(row);
                return false;
            }
            (Ok(()), Ok(())) => {}
            (Err(error), Err(cause)) => {
                let refused = OutOfMemory {
                    tag,
                    size: bytes,
                    align: 1,
                    cause,
                };
                self.assert_refused(error, refused, row);
            }
            (answer, wanted) => panic!("{answer:?} where {wanted:?} is right"),
        }
        self.model.open(tag);
        answer.is_ok()
    }

    /// A limit near what the tag holds, or none.
    pub(super) fn limit(&mut self, tag: Tag, input: &mut Input) {
        let held = self.model.held(tag);
        let limit = match input.byte() % 5 {
            0 => None,
            1 => Some(usize::MAX - input.below(3)),
            2 => Some(input.below(held + 1)),
            3 => Some(held + input.size(12)),
            _ => Some(0),
        };
        let answer = self.heap.set_limit(tag, limit);
        if self.is_said(answer) {
            let limit = limit.filter(|limit| *limit != usize::MAX);
            self.model.account(tag).limit = limit;
        }
    }

    /// A name of any characters, too long now and then.
    pub(super) fn name(&mut self, tag: Tag, input: &mut Input) {
        let length = input.below(40);
        let letters = (0..length).map(|_| char::from_u32(u32::from(input.byte()) * 5));
        let name: String = letters.map(|letter| letter.unwrap_or('x')).collect();
        let answer = self.heap.set_name(tag, &name);
        if self.is_said(answer) {
            self.model.account(tag).name = cut(&name);
        }
    }

    /// Whether an account notes what was said of its tag.
    fn is_said(&self, answer: Result<(), Error>) -> bool {
        match answer {
            Ok(()) => self.model.has_ledger,
            Err(error) if self.is_index(error) => false,
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) fn reset_peak(&mut self, tag: Tag) {
        self.heap.reset_peak(tag);
        let held = self.model.held(tag);
        if let Some(account) = self.model.accounts.get_mut(&tag) {
            account.peak = held;
        }
    }

    /// A tag that holds nothing is as if it had never been.
    pub(super) fn forget(&mut self, tag: Tag) {
        self.heap.forget(tag);
        if self.model.held(tag) == 0 && self.model.accounts.remove(&tag).is_some() {
            self.noted = None;
        }
    }
}

/// What is kept of a name: whole characters, those that control nothing.
fn cut(name: &str) -> String {
    let mut kept = String::new();
    for letter in name.chars() {
        if kept.len() + letter.len_utf8() > NAME {
            break;
        }
        kept.push(if letter.is_ascii_control() {
            '?'
        } else {
            letter
        });
    }
    kept
}
