//! The three sources of memory as one, so that there is one type of heap.
//!
//! # Safety
//!
//! Every call goes to the source within, which keeps the contract.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use heap::{Break, Buffer, Corruption, Refusal, Reserve, Source};

/// Where a heap's memory comes from.
#[derive(Debug)]
pub(crate) enum Ground {
    Break(Break),
    Reserve(Reserve),
    Buffer(Buffer<'static>),
}

macro_rules! each {
    ($ground:expr, $source:ident => $call:expr) => {
        match $ground {
            Ground::Break($source) => $call,
            Ground::Reserve($source) => $call,
            Ground::Buffer($source) => $call,
        }
    };
}

// SAFETY: the same source answers every call.
unsafe impl Source for Ground {
    fn base(&self) -> NonNull<u8> {
        each!(self, source => source.base())
    }

    fn limit(&self) -> usize {
        each!(self, source => source.limit())
    }

    fn frontier(&self) -> Result<usize, Corruption> {
        each!(self, source => source.frontier())
    }

    fn extend(&mut self, frontier: usize, to: usize) -> Result<(), Refusal> {
        each!(self, source => source.extend(frontier, to))
    }

    unsafe fn trim(&mut self, to: usize) -> usize {
        // SAFETY: the caller's promise.
        each!(self, source => unsafe { source.trim(to) })
    }

    unsafe fn purge(&mut self, from: usize, to: usize) -> usize {
        // SAFETY: the caller's promise.
        each!(self, source => unsafe { source.purge(from, to) })
    }

    fn zero_from(&self) -> usize {
        each!(self, source => source.zero_from())
    }

    fn index_room(&self) -> usize {
        each!(self, source => source.index_room())
    }

    fn may_reach(&self, to: usize) -> bool {
        each!(self, source => source.may_reach(to))
    }

    fn may_map(&self) -> bool {
        each!(self, source => source.may_map())
    }

    fn prefers_huge_pages(&self) -> bool {
        each!(self, source => source.prefers_huge_pages())
    }
}
