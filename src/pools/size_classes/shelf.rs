//! The chunks of a pool, in the order in which they are used.
//!
//! # Safety
//!
//! A place is read only below the count, and is written before the count exceeds it.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::mem::MaybeUninit;

use crate::pools::chunk::Chunk;

/// How many chunks there are at most: enough to come from 16 KiB to 64 GiB.
pub(super) const MOST: usize = 20;

const _: () = assert!(MOST <= u32::BITS as usize);

/// A chunk in its place.
#[derive(Clone, Copy, Debug)]
struct Shelved {
    chunk: Chunk,
    /// Behind its last piece, and where that one's entry is, if another was opened since and its map does not tell of
    /// all; else anything.
    reach: Reach,
}

/// Where the pieces of a chunk end, and the entries that tell of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) top: usize,
    pub(super) last: usize,
}

impl Shelved {
    fn new(chunk: Chunk) -> Self {
        let reach = Reach::default();
        Self { chunk, reach }
    }
}

/// A pool's chunks, in the pool itself, where no piece overflows into them.
///
/// One is open: it has the cursor. Those before it are divided to their end, those behind it were kept by a
/// reset, the largest first, and hold nothing yet.
#[derive(Debug)]
pub(super) struct Shelf {
    /// A bit for each chunk before the open one whose map tells of all its pieces.
    mapped: Cell<u32>,
    count: Cell<u32>,
    /// The place of the open chunk, if any is.
    open: Cell<u32>,
    /// Those beyond the count are not written: a pool is made in a few instructions.
    places: [Cell<MaybeUninit<Shelved>>; MOST],
}

impl Shelf {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            places: [const { Cell::new(MaybeUninit::uninit()) }; MOST],
            mapped: Cell::new(0),
            count: Cell::new(0),
            open: Cell::new(0),
        }
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count.get() as usize
    }

    /// The place of the open chunk.
    #[inline]
    pub(super) fn place(&self) -> usize {
        self.open.get() as usize
    }

    /// The open chunk.
    #[inline]
    pub(super) fn open(&self) -> Option<Chunk> {
        self.at(self.place())
    }

    #[inline]
    pub(super) fn at(&self, place: usize) -> Option<Chunk> {
        self.shelved(place).map(|shelved| shelved.chunk)
    }

    #[inline]
    fn shelved(&self, place: usize) -> Option<Shelved> {
        if place >= self.count() {
            return None;
        }
        let shelved = self.places.get(place)?.get();
        // SAFETY: below the count, so it was written.
        Some(unsafe { shelved.assume_init() })
    }

    /// Where pieces and entries end in the chunk at a place that was left, and whose map does not tell of all.
    pub(super) fn reach(&self, place: usize) -> Reach {
        self.shelved(place)
            .map_or_else(Reach::default, |shelved| shelved.reach)
    }

    /// Notes where pieces and entries end in the open chunk, whose map does not tell of all; it is about to be left.
    pub(super) fn leave(&self, reach: Reach) {
        let place = self.place();
        self.set_mapped(place, false);
        if let (Some(chunk), Some(shelved)) = (self.at(place), self.places.get(place)) {
            shelved.set(MaybeUninit::new(Shelved { chunk, reach }));
        }
    }

    /// Whether the map of the chunk at a place before the open one tells of all its pieces, up to its end.
    #[inline]
    pub(super) fn is_mapped(&self, place: usize) -> bool {
        self.mapped.get() >> place & 1 != 0
    }

    pub(super) fn set_mapped(&self, place: usize, mapped: bool) {
        let others = self.mapped.get() & !(1 << place);
        self.mapped.set(others | u32::from(mapped) << place);
    }

    /// Opens the chunk at a place.
    pub(super) fn turn_to(&self, place: usize) {
        self.open.set(place as u32);
    }

    /// Puts the first chunk in its place, and opens it.
    #[inline]
    pub(super) fn begin(&self, chunk: Chunk) {
        let [first, ..] = &self.places;
        first.set(MaybeUninit::new(Shelved::new(chunk)));
        self.count.set(1);
        self.turn_to(0);
    }

    /// Puts a chunk behind the others; whether there is a place for it.
    pub(super) fn push(&self, chunk: Chunk) -> bool {
        let Some(place) = self.places.get(self.count()) else {
            return false;
        };
        place.set(MaybeUninit::new(Shelved::new(chunk)));
        self.count.set(self.count.get() + 1);
        true
    }

    /// Puts the largest chunk first, and so on; those of one size stay in their order.
    pub(super) fn sort(&self) {
        let places = self.places.get(..self.count()).unwrap_or_default();
        for end in 1..self.count() {
            for place in (0..end).rev() {
                let pair = places.get(place..=place + 1);
                let (Some(one), Some(other), Some([before, behind])) =
                    (self.at(place), self.at(place + 1), pair)
                else {
                    return;
                };
                if one.bytes() >= other.bytes() {
                    break;
                }
                before.swap(behind);
            }
        }
    }

    /// Takes the last chunk away.
    pub(super) fn pop(&self) {
        self.count.set(self.count.get().saturating_sub(1));
    }

    pub(super) fn last(&self) -> Option<Chunk> {
        self.at(self.count().checked_sub(1)?)
    }

    /// The chunk that holds an address, and its place, among those up to the open one, the largest first.
    #[inline]
    pub(super) fn holding(&self, address: usize) -> Option<(usize, Chunk)> {
        let mut place = self.place();
        loop {
            let chunk = self.at(place)?;
            if chunk.holds(address) {
                return Some((place, chunk));
            }
            place = place.checked_sub(1)?;
        }
    }

    /// All chunks in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Chunk> + '_ {
        (0..self.count()).map_while(|place| self.at(place))
    }
}
