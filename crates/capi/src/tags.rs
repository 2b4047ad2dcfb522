//! All blocks under a tag at once, and what is kept by tag.
//!
//! # Safety
//!
//! That nobody uses what is released is the header's contract; what pools own is left alone.
#![allow(unsafe_code)]

use core::ffi::c_char;
use core::ptr::NonNull;

use heap::{Amount, Heap, Mark, Name, Tag};

use crate::answer::{self, Answer, given, put};
use crate::ground::Ground;
use crate::handle::{OWN, on, refuse_owned, th_heap};
use crate::registry::Registry;
use crate::status::th_status;

/// Blocks and their bytes, headers included.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct th_amount {
    /// How many blocks.
    pub blocks: usize,
    /// Their bytes, headers of 32 bytes included.
    pub bytes: usize,
}

/// A moment in a heap's life, see th_mark.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct th_moment {
    /// The heap's own.
    pub opaque: u64,
}

impl From<Amount> for th_amount {
    fn from(amount: Amount) -> Self {
        Self {
            blocks: amount.blocks,
            bytes: amount.bytes,
        }
    }
}

impl From<Mark> for th_moment {
    fn from(mark: Mark) -> Self {
        // SAFETY: a mark is a number of so many bytes, which is checked where types are.
        let opaque = unsafe { core::mem::transmute::<Mark, u64>(mark) };
        Self { opaque }
    }
}

impl From<th_moment> for Mark {
    fn from(moment: th_moment) -> Self {
        // SAFETY: as above; every number is a mark, if perhaps a stale one.
        unsafe { core::mem::transmute::<u64, Mark>(moment.opaque) }
    }
}

/// The number of a tag that is named: up to eight printable ASCII bytes of the text, the first the highest.
///
/// Such tags print as their names, and sort as them. 0, which is no tag, for a null pointer or an empty text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_tag_named(name: *const c_char) -> u64 {
    let mut number = [0; 8];
    if let Ok(name) = given(name) {
        // SAFETY: the header's contract.
        unsafe { read_text(name, &mut number) };
    }
    for byte in number.iter_mut().filter(|byte| **byte != 0) {
        if !matches!(byte, b' '..=b'~') {
            *byte = b'?';
        }
    }
    u64::from_be_bytes(number)
}

/// Copies a text up to its zero byte, as far as there is room, and answers it.
///
/// # Safety
///
/// The text is readable up to its zero byte.
unsafe fn read_text(text: NonNull<c_char>, room: &mut [u8]) -> &[u8] {
    let mut from = text.cast::<u8>();
    let mut length = 0;
    for place in room.iter_mut() {
        // SAFETY: no byte before this one was the text's zero.
        let byte = unsafe { from.read() };
        if byte == 0 {
            break;
        }
        *place = byte;
        length += 1;
        // SAFETY: the text goes on behind a byte that is not its zero.
        from = unsafe { from.add(1) };
    }
    room.get(..length).unwrap_or_default()
}

/// Frees every block under a tag. Nobody uses them any more.
///
/// `released`, unless it is null, gets how many they were; a tag without blocks is no error. O(blocks of the tag).
/// TH_RESERVED_TAG, TH_TAG_IN_USE if a pool owns the tag, TH_REENTERED, TH_DAMAGED_HEADER: nothing is freed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_release(
    heap: *mut th_heap,
    tag: u64,
    released: *mut th_amount,
) -> th_status {
    let tag = Tag::new(tag);
    let release = |heap: &mut Heap<Ground>, registry: &mut Registry| {
        refuse_owned(registry, tag)?;
        // SAFETY: nobody uses the tag's memory any more, by the header's contract.
        Ok(unsafe { heap.release(tag) }?)
    };
    // SAFETY: the header's contract.
    unsafe { count(heap, released, release) }
}

/// As th_release, for all tags from `first` to `last`, both included, but those that are reserved or owned by pools,
/// which stay. O(tags that have numbers, and blocks of the range).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_release_range(
    heap: *mut th_heap,
    first: u64,
    last: u64,
    released: *mut th_amount,
) -> th_status {
    let release = |heap: &mut Heap<Ground>, registry: &mut Registry| {
        let range = Tag::new(first)..=Tag::new(last);
        let pick = |tag: Tag| range.contains(&tag) && refuse_owned(registry, tag).is_ok();
        // SAFETY: nobody uses the tags' memory any more, by the header's contract.
        Ok(unsafe { heap.release_where(pick) }?)
    };
    // SAFETY: the header's contract.
    unsafe { count(heap, released, release) }
}

/// Marks this moment, to `moment`; for th_release_since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_mark(heap: *mut th_heap, moment: *mut th_moment) -> th_status {
    let mark = |heap: &th_heap| {
        let place = given(moment)?;
        let mark = heap.with(|heap, _| Ok(heap.mark()))?;
        // SAFETY: the header's contract.
        unsafe { put(place.as_ptr(), mark.into()) };
        Ok(())
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(heap, mark) })
}

