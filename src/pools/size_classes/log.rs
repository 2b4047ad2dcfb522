//! What the cursor passed in a chunk: a byte a piece, downwards from the first piece, or in the tail from the map.
//!
//! A byte is what a small request asked for, in units, or its class's number and [`SMALL`]; and whether the
//! piece was left out for the sake of an alignment. Writing it costs a store; from it the map is made when that is
//! first needed. An arena from which nothing is given back has no map at all. Above the first entry of a head or a tail is
//! a byte that is none: where the entry of the last piece is looked for, there may be no piece.
//!
//! # Safety
//!
//! Entries lie in front of the first piece or behind the cursor in a chunk that is the pool's, so no piece overlaps
//! them.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::pools::chunk::Chunk;
use crate::pools::size_classes::areas;
use crate::pools::size_classes::class::{COUNT, Class, SMALL};

/// Room for a piece's entry, and for the one that ends a log.
pub(super) const ENTRIES: usize = 2;

/// In place of the address of a last entry: that of a log which has an end.
pub(super) const ENDED: usize = 0;

/// Added to the entry of a piece that was never handed out.
const LEFT_OUT: u8 = 0x80;

const _: () = assert!(SMALL + COUNT < LEFT_OUT as usize);

/// Stands where a head or a tail begins, and behind the last entry of each that is full.
const END: u8 = 0xff;

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
/// `last` is the end of a chunk of the pool's or an entry in it, and between it and the cursor there is room.
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

/// Ends a log, or its head, behind its last entry.
///
/// # Safety
///
/// As for [`write`].
#[inline]
pub(super) unsafe fn end(last: NonNull<u8>) {
    // SAFETY: the caller's promise.
    unsafe { write(last, END) };
}

/// Begins a log, or its tail; answers where, in place of a last entry.
///
/// # Safety
///
/// It begins there in this chunk, which is the pool's, and the cursor is not beyond.
#[inline]
pub(super) unsafe fn begin(chunk: Chunk, at: usize) -> NonNull<u8> {
    let start = chunk.pointer(at);
    // SAFETY: the caller's promise.
    unsafe { start.write(END) };
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

/// The pieces of a chunk from address `at` on, whose entries are below address `entry` down to `last`: each with its
/// address, in order; ends at the end of the log, at an entry that is none, and where a piece would reach into the log.
pub(super) fn pieces(
    chunk: Chunk,
    mut at: usize,
    mut entry: usize,
    last: usize,
) -> impl Iterator<Item = (usize, Passed)> {
    let (start, tail) = (areas::log(chunk), areas::tail(chunk));
    core::iter::from_fn(move || {
        let has_next = entry != last && entry > chunk.base();
        if has_next && entry <= start && read(chunk.pointer(entry - 1)) == END {
            entry = tail?;
        }
        if entry == last {
            return None;
        }
        entry -= 1;
        let (from, to) = if entry < start {
            (chunk.base(), tail.unwrap_or(areas::end(chunk)))
        } else {
            (at, entry)
        };
        if entry < from {
            return None;
        }
        let passed = Passed::read(chunk.pointer(entry))?;
        let here = at;
        at = at
            .checked_add(passed.class.bytes())
            .filter(|end| *end <= to)?;
        Some((here, passed))
    })
}

/// The byte of an entry, or where one may be.
fn read(entry: NonNull<u8>) -> u8 {
    // SAFETY: within a chunk of the pool's, where any byte is one.
    unsafe { entry.read() }
}
