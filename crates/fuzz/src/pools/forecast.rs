//! Who is served, and where, by kinds of which that is known.

use std::alloc::Layout;
use std::ptr::NonNull;

use tagheap::{Error, Usage};

use super::side::{Side, buddy_size};
use super::subject::{Habit, Subject};
use crate::memory;
use crate::piece::Piece;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forecast {
    /// Nobody knows.
    Open,
    Refused,
    Served,
    /// At an address.
    At(usize),
}

impl Forecast {
    fn at(found: Option<usize>) -> Self {
        found.map_or(Self::Refused, Self::At)
    }

    fn served(is_served: bool) -> Self {
        if is_served {
            Self::Served
        } else {
            Self::Refused
        }
    }

    /// The answer is what was foretold.
    pub(super) fn assert_is(self, answer: &Result<NonNull<[u8]>, Error>) {
        match (self, answer) {
            (Self::Open, _) | (Self::Refused, Err(_)) | (Self::Served, Ok(_)) => {}
            (Self::At(at), Ok(piece)) => assert_eq!(piece.cast::<u8>().addr().get(), at, "where"),
            (forecast, answer) => panic!("{answer:x?} where {forecast:x?} is right"),
        }
    }
}

impl<K: Subject> Side<K> {
    pub(super) fn forecast(&self, layout: Layout, usage: &Usage) -> Forecast {
        if self.terms.passes_through || self.is_scribbled {
            return Forecast::Open;
        }
        let in_memory = |look: &dyn Fn(usize) -> Forecast| match self.start {
            None => Forecast::Open,
            // As much is never there, wherever it is.
            Some(_) if layout.size() > usage.total => Forecast::Refused,
            Some(start) => look(start),
        };
        match self.habit {
            Habit::Slots { size, align, count } => {
                let fits = layout.size() <= size && layout.align() <= align;
                Forecast::served(fits && self.live.len() < count)
            }
            Habit::FreeList => {
                in_memory(&|start| Forecast::at(self.first_fit(layout, start, start + usage.total)))
            }
            Habit::Stack { is_limited } => in_memory(&|start| {
                let at = (start + usage.used).next_multiple_of(layout.align().max(8));
                let end = at + layout.size().max(1).next_multiple_of(8);
                match (end <= start + usage.total, is_limited) {
                    (false, _) => Forecast::Refused,
                    (true, true) => Forecast::Open,
                    (true, false) => Forecast::At(at),
                }
            }),
            Habit::Buddy { smallest } => in_memory(&|start| {
                let is_aligned = layout.align() <= usage.total.clamp(16, 4096);
                Forecast::served(is_aligned && self.has_buddy(layout, smallest, start, usage.total))
            }),
            Habit::Blocks | Habit::Bump | Habit::Rounded | Habit::ManySlots => Forecast::Open,
        }
    }

    /// The lowest hole that is large enough.
    fn first_fit(&self, layout: Layout, start: usize, end: usize) -> Option<usize> {
        let size = layout.size().max(1).next_multiple_of(16);
        let align = layout.align().max(16);
        let mut pieces: Vec<&Piece> = self.pieces().collect();
        pieces.sort_by_key(|piece| piece.at);
        let mut at = start.next_multiple_of(align);
        for piece in pieces {
            if at + size <= piece.at {
                break;
            }
            let behind = piece.at + piece.size().next_multiple_of(16);
            at = at.max(behind).next_multiple_of(align);
        }
        (at + size <= end).then_some(at)
    }

    /// Whether a part of its size is free, at a multiple of that.
    fn has_buddy(&self, layout: Layout, smallest: usize, start: usize, total: usize) -> bool {
        let size = buddy_size(layout, smallest);
        let is_free = |at: usize| {
            self.pieces().all(|piece| {
                let taken = piece.at - start;
                taken + buddy_size(piece.layout, smallest) <= at || at + size <= taken
            })
        };
        (0..total / size).any(|place| is_free(place * size))
    }

    /// Learns from a piece where the memory starts.
    pub(super) fn learn(&mut self, piece: Piece, before: &Usage) {
        if self.start.is_some() || self.terms.passes_through {
            return;
        }
        match self.habit {
            Habit::FreeList => self.start = self.kind.start(),
            Habit::Stack { .. } if before.used == 0 && piece.layout.align() <= 8 => {
                self.start = Some(piece.at);
            }
            Habit::Buddy { smallest } => {
                let mut start = piece.at;
                while self.kind.contains(memory::pointer(start - smallest)) == Ok(true) {
                    start -= smallest;
                }
                self.start = Some(start);
            }
            _ => {}
        }
    }
}