/// As th_release, for the blocks that were allocated since a moment. TH_STALE_MARK for one too long ago, or of
/// another heap, as far as that shows; TH_NO_INDEX where the heap has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_release_since(
    heap: *mut th_heap,
    tag: u64,
    moment: th_moment,
    released: *mut th_amount,
) -> th_status {
    let tag = Tag::new(tag);
    let release = |heap: &mut Heap<Ground>, registry: &mut Registry| {
        refuse_owned(registry, tag)?;
        // SAFETY: nobody uses that memory any more, by the header's contract.
        Ok(unsafe { heap.release_since(tag, moment.into()) }?)
    };
    // SAFETY: the header's contract.
    unsafe { count(heap, released, release) }
}

/// Gives all blocks under one tag to another. `moved`, unless it is null, gets how many they were.
///
/// TH_RESERVED_TAG, TH_TAG_IN_USE for either; TH_LIMIT, TH_NO_INDEX, TH_REENTERED, TH_DAMAGED_HEADER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_merge(
    heap: *mut th_heap,
    from: u64,
    to: u64,
    moved: *mut th_amount,
) -> th_status {
    let (from, to) = (Tag::new(from), Tag::new(to));
    let merge = |heap: &mut Heap<Ground>, registry: &mut Registry| {
        refuse_owned(registry, from)?;
        refuse_owned(registry, to)?;
        Ok(heap.merge(from, to)?)
    };
    // SAFETY: the header's contract.
    unsafe { count(heap, moved, merge) }
}

/// # Safety
///
/// The pointers are what the header says.
unsafe fn count(
    heap: *mut th_heap,
    place: *mut th_amount,
    work: impl FnOnce(&mut Heap<Ground>, &mut Registry) -> Answer<Amount>,
) -> th_status {
    // SAFETY: the caller's promise.
    let answer = unsafe { on(heap, |heap| heap.with(work)) };
    answer::status(answer.map(|amount| {
        // SAFETY: the caller's promise.
        unsafe { put(place, amount.into()) };
    }))
}

/// Lets a tag hold at most so many bytes, headers included; SIZE_MAX for as many as it likes.
///
/// A request beyond is TH_LIMIT. What the tag holds already it keeps. For a pool's tag, too.
/// TH_RESERVED_TAG, TH_NO_INDEX, TH_REENTERED on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_set_limit(heap: *mut th_heap, tag: u64, bytes: usize) -> th_status {
    let limit = (bytes != usize::MAX).then_some(bytes);
    // SAFETY: the header's contract.
    unsafe { keep(heap, tag, |heap, tag| Ok(heap.set_limit(tag, limit)?)) }
}

/// Calls a tag by a name besides: UTF-8 that ends with a zero byte, of which up to 31 bytes are kept; a control
/// character becomes `?`.
///
/// TH_NULL, TH_BAD_TEXT, TH_RESERVED_TAG, TH_NO_INDEX, TH_REENTERED on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_set_name(
    heap: *mut th_heap,
    tag: u64,
    name: *const c_char,
) -> th_status {
    let set = |heap: &mut Heap<Ground>, tag| {
        // One character more than is kept, so that what is cut is cut in front of one.
        let mut bytes = [0; Name::CAPACITY + 4];
        // SAFETY: the header's contract.
        let name = unsafe { read_text(given(name)?, &mut bytes) };
        let name = match str::from_utf8(name) {
            Ok(name) => name,
            // The end of a character is missing, for the text goes on.
            Err(error) if error.error_len().is_none() && name.len() == Name::CAPACITY + 4 => {
                let whole = name.get(..error.valid_up_to()).unwrap_or_default();
                str::from_utf8(whole).unwrap_or_default()
            }
            Err(_) => return Err(th_status::TH_BAD_TEXT.into()),
        };
        Ok(heap.set_name(tag, name)?)
    };
    // SAFETY: the header's contract.
    unsafe { keep(heap, tag, set) }
}

/// Lets a tag's peak begin anew, at what it holds now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_reset_peak(heap: *mut th_heap, tag: u64) -> th_status {
    let reset = |heap: &mut Heap<Ground>, tag| {
        heap.reset_peak(tag);
        Ok(())
    };
    // SAFETY: the header's contract.
    unsafe { keep(heap, tag, reset) }
}

/// Forgets a tag's numbers, name and limit, if it holds no blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_forget(heap: *mut th_heap, tag: u64) -> th_status {
    let forget = |heap: &mut Heap<Ground>, tag| {
        heap.forget(tag);
        Ok(())
    };
    // SAFETY: the header's contract.
    unsafe { keep(heap, tag, forget) }
}

/// # Safety
///
/// The pointer is what the header says.
unsafe fn keep(
    heap: *mut th_heap,
    tag: u64,
    work: impl FnOnce(&mut Heap<Ground>, Tag) -> Answer<()>,
) -> th_status {
    let tag = Tag::new(tag);
    let keep = |heap: &th_heap| {
        if tag == OWN {
            return Err(th_status::TH_RESERVED_TAG.into());
        }
        heap.with(|heap, _| work(heap, tag))
    };
    // SAFETY: the caller's promise.
    answer::status(unsafe { on(heap, keep) })
}
