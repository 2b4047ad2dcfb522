//! What the cursor passed in a chunk: a byte a piece, downwards from the first piece or from the map.
//!
//! A byte is what a small request asked for, in units, or its class's number and [`SMALL`]; and whether the
//! piece was left out for the sake of an alignment. Writing it costs a store; from it the map is made when that is
//! first needed. An arena from which nothing is given back has no map at all. Above the first entry is a byte that is
//! none: where the entry of the last piece is looked for, there may be no piece.
//!
//! # Safety
//!
//! Entries lie in front of the first piece or behind the last in a chunk that is the pool's, where no piece ever is, and
//! have room for a piece of every unit.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::pools::chunk::Chunk;
use crate::pools::size_classes::areas;
use crate::pools::size_classes::class::{COUNT, Class, SMALL};
use crate::pools::size_classes::shelf::Reach;

/// Added to the entry of a piece that was never handed out.
const LEFT_OUT: u8 = 0x80;

const _: () = assert!(SMALL + COUNT < LEFT_OUT as usize);

/// Stands above the first entry.
const NONE: u8 = 0xff;

const _: () = assert!(NONE & !LEFT_OUT >= (SMALL + COUNT) as u8);

/// A piece that the cursor passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) class: Class,
    /// Whether it was handed out.
    pub(super) used: bool,
}

impl Passed {
    fn read(entry: NonNull<u8>) -> Option<Self> {
        let byte = read(entry);
        let class = class_of(byte & !LEFT_OUT)?;
        let used = byte & LEFT_OUT == 0;
        Some(Self { class, used })
    }
}

/// The class of which an entry tells.
#[inline]
fn class_of(entry: u8) -> Option<Class> {
    let entry = usize::from(entry);
    match entry.checked_sub(SMALL) {
        None => Class::small(entry),
        Some(number) => (number < COUNT).then(|| Class::numbered(number)),
    }
}

/// The entry of a piece of this class.
#[inline]
pub(super) fn entry(class: Class) -> u8 {
    (SMALL + class.number()) as u8
}

/// Writes an entry in front of the last, and answers where.
///
/// # Safety
///
/// `last` was answered by [`begin`] or by this, and the chunk has room for the piece.
#[inline]
pub(super) unsafe fn write(last: NonNull<u8>, entry: u8) -> NonNull<u8> {
    // SAFETY: the caller's promise.
    let place = unsafe { last.sub(1) };
    // SAFETY: as above.
    unsafe { place.write(entry) };
    place
}

/// Marks the entry written last as one of a piece that is not handed out.
///
/// # Safety
///
/// It was written by [`write`].
pub(super) unsafe fn leave_out(entry: NonNull<u8>) {
    // SAFETY: the caller's promise.
    let byte = unsafe { entry.read() };
    // SAFETY: as above.
    unsafe { entry.write(byte | LEFT_OUT) };
}

/// Begins the log of a chunk; answers where, in place of a last entry.
///
/// # Safety
///
/// The chunk is the pool's.
#[inline]
pub(super) unsafe fn begin(chunk: Chunk) -> NonNull<u8> {
    let start = chunk.pointer(areas::log(chunk));
    // SAFETY: above the log's room, beside no piece.
    unsafe { start.write(NONE) };
    start
}

/// Whether this entry is that of a piece of this class that was handed out.
///
/// # Safety
///
/// As for [`leave_out`], or it was answered by [`begin`].
#[inline]
pub(super) unsafe fn is_of(entry: NonNull<u8>, class: Class) -> bool {
    // SAFETY: the caller's promise.
    let byte = unsafe { entry.read() };
    class_of(byte) == Some(class)
}

/// Entries of a chunk's log, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    chunk: Chunk,
    /// Address of the next piece.
    at: usize,
    /// Address below which its entry lies.
    entry: usize,
    /// Address behind the last piece.
    to: usize,
}

impl Entries {
    /// Those of the pieces between two addresses, the first of which is below address `entry`.
    pub(super) fn between(chunk: Chunk, [at, to]: [usize; 2], entry: usize) -> Self {
        Self {
            chunk,
            at,
            entry,
            to,
        }
    }

    /// Where the last piece ends that they tell of, and where its entry is.
    pub(super) fn reach(mut self) -> Reach {
        self.by_ref().for_each(drop);
        Reach {
            top: self.at,
            last: self.entry,
        }
    }
}

/// Each piece with its address; ends behind the last, at an entry that is none, and where a piece would be too large.
impl Iterator for Entries {
    type Item = (usize, Passed);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.to || self.entry <= self.chunk.base() {
            return None;
        }
        let passed = Passed::read(self.chunk.pointer(self.entry - 1))?;
        let left = self.to - self.at;
        if passed.class.bytes() > left {
            return None;
        }
        let here = self.at;
        self.at += passed.class.bytes();
        self.entry -= 1;
        Some((here, passed))
    }
}

/// The byte of an entry, or where one may be.
fn read(entry: NonNull<u8>) -> u8 {
    // SAFETY: within a chunk of the pool's, where any byte is one.
    unsafe { entry.read() }
}
