//! Where the memory of a program's one heap comes from: the break where it is the program's own, else a reservation.
//!
//! # Safety
//!
//! Each source keeps the trait's promises; this one passes every question on to the same.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::ground::source::program_break::Break;
use crate::ground::source::reserve::Reserve;
use crate::ground::source::{Refusal, Source};
use crate::words::error::Corruption;

/// The break or a reservation.
#[derive(Debug)]
pub(super) enum Ground {
    Break(Break),
    Reserve(Reserve),
}

/// Asks whichever it is.
macro_rules! ask {
    ($ground:expr, $source:ident => $question:expr) => {
        match $ground {
            Ground::Break($source) => $question,
            Ground::Reserve($source) => $question,
        }
    };
}

// SAFETY: see the head of the file.
unsafe impl Source for Ground {
    fn base(&self) -> NonNull<u8> {
        ask!(self, source => source.base())
    }

    fn limit(&self) -> usize {
        ask!(self, source => source.limit())
    }

    fn frontier(&self) -> Result<usize, Corruption> {
        ask!(self, source => source.frontier())
    }

    fn extend(&mut self, frontier: usize, to: usize) -> Result<(), Refusal> {
        ask!(self, source => source.extend(frontier, to))
    }

    unsafe fn trim(&mut self, to: usize) -> usize {
        // SAFETY: the caller's promise.
        ask!(self, source => unsafe { source.trim(to) })
    }

    unsafe fn purge(&mut self, from: usize, to: usize) -> usize {
        // SAFETY: the caller's promise.
        ask!(self, source => unsafe { source.purge(from, to) })
    }

    fn zero_from(&self) -> usize {
        ask!(self, source => source.zero_from())
    }

    fn index_room(&self) -> usize {
        ask!(self, source => source.index_room())
    }

    fn may_reach(&self, to: usize) -> bool {
        ask!(self, source => source.may_reach(to))
    }

    /// Spans and what is larger than their slots are large blocks.
    fn prefers_huge_pages(&self) -> bool {
        matches!(self, Self::Reserve(source) if source.is_in_huge_pages())
    }
}
