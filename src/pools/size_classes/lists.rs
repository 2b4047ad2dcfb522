//! Lists of free pieces, one a class, through the pieces themselves.
//!
//! A free piece holds two words: where the next one is, and a seal of that and of its own address, by a key of
//! the pool's own. Whatever somebody writes into a piece that he gave back is found before it is followed: for
//! any one word, for certain; for both, but for one case in 2^64. And what is followed leads to a place whose
//! state in the chunk's map is looked at before it is handed out, so even words copied from an older free of
//! the same piece make no two pieces overlap.
//!
//! # Safety
//!
//! The words lie in pieces that are free by the map, and that have 16 bytes at least. A head is read only where a bit
//! says that the list has a piece, and it is written before that bit.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::ground::sys;
use crate::pools::size_classes::class::{COUNT, Class};

/// Where a piece is: the number of its chunk, and how far behind the chunk's start; 0 is nowhere, for a chunk
/// starts with its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot(u64);

const OFFSET_BITS: u32 = 56;

impl Spot {
    #[inline]
    pub(super) fn new(chunk: usize, offset: usize) -> Self {
        Self((chunk as u64) << OFFSET_BITS | offset as u64)
    }

    #[inline]
    pub(super) fn chunk(self) -> usize {
        (self.0 >> OFFSET_BITS) as usize
    }

    #[inline]
    pub(super) fn offset(self) -> usize {
        (self.0 & ((1 << OFFSET_BITS) - 1)) as usize
    }
}

/// What stands in a free piece.
#[derive(Clone, Copy)]
#[repr(C)]
struct Link {
    next: u64,
    seal: u64,
}

const _: () = assert!(size_of::<Link>() == Class::numbered(0).bytes());

const _: () = assert!(COUNT <= u64::BITS as usize);

#[derive(Debug)]
pub(super) struct Lists {
    /// A bit for each class that has a free piece.
    ready: Cell<u64>,
    /// Not 0 once a piece is on a list.
    key: Cell<u64>,
    /// Of each class with a free piece, the one given back last. Others are not written: a pool is made in a few
    /// instructions.
    heads: [Cell<MaybeUninit<u64>>; COUNT],
}

/// The increment of Steele, Lea and Flood's SplitMix64, odd; and another odd number.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD: u64 = 0xd6e8_feb8_6659_fd93;

impl Lists {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            ready: Cell::new(0),
            key: Cell::new(0),
            heads: [const { Cell::new(MaybeUninit::uninit()) }; COUNT],
        }
    }

    /// Forgets all pieces. What stands in them does not pass as a link any more.
    pub(super) fn clear(&self) {
        self.ready.set(0);
        self.key.set(0);
    }

    /// Whether there is no free piece.
    #[inline]
    pub(super) fn are_empty(&self) -> bool {
        self.ready.get() == 0
    }

    #[inline]
    pub(super) fn has(&self, class: Class) -> bool {
        self.ready.get() >> class.number() & 1 != 0
    }

    /// The free piece of a class that was given back last.
    #[inline]
    pub(super) fn head(&self, class: Class) -> Option<Spot> {
        if !self.has(class) {
            return None;
        }
        let head = self.heads.get(class.number())?.get();
        // SAFETY: written before its bit was, see the head of the file.
        Some(Spot(unsafe { head.assume_init() }))
    }

    /// Puts a free piece in front of its list.
    #[inline]
    pub(super) fn push(&self, class: Class, spot: Spot, piece: NonNull<u8>) {
        if self.key.get() == 0 {
            self.key.set(sys::noise().wrapping_mul(STEP) | 1);
        }
        let next = self.head(class).map_or(0, |head| head.0);
        let seal = self.seal(piece.addr().get(), next);
        // SAFETY: the piece is the pool's, free, aligned to 16, and has room for a link.
        unsafe { piece.cast::<Link>().write(Link { next, seal }) };
        self.set(class, spot.0);
    }

    /// What comes behind a piece; the inner `None` at the end, the outer where its words are damaged.
    #[inline]
    pub(super) fn behind(&self, piece: NonNull<u8>) -> Option<Option<Spot>> {
        // SAFETY: as above; whatever stands there is two words.
        let Link { next, seal } = unsafe { piece.cast::<Link>().read() };
        if seal != self.seal(piece.addr().get(), next) {
            return None;
        }
        Some((next != 0).then_some(Spot(next)))
    }

    /// Makes a piece, or nothing, the head of a list.
    #[inline]
    pub(super) fn lead(&self, class: Class, to: Option<Spot>) {
        match to {
            Some(spot) => self.set(class, spot.0),
            None => self.ready.set(self.ready.get() & !(1 << class.number())),
        }
    }

    #[inline]
    fn set(&self, class: Class, head: u64) {
        if let Some(place) = self.heads.get(class.number()) {
            place.set(MaybeUninit::new(head));
            self.ready.set(self.ready.get() | 1 << class.number());
        }
    }

    /// Two odd multiplies: for a given address no two successors have the same seal.
    #[inline]
    fn seal(&self, at: usize, next: u64) -> u64 {
        let here = (at as u64 ^ self.key.get()).wrapping_mul(STEP);
        (here.rotate_left(32) ^ next).wrapping_mul(SPREAD)
    }
}
