//! Words for tests that name pieces one by one.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{Error, Kind, Misuse, Shortage};

pub(crate) fn of(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

pub(crate) fn lack<T>(answer: Result<T, Error>) -> Shortage {
    match answer.map(|_| ()) {
        Err(Error::OutOfMemory(lacking)) => lacking.cause,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn give(kind: &impl Kind, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
    // SAFETY: a piece that the test does not use afterwards, or misuse, which must be found.
    unsafe { kind.deallocate(ptr, layout) }
}

/// Grows or shrinks, whichever it is.
pub(crate) fn resize(
    kind: &impl Kind,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, Error> {
    if new.size() >= old.size() {
        // SAFETY: a piece that the test does not use afterwards, or misuse, which must be found.
        unsafe { kind.grow(ptr, old, new) }
    } else {
        // SAFETY: a piece that the test does not use afterwards, or misuse, which must be found.
        unsafe { kind.shrink(ptr, old, new) }
    }
}

/// Writes over a piece, given back or not.
pub(crate) fn scribble(ptr: NonNull<u8>, bytes: usize, byte: u8) {
    // SAFETY: memory of a heap that nobody else in the test uses.
    unsafe { ptr.write_bytes(byte, bytes) };
}

/// Flips a bit of a kind's memory and has it checked; flips it back.
pub(crate) fn is_found(kind: &impl Kind, at: NonNull<u8>, bit: u32) -> bool {
    // SAFETY: memory of a heap that nobody else in the test uses.
    let old = unsafe { at.read() };
    scribble(at, 1, old ^ 1 << bit);
    let found = kind.check().is_err();
    scribble(at, 1, old);
    kind.check().unwrap();
    found
}

pub(crate) fn moved(ptr: NonNull<u8>, by: isize) -> NonNull<u8> {
    NonNull::new(ptr.as_ptr().wrapping_offset(by)).unwrap()
}

pub(crate) fn at(ptr: NonNull<u8>) -> usize {
    ptr.addr().get()
}

pub(crate) fn twice(ptr: NonNull<u8>) -> Error {
    Misuse::DoubleFree { address: at(ptr) }.into()
}

pub(crate) fn not_a_block(ptr: NonNull<u8>) -> Error {
    Misuse::NotABlock { address: at(ptr) }.into()
}

pub(crate) fn stranger(ptr: NonNull<u8>) -> Error {
    Misuse::NotFromHere { address: at(ptr) }.into()
}

pub(crate) fn mismatch(ptr: NonNull<u8>, claimed: usize, usable: usize) -> Error {
    Misuse::SizeMismatch {
        address: at(ptr),
        claimed,
        usable,
    }
    .into()
}

pub(crate) fn misaligned(ptr: NonNull<u8>, claimed: usize) -> Error {
    let address = at(ptr);
    Misuse::AlignMismatch { address, claimed }.into()
}
