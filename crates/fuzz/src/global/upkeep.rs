//! What is done for a whole tag, or for the whole heap.

use tagheap::{Misuse, Tag};

use super::HEAP;
use super::program::{Home, Live, Program};
use crate::input::Input;
use crate::memory;
use crate::tell::tell;

impl Program {
    /// Gives back what nobody uses, or only looks.
    pub(super) fn tidy(&mut self, who: u8, input: &mut Input) {
        match input.byte() % 4 {
            0 => {
                self.workers.call(who, || HEAP.trim()).unwrap();
                self.gone.clear();
            }
            1 => {
                HEAP.purge().unwrap();
                self.gone.clear();
            }
            2 => HEAP.check().unwrap(),
            _ => assert!(HEAP.report().to_string().lines().count() >= 2),
        }
    }

    pub(super) fn limit(&mut self, tag: Tag, input: &mut Input) {
        let held = HEAP.holding(tag).unwrap().held.bytes;
        let limit = match input.byte() % 4 {
            0 => None,
            1 => Some(held + input.size(17)),
            2 => Some(0),
            _ => Some(usize::MAX),
        };
        tell!("limit {limit:?}");
        HEAP.set_limit(tag, limit).unwrap();
        self.limits.remove(&tag);
        let limit = limit.filter(|limit| *limit != usize::MAX);
        self.limits.extend(limit.map(|limit| (tag, limit)));
    }

    pub(super) fn release(&mut self, tag: Tag) {
        let of_it = |live: &Live| live.tag == tag;
        for live in self.live.iter().filter(|live| of_it(live)) {
            live.piece.assert_whole();
        }
        // SAFETY: no thread does anything, and nobody uses the tag's objects from now on.
        #[expect(unsafe_code, reason = "releases a tag")]
        let released = unsafe { HEAP.release(tag) };
        released.unwrap();
        self.live.retain(|live| !of_it(live));
        self.gone.clear();
        self.assert_nothing_held(&[tag]);
    }

    /// Somebody writes to a slot that was given back, in a span that is there yet.
    pub(super) fn scribble(&mut self, byte: u8) {
        let Some(gone) = self.gone.last() else {
            return;
        };
        let double = Misuse::DoubleFree {
            address: gone.piece.at,
        };
        let is_there = HEAP.tag_of(gone.piece.place()) == Err(double.into());
        if is_there && gone.home == Home::Slot {
            tell!("{byte:#x} over {gone:x?}");
            memory::change(gone.piece.at, gone.usable, |bytes| bytes.fill(byte));
        }
    }
}
