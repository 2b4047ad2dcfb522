//! Putting values into pieces of a pool.
//!
//! # Safety
//!
//! A piece that a kind handed out is as large and aligned as was asked for, and nobody else's.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::fmt::{self, Write};
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::pools::kind::Kind;
use crate::pools::typed::own::Piece;
use crate::words::error::{Error, OutOfMemory, Shortage};
use crate::words::tag::Tag;

/// A place for values of one type; no memory of the pool's where they have no size.
#[inline]
fn place<T, K: Kind + ?Sized>(kind: &K, layout: Layout) -> Result<NonNull<T>, Error> {
    if layout.size() == 0 {
        return Ok(NonNull::dangling());
    }
    Ok(kind.allocate(layout)?.cast())
}

/// As [`place`], and what gives it back unless that is forgotten.
#[inline]
fn guarded<T, K: Kind + ?Sized>(
    kind: &K,
    layout: Layout,
) -> Result<(NonNull<T>, Piece<'_, K>), Error> {
    let place = place::<T, K>(kind, layout)?;
    let given_back = Piece {
        start: place.cast(),
        layout,
        kind,
    };
    Ok((place, given_back))
}

#[inline]
pub(super) fn value<T, K: Kind + ?Sized>(kind: &K, value: T) -> Result<NonNull<T>, Error> {
    let place = place::<T, K>(kind, Layout::new::<T>())?;
    // SAFETY: as large and aligned as the value, and nobody else's.
    unsafe { place.write(value) };
    Ok(place)
}

/// The value is made when there is a place for it, which is given back if that panics.
#[inline]
pub(super) fn made<T, K: Kind + ?Sized>(
    kind: &K,
    value: impl FnOnce() -> T,
) -> Result<NonNull<T>, Error> {
    let (place, given_back) = guarded::<T, K>(kind, Layout::new::<T>())?;
    // SAFETY: as large and aligned as the value, and nobody else's.
    unsafe { place.write(value()) };
    let _ = ManuallyDrop::new(given_back);
    Ok(place)
}

#[inline]
pub(super) fn copy<T: Copy, K: Kind + ?Sized>(
    kind: &K,
    values: &[T],
) -> Result<NonNull<[T]>, Error> {
    let place = place::<T, K>(kind, Layout::for_value(values))?;
    // SAFETY: as large and aligned as the slice, and nobody else's, so they do not overlap.
    unsafe { place.copy_from_nonoverlapping(NonNull::from(values).cast(), values.len()) };
    Ok(NonNull::slice_from_raw_parts(place, values.len()))
}

/// Values that are being put into a piece: where that panics, those that are there are dropped, and the piece goes back.
struct Begun<'a, T, K: Kind + ?Sized> {
    place: NonNull<T>,
    count: usize,
    _given_back: Piece<'a, K>,
}

impl<T, K: Kind + ?Sized> Drop for Begun<'_, T, K> {
    fn drop(&mut self) {
        let values = NonNull::slice_from_raw_parts(self.place, self.count);
        // SAFETY: so many values are there, and nobody has been told of them.
        unsafe { values.drop_in_place() };
    }
}

/// As many values as the iterator says it has, or as come.
pub(super) fn each<T, K: Kind + ?Sized>(
    kind: &K,
    values: impl ExactSizeIterator<Item = T>,
) -> Result<NonNull<[T]>, Error> {
    let length = values.len();
    let (place, given_back) = guarded::<T, K>(kind, array::<T, K>(kind, length)?)?;
    let mut begun = Begun {
        place,
        count: 0,
        _given_back: given_back,
    };
    for value in values.take(length) {
        // SAFETY: a part of the piece, which has room for so many values.
        let part = unsafe { place.add(begun.count) };
        // SAFETY: as large and aligned as the value, and nobody else's.
        unsafe { part.write(value) };
        begun.count += 1;
    }
    let count = ManuallyDrop::new(begun).count;
    if count < length {
        return cut(kind, NonNull::slice_from_raw_parts(place, length), count);
    }
    Ok(NonNull::slice_from_raw_parts(place, length))
}

