//! What the program says and asks of its tags: `include/tagheap_malloc.h`.
//!
//! # Safety
//!
//! Pointers are what the header says, or null; a function of the program's is called as it is declared.

use core::ffi::{c_char, c_void};
use core::fmt::{self, Write};
use core::ptr::NonNull;

use heap::{Global, Holding, Name, Tag};

use crate::HEAP;
use crate::scopes::is_reserved;
use crate::status::Status;

/// What is held under a tag, in the words of C.
#[derive(Debug)]
#[repr(C)]
struct Held {
    tag: u64,
    objects: usize,
    bytes: usize,
    held: usize,
    peak: usize,
    limit: usize,
    name: Text,
}

const _: () = assert!(size_of::<Held>() == 80);

impl From<&Holding> for Held {
    fn from(holding: &Holding) -> Self {
        let (held, mut name) = (&holding.held, Text::EMPTY);
        // Longer than a name is none of these.
        let _ = match held.name.as_str() {
            "" => write!(name, "{}", holding.tag),
            known => name.write_str(known),
        };
        Self {
            tag: holding.tag.number(),
            objects: holding.objects,
            bytes: holding.bytes,
            held: held.bytes,
            peak: held.peak,
            limit: held.limit.unwrap_or(usize::MAX),
            name,
        }
    }
}

/// A tag's name with a zero byte behind it.
#[derive(Debug)]
#[repr(transparent)]
struct Text([u8; Name::CAPACITY + 1]);

impl Text {
    const EMPTY: Self = Self([0; Name::CAPACITY + 1]);
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let length = self.0.iter().take_while(|byte| **byte != 0).count();
        let room = self.0.iter_mut().take(Name::CAPACITY).skip(length);
        room.zip(text.bytes())
            .for_each(|(place, byte)| *place = byte);
        Ok(())
    }
}

/// Sees what is held under a tag, and says whether to go on.
type Visit = unsafe extern "C" fn(held: *const Held, context: *mut c_void) -> bool;

/// What is held under a tag, to `place`.
#[unsafe(no_mangle)]
unsafe extern "C" fn tagheap_malloc_holding(tag: u64, place: *mut Held) -> Status {
    let Some(place) = NonNull::new(place) else {
        return Status::NULL;
    };
    match HEAP.holding(Tag::new(tag)) {
        Ok(holding) => {
            // SAFETY: the caller's to be written to.
            unsafe { place.write(Held::from(&holding)) };
            Status::OK
        }
        Err(error) => error.into(),
    }
}

/// Calls a function with what is held under each tag.
#[unsafe(no_mangle)]
unsafe extern "C" fn tagheap_malloc_tags(visit: Option<Visit>, context: *mut c_void) -> Status {
    let Some(visit) = visit else {
        return Status::NULL;
    };
    // Whoever comes from inside the heap is told so, not that there are no tags.
    if let Err(error) = HEAP.holding(Global::UNTAGGED) {
        return error.into();
    }
    for holding in HEAP.holdings() {
        let held = Held::from(&holding);
        // SAFETY: C's own function, called as it is declared.
        if !unsafe { visit(&raw const held, context) } {
            break;
        }
    }
    Status::OK
}

/// Does what a tag is asked for, unless it is the heap's own.
fn keep(tag: u64, work: impl FnOnce(Tag) -> Result<(), Status>) -> Status {
    match Tag::new(tag) {
        tag if is_reserved(tag) => Status::RESERVED_TAG,
        tag => work(tag).into(),
    }
}

/// Calls a tag by a name besides.
#[unsafe(no_mangle)]
unsafe extern "C" fn tagheap_malloc_set_name(tag: u64, name: *const c_char) -> Status {
    // One character more than is kept, so that what is cut is cut in front of one.
    let mut room = [0; Name::CAPACITY + 4];
    let Some(name) = NonNull::new(name.cast_mut()) else {
        return Status::NULL;
    };
    // SAFETY: the caller's text.
    let Some(name) = (unsafe { read(name, &mut room) }) else {
        return Status::BAD_TEXT;
    };
    keep(tag, |tag| Ok(HEAP.set_name(tag, name)?))
}

/// What a text begins with, as much as there is room for; `None` if it is not UTF-8.
///
/// # Safety
///
/// It is readable up to its zero byte.
unsafe fn read(text: NonNull<c_char>, room: &mut [u8]) -> Option<&str> {
    let (mut from, mut length) = (text.cast::<u8>(), 0);
    for place in room.iter_mut() {
        // SAFETY: no byte before this one was the text's zero.
        *place = unsafe { from.read() };
        if *place == 0 {
            break;
        }
        length += 1;
        // SAFETY: the text goes on behind a byte that is not its zero.
        from = unsafe { from.add(1) };
    }
    let is_cut = length == room.len();
    let bytes = room.get(..length)?;
    match str::from_utf8(bytes) {
        Ok(text) => Some(text),
        // The end of a character is missing, for the text goes on.
        Err(error) if is_cut && error.error_len().is_none() => {
            str::from_utf8(bytes.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}

/// Bounds the bytes that a tag may hold.
#[unsafe(no_mangle)]
extern "C" fn tagheap_malloc_set_limit(tag: u64, bytes: usize) -> Status {
    let limit = (bytes != usize::MAX).then_some(bytes);
    keep(tag, |tag| Ok(HEAP.set_limit(tag, limit)?))
}

/// Lets a tag's peak begin anew.
#[unsafe(no_mangle)]
extern "C" fn tagheap_malloc_reset_peak(tag: u64) -> Status {
    keep(tag, |tag| Ok(HEAP.reset_peak(tag)?))
}
