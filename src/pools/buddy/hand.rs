//! Blocks out of their orders: in use, or given back and kept in the hand.
//!
//! A block is noted with the power of two that was asked for, which is less than what it has where it is a smallest
//! block. The hand has one block for each power.
//!
//! # Safety
//!
//! A note is looked up without regard to how many there are only where the hand is open, and that says how many
//! there are.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::num::NonZero;

use crate::pools::book::Book;
use crate::pools::buddy::tally::Held;

/// Notes on the blocks that are out of their orders, and those of them that are in the hand.
#[derive(Debug)]
// In this order: what every request needs is side by side.
#[repr(C)]
pub(super) struct Hand {
    /// Blocks ever taken out of the hand to be used.
    taken: Cell<u64>,
    /// Blocks ever put in the hand that nobody had used.
    kept: Cell<u64>,
    /// Address of the region.
    base: usize,
    /// Two to so many bytes are a smallest block.
    shift: u32,
    /// How many notes there are while the hand is open; 0 while it is closed, and empty.
    open: Cell<usize>,
    /// For each smallest block at which a block starts that is out, its power's [`code`]; 0 for others.
    notes: Book<u8>,
    /// Address of the block of each power, or [`EMPTY`].
    blocks: [Cell<usize>; POWERS],
}

/// More than any power that is asked for.
const POWERS: usize = usize::BITS as usize;

/// The note for a power. Like 0, it has an even number of bits, so that none is one of another power with a bit
/// flipped.
#[inline]
const fn code(power: u32) -> u8 {
    let code = power as u8 + 1;
    code | (code.count_ones() as u8 & 1) << 7
}

/// Where no block starts.
const EMPTY: usize = 0;

/// What becomes of a block that is given back.
pub(super) enum Given {
    /// It is in the hand.
    Kept,
    /// It is in the hand, and the one at this address is not any more.
    Instead(usize),
    /// The hand is closed, or no block of that power is in use there.
    Refused,
}

impl Hand {
    /// Closed, and nothing is out. `notes` has one for each smallest block of the region at `base`.
    pub(super) fn new(notes: Book<u8>, base: usize, shift: u32) -> Self {
        Self {
            taken: Cell::new(0),
            kept: Cell::new(0),
            base,
            shift,
            open: Cell::new(0),
            notes,
            blocks: [const { Cell::new(EMPTY) }; POWERS],
        }
    }

    #[inline]
    fn of(&self, power: u32) -> &Cell<usize> {
        let [first, ..] = &self.blocks;
        self.blocks.get(power as usize % POWERS).unwrap_or(first)
    }

    /// Takes the block of a power, and answers its address.
    #[inline]
    pub(super) fn take(&self, power: u32) -> Option<NonZero<usize>> {
        let held = self.of(power);
        let at = NonZero::new(held.get())?;
        held.set(EMPTY);
        self.taken.set(self.taken.get() + 1);
        Some(at)
    }

    /// Puts a block in use in the hand.
    #[inline]
    pub(super) fn give(&self, at: usize, power: u32) -> Given {
        let block = self.number(at);
        if block >= self.open.get() {
            return Given::Refused;
        }
        // SAFETY: while the hand is open, that is how many notes there are (`open`).
        let note = unsafe { self.notes.at_unchecked(block) };
        let held = self.of(power);
        let before = held.get();
        if note.get() != code(power) {
            return Given::Refused;
        }
        if before == EMPTY {
            held.set(at);
            return Given::Kept;
        }
        if before == at {
            return Given::Refused;
        }
        held.set(at);
        Given::Instead(before)
    }

    /// Puts a block in the hand that comes from its order. None of its power is there.
    #[inline]
    pub(super) fn keep(&self, block: usize, power: u32) {
        self.note(block, power);
        self.of(power).set(self.address(block));
        self.kept.set(self.kept.get() + 1);
    }

    /// Takes the block of a power that is not to be used.
    pub(super) fn drop(&self, power: u32) {
        self.of(power).set(EMPTY);
    }

    /// The number of the block that starts at an address; larger than any if none does.
    #[inline]
    pub(super) fn number(&self, at: usize) -> usize {
        // Where none starts, the low bits come up here.
        at.wrapping_sub(self.base).rotate_right(self.shift)
    }

    /// The address at which a block starts.
    #[inline]
    pub(super) fn address(&self, block: usize) -> usize {
        self.base + (block << self.shift)
    }

    /// Notes that a block is out.
    #[inline]
    pub(super) fn note(&self, block: usize, power: u32) {
        if let Some(note) = self.notes.at(block) {
            note.set(code(power));
        }
    }

    /// Notes that it is not.
    #[inline]
    pub(super) fn forget(&self, block: usize) {
        if let Some(note) = self.notes.at(block) {
            note.set(0);
        }
    }

    /// The power of a block that is out.
    pub(super) fn out(&self, block: usize) -> Option<u32> {
        let note = self.notes.at(block)?.get();
        let power = u32::from(note & 0x7f).checked_sub(1)?;
        (note == code(power)).then_some(power)
    }

    /// How many blocks are out, as noted.
    pub(super) fn count(&self) -> usize {
        let notes = self.notes.cells().iter();
        notes.filter(|note| note.get() != 0).count()
    }

    /// Whether a block of a power is in the hand.
    pub(super) fn holds(&self, block: usize, power: u32) -> bool {
        self.of(power).get() == self.address(block)
    }

    /// The blocks in the hand: powers, ascending, and addresses.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        let blocks = (0..).zip(self.blocks.iter().map(Cell::get));
        blocks.filter(|(_, at)| *at != EMPTY)
    }

    /// What ever came from the hand and went there; not what is in it.
    pub(super) fn moves(&self) -> Held {
        Held {
            taken: self.taken.get(),
            kept: self.kept.get(),
            ..Held::default()
        }
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.open.get() != 0
    }

    /// Opens the hand: blocks given back go there.
    pub(super) fn open(&self) {
        self.open.set(self.notes.cells().len());
    }

    /// Closes the hand, in which nothing is.
    pub(super) fn close(&self) {
        self.open.set(0);
    }

    /// Nothing is out, nor in the hand, which is closed.
    pub(super) fn clear(&self) {
        self.close();
        self.notes.clear();
        self.blocks.iter().for_each(|at| at.set(EMPTY));
    }
}