/// The first values of a piece in which there are no more; the rest goes back to the pool, if it takes that.
#[cold]
fn cut<T, K: Kind + ?Sized>(
    kind: &K,
    piece: NonNull<[T]>,
    count: usize,
) -> Result<NonNull<[T]>, Error> {
    let (old, new) = (
        array::<T, K>(kind, piece.len())?,
        array::<T, K>(kind, count)?,
    );
    let (mut place, start) = (piece.cast::<T>(), piece.cast::<u8>());
    if new.size() == 0 {
        place = NonNull::dangling();
        let layout = old;
        drop(Piece {
            start,
            layout,
            kind,
        });
    } else {
        // SAFETY: handed out for the old layout, and the values are in what stays.
        let shrunk = unsafe { kind.shrink(start, old, new) };
        place = shrunk.map_or(place, NonNull::cast);
    }
    Ok(NonNull::slice_from_raw_parts(place, count))
}

#[inline]
pub(super) fn text<K: Kind + ?Sized>(kind: &K, text: &str) -> Result<NonNull<str>, Error> {
    Ok(as_text(copy(kind, text.as_bytes())?))
}

/// The pointer to the bytes of a text.
#[inline]
fn as_text(bytes: NonNull<[u8]>) -> NonNull<str> {
    let text = bytes.as_ptr() as *mut str;
    // SAFETY: as the one to the bytes, it is not null.
    unsafe { NonNull::new_unchecked(text) }
}

/// Counts the bytes of what is written.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

/// Takes what is written as long as there is room for all of it.
struct Room {
    bytes: NonNull<[u8]>,
    filled: usize,
}

impl Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.bytes.len() - self.filled {
            return Err(fmt::Error);
        }
        // SAFETY: within the piece, which has room for the text behind what is filled.
        let part = unsafe { self.bytes.cast::<u8>().add(self.filled) };
        // SAFETY: the piece is nobody else's, so nothing overlaps.
        unsafe { part.copy_from_nonoverlapping(NonNull::from(text).cast(), text.len()) };
        self.filled += text.len();
        Ok(())
    }
}

/// Written twice: to count its bytes, and into the piece. Whatever is not written the same again is left out.
pub(super) fn formatted<K: Kind + ?Sized>(
    kind: &K,
    text: fmt::Arguments<'_>,
) -> Result<NonNull<str>, Error> {
    let mut length = Length(0);
    // What refuses to be written is left out.
    let _ = length.write_fmt(text);
    let (place, given_back) = guarded::<u8, K>(kind, array::<u8, K>(kind, length.0)?)?;
    let bytes = NonNull::slice_from_raw_parts(place, length.0);
    let mut room = Room { bytes, filled: 0 };
    let _ = room.write_fmt(text);
    let _ = ManuallyDrop::new(given_back);
    if room.filled < length.0 {
        return Ok(as_text(cut(kind, bytes, room.filled)?));
    }
    Ok(as_text(bytes))
}

#[inline]
fn array<T, K: Kind + ?Sized>(kind: &K, length: usize) -> Result<Layout, Error> {
    Layout::array::<T>(length).map_err(|_| {
        let bytes = size_of::<T>().saturating_mul(length);
        beyond(kind, bytes, align_of::<T>())
    })
}

/// The refusal of more bytes than a layout can have. The pool is asked for as many as one can: so it counts the
/// request, and says whose it is.
#[cold]
fn beyond<K: Kind + ?Sized>(kind: &K, size: usize, align: usize) -> Error {
    let mut refused = OutOfMemory {
        tag: Tag::FREE,
        size,
        align,
        cause: Shortage::TooLarge,
    };
    let most = (isize::MAX as usize) & !(align - 1);
    if let Ok(layout) = Layout::from_size_align(most, align) {
        match kind.allocate(layout) {
            Err(Error::OutOfMemory(of)) => refused = OutOfMemory { size, ..of },
            Err(error) => return error,
            // No address space has so many bytes; of a pool that answers them all the same it is none the less.
            Ok(piece) => drop(Piece {
                start: piece.cast(),
                layout,
                kind,
            }),
        }
    }
    refused.into()
}
