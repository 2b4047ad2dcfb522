//! Objects, taken, resized and given back by whichever thread.

use std::alloc::Layout;
use std::thread;

use tagheap::{Error, Shortage, Tag, scope};

use super::careless::{face, free, free_at, resize, resize_at, try_take};
use super::program::{Home, Live, Program};
use crate::input::Input;
use crate::memory;
use crate::piece::Piece;
use crate::tell::tell;

/// Bytes up to which many are asked for at once, and of which each is looked at where it should be zero.
const SMALL: usize = 4096;
const ZEROED: usize = 1 << 21;

/// Bytes that no memory has.
const BEYOND: usize = 1 << 40;

impl Program {
    pub(super) fn allocate(&mut self, op: u8, who: u8, tag: Tag, input: &mut Input) {
        let powers = [10, 14, 14, 20];
        let Some(layout) = input.request(powers[usize::from(op >> 6)]) else {
            return;
        };
        let is_zeroed = op & 16 != 0 && layout.size() > 0;
        let count = match many(op, input) {
            count if layout.size() < SMALL => count,
            _ => 1,
        };
        tell!("allocate {count} of {layout:?}, zeroed: {is_zeroed}");
        for _ in 0..count {
            let answer = self.workers.call(who, move || take(tag, layout, is_zeroed));
            match answer {
                Ok(at) => {
                    let id = self.next_id();
                    let piece = Piece::held(at, layout, id);
                    self.hold(piece, tag, Home::Slot);
                }
                Err(error) => return self.assert_refused(error, tag, layout),
            }
        }
    }

    /// A request is refused where no memory has so much, or by a limit, if there is one.
    fn assert_refused(&self, error: Error, tag: Tag, layout: Layout) {
        let Error::OutOfMemory(lacking) = error else {
            panic!("{error}");
        };
        assert_eq!((lacking.tag, lacking.size), (tag, layout.size()), "{error}");
        let is_limit = matches!(lacking.cause, Shortage::Limit { .. });
        let is_right = if is_limit {
            self.limits.contains_key(&tag)
        } else {
            layout.size() > BEYOND
        };
        assert!(is_right, "{error}");
    }

    pub(super) fn deallocate(&mut self, op: u8, who: u8, input: &mut Input) {
        for number in 0..many(op, input) {
            let Some(last) = self.live.len().checked_sub(1) else {
                return;
            };
            let place = if number == 0 {
                input.below(last + 1)
            } else {
                last
            };
            let live = self.live.remove(place);
            if self.has_short_threads && number == 0 && op & 64 == 0 {
                live.piece.assert_whole();
                let (at, layout) = (live.piece.at, live.piece.layout);
                thread::spawn(move || give(at, layout)).join().unwrap();
                self.gone.push(live);
            } else {
                self.give_back(live, who);
            }
        }
    }

    pub(super) fn give_back(&mut self, live: Live, who: u8) {
        tell!("deallocate {live:x?}");
        live.piece.assert_whole();
        let (at, layout) = (live.piece.at, live.piece.layout);
        self.workers.call(who, move || give(at, layout));
        self.gone.push(live);
    }

    pub(super) fn resize(&mut self, op: u8, who: u8, input: &mut Input) {
        if self.live.is_empty() {
            return;
        }
        let place = input.below(self.live.len());
        let live = self.live[place];
        let piece = live.piece;
        let Some(new) = input.new_layout(piece.layout.size(), 18) else {
            return;
        };
        tell!("resize {live:x?} to {new:?}");
        piece.assert_whole();
        let by_address = op & 32 == 0;
        let answer = self.workers.call(who, move || {
            let answer = if by_address {
                resize_at(piece.ptr(), new)
            } else {
                resize(piece.ptr(), piece.layout, new)
            };
            answer.map(|at| memory::address(at, new.size()))
        });
        match answer {
            Ok(at) => {
                piece.assert_kept(at, piece.layout.size().min(new.size()));
                self.live.remove(place);
                if at != piece.at {
                    self.gone.push(live);
                }
                let id = self.next_id();
                self.hold(Piece::held(at, new, id), live.tag, live.home);
            }
            Err(error) => {
                piece.assert_whole();
                self.assert_refused(error, live.tag, new);
            }
        }
    }
}

/// How many objects an operation takes or gives back.
fn many(op: u8, input: &mut Input) -> u8 {
    match op & 0x60 {
        0x60 => 1 + input.byte() % 140,
        _ => 1,
    }
}

/// Takes an object in a scope of its tag; the global allocator's face has zeroed ones.
fn take(tag: Tag, layout: Layout, is_zeroed: bool) -> Result<usize, Error> {
    if is_zeroed && let Some(ptr) = scope(tag, || face::alloc_zeroed(layout)) {
        let at = memory::address(ptr, layout.size());
        assert!(memory::is_zero(at, layout.size().min(ZEROED)), "zeroed");
        return Ok(at);
    }
    // Null says nothing of the reason.
    try_take(tag, layout).map(|at| memory::address(at, layout.size()))
}

/// Gives an object back, in one of the ways that there are.
fn give(at: usize, layout: Layout) {
    let ptr = memory::narrow(at, layout.size());
    let given = match at / 16 % 2 {
        0 => free_at(ptr),
        _ => free(ptr, layout),
    };
    given.unwrap();
}
