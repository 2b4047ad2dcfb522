//! What was given back before, and pointers that nobody was given.

use std::alloc::Layout;

use tagheap::Error;

use super::HEAP;
use super::careless::{free, free_at, resize, resize_at};
use super::numbers::held;
use super::program::Program;
use crate::input::{Input, bytes};
use crate::memory;
use crate::tell::tell;

fn assert_misuse<T>(answer: Result<T, Error>) {
    let error = answer.map(drop).unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

impl Program {
    pub(super) fn misuse(&mut self, who: u8, input: &mut Input) {
        let before = held();
        if input.flag() {
            self.wrong(input);
        } else {
            self.twice(who, input);
        }
        assert_eq!(before, held());
    }

    /// An object that was given back.
    fn twice(&self, who: u8, input: &mut Input) {
        if self.gone.is_empty() {
            return;
        }
        let gone = input.pick(&self.gone).piece;
        let covers = |start: usize, usable: usize| (start..start + usable).contains(&gone.at);
        let mut all = self.live.iter();
        if all.any(|live| covers(live.piece.at, live.usable.max(1))) {
            return;
        }
        tell!("twice {gone:x?}");
        assert_misuse(HEAP.tag_of(gone.place()));
        assert_misuse(HEAP.usable_size(gone.place()));
        assert_misuse(HEAP.requested_size(gone.place()));
        assert_misuse(self.workers.call(who, move || free_at(gone.place())));
        assert_misuse(free(gone.place(), gone.layout));
        assert_misuse(resize_at(gone.place(), Layout::new::<u64>()));
        let more = bytes(gone.layout.size() + 1);
        assert_misuse(resize(gone.place(), gone.layout, more));
    }

    /// An address within an object or near it, or anywhere.
    fn wrong(&self, input: &mut Input) {
        if self.live.is_empty() {
            return;
        }
        let live = input.pick(&self.live);
        let at = match input.byte() % 4 {
            0 => (input.word() + 1) << (input.byte() % 46),
            _ => live.piece.at + 1 + input.below(live.usable + 30),
        };
        let is_inside = at < live.piece.at + live.usable;
        let ptr = memory::pointer(at);
        let is_in_use = self.live.iter().any(|live| live.piece.at == at);
        // Near it may be what others hold.
        if is_in_use || !is_inside && HEAP.tag_of(ptr).is_ok() {
            return;
        }
        tell!("wrong {at:#x}, by {live:x?}");
        assert_misuse(HEAP.tag_of(ptr));
        assert_misuse(free_at(ptr));
        assert_misuse(resize_at(ptr, Layout::new::<u64>()));
        assert_misuse(free(ptr, live.piece.layout));
        live.piece.assert_whole();
    }
}
