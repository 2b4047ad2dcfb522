//! What becomes of a request: a slot of the thread's stock, or a block of the heap's own.
//!
//! # Safety
//!
//! A pointer is followed only as far as the tables of spans and the heap's headers go, and taken back only if they
//! say that it is in use.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::global::center;
use crate::global::classes::{self, class_of};
use crate::global::local::{self, Inside};
use crate::global::span::{Slot, Span};
use crate::global::spans;
use crate::global::stock::Stock;
use crate::global::thread;
use crate::global::{UNTAGGED, is_ours};
use crate::words::error::{Error, Misuse};
use crate::words::size::UNIT;
use crate::words::tag::Tag;

/// Serves a request under the tag of the thread's scope, if that is a matter of a few instructions.
#[inline(always)]
pub(super) fn take(layout: Layout) -> Option<NonNull<u8>> {
    let class = classes::quick(layout)?;
    let local = local::own()?;
    let stock = local.stock.get()?;
    if !local.begin() {
        return None;
    }
    let slot = stock.take(class);
    local.end();
    slot
}

/// Serves a request under the tag of the thread's scope.
#[inline(never)]
pub(super) fn allocate(layout: Layout) -> Result<NonNull<u8>, Error> {
    allocate_under(layout, None)
}

/// Serves a request under a tag, or that of the thread's scope.
pub(super) fn allocate_under(layout: Layout, tag: Option<Tag>) -> Result<NonNull<u8>, Error> {
    let tag = match tag {
        Some(tag) => tag,
        None => local::tag().unwrap_or(UNTAGGED),
    };
    if is_ours(tag) {
        return Err(Misuse::ReservedTag { tag }.into());
    }
    if let Some(class) = class_of(layout)
        && let Ok(inside) = local::enter()
    {
        match stock_under(tag, &inside).and_then(|stock| stock.allocate(class)) {
            // A block of its own may still be had.
            Err(Error::OutOfMemory(_)) => {}
            answer => return answer,
        }
    }
    block(layout, |heap, layout| heap.allocate(tag, layout))
}

/// As [`allocate_under`], with all bytes zero.
pub(super) fn allocate_zeroed(layout: Layout) -> Result<NonNull<u8>, Error> {
    let tag = local::tag().unwrap_or(UNTAGGED);
    if class_of(layout).is_none() && !is_ours(tag) {
        return block(layout, |heap, layout| heap.allocate_zeroed(tag, layout));
    }
    let at = match take(layout) {
        Some(at) => at,
        None => allocate(layout)?,
    };
    // SAFETY: so many bytes were asked for, and are nobody else's.
    unsafe { at.write_bytes(0, layout.size()) };
    Ok(at)
}

fn block(
    layout: Layout,
    take: impl FnOnce(&mut center::GroundHeap, Layout) -> Result<NonNull<[u8]>, Error>,
) -> Result<NonNull<u8>, Error> {
    let block = center::with(|center| take(&mut center.heap, layout))??;
    Ok(block.cast())
}

/// The thread's stock under a tag, which becomes the one at hand if that is the tag in force.
fn stock_under(tag: Tag, inside: &Inside<'_>) -> Result<&'static Stock, Error> {
    let local = inside.local;
    let thread = match local.thread.get() {
        Some(thread) => thread,
        None => thread::admit(local)?,
    };
    let stock = thread.stock_for(tag, &local.stock)?;
    if tag == local.tag_in_force() {
        local.stock.set(Some(stock));
    }
    Ok(stock)
}

/// What became of memory that was to be taken back in a few instructions.
pub(super) enum Given {
    Done,
    /// And nothing near it in its span is in use.
    Last(&'static Span),
    /// It takes more than that.
    Not,
}

/// Takes memory back, if that is a matter of a few instructions.
///
/// # Safety
///
/// The caller holds it, and nobody uses it afterwards.
#[inline(always)]
pub(super) unsafe fn give(ptr: NonNull<u8>, layout: Layout) -> Given {
    let Some(span) = spans::holding(ptr.addr().get()) else {
        return Given::Not;
    };
    let Some(local) = local::own() else {
        return Given::Not;
    };
    let Some(shelf) = span.shelf.get() else {
        return Given::Not;
    };
    let is_own = shelf.owner.is_as(&local.thread);
    if !is_own || !shelf.numbers.serve(layout.size()) || layout.align() > UNIT {
        return Given::Not;
    }
    if !local.begin() {
        return Given::Not;
    }
    let given = span.give(ptr.as_ptr(), &shelf.numbers);
    if let Some(given) = &given {
        shelf.hint(given);
    }
    local.end();
    match given {
        Some(given) if given.last => Given::Last(span),
        Some(_) => Given::Done,
        None => Given::Not,
    }
}

/// Takes memory back.
///
/// # Errors
///
/// [`Misuse`], or [`Corruption`](crate::Corruption) if a header of the heap's is damaged.
///
/// # Safety
///
/// As for [`give`].
#[inline]
pub(super) unsafe fn deallocate(ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
    // SAFETY: the caller's promise.
    match unsafe { give(ptr, layout) } {
        Given::Done => Ok(()),
        // SAFETY: the caller's promise.
        given => unsafe { finish(given, ptr, layout) },
    }
}

/// Does what is left to do.
///
/// # Errors
///
/// As for [`deallocate`].
///
/// # Safety
///
/// As for [`give`], which answered this.
#[inline(never)]
pub(super) unsafe fn finish(given: Given, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
    match given {
        Given::Done => Ok(()),
        Given::Last(span) => match local::enter() {
            // A signal handler that came in between may have given the span away.
            Ok(inside) if span.owner.is_as(&inside.local.thread) => tidy(span),
            // Whoever is in the middle of something finds it empty later.
            _ => Ok(()),
        },
        // SAFETY: the caller's promise.
        Given::Not => unsafe { deallocate_slowly(ptr, layout) },
    }
}

/// Sees to a span that was full, or may be empty now.
fn tidy(span: &'static Span) -> Result<(), Error> {
    match span.stock.get().map_or(Ok(()), |stock| stock.tidy(span)) {
        // From a signal handler, with the lock taken. The slot is given back, and the span found empty later.
        Err(Error::Misuse(Misuse::Reentered)) => Ok(()),
        answer => answer,
    }
}

/// # Safety
///
/// As for [`give`].
unsafe fn deallocate_slowly(ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
    let Some((span, slot)) = slot_of(ptr, layout)? else {
        // SAFETY: the caller's promise.
        return center::with(|center| unsafe { center.heap.deallocate(ptr, layout) })?;
    };
    let Some(stock) = span.stock.get() else {
        return Err(not_a_block(ptr));
    };
    if let Ok(inside) = local::enter()
        && span.owner.is_as(&inside.local.thread)
    {
        let given = span.give_slot(slot, ptr.as_ptr())?;
        stock.shelf(span.class()).hint(&given);
        return tidy(span);
    }
    // Another thread's, or its owner is in the middle of something: a signal handler came in between.
    if span.give_from_afar(slot)? {
        stock.note_changed(span);
    }
    if let Some(owner) = stock.owner.get() {
        owner.note_changed();
    }
    Ok(())
}

/// The slot that starts at an address and serves this layout; `None` if there is no span.
///
/// # Errors
///
/// [`Misuse`] if there is a span, and no such slot.
fn slot_of(ptr: NonNull<u8>, layout: Layout) -> Result<Option<(&'static Span, Slot)>, Error> {
    let address = ptr.addr().get();
    let Some(span) = spans::holding(address).filter(|span| span.is_open()) else {
        return Ok(None);
    };
    let slot = span.slot_at(address).ok_or(not_a_block(ptr))?;
    if class_of(layout) == Some(span.class()) {
        return Ok(Some((span, slot)));
    }
    span.in_use(slot)?;
    let (align, claimed) = (layout.align(), layout.size());
    if !address.is_multiple_of(align) {
        return Err(Misuse::AlignMismatch {
            address,
            claimed: align,
        }
        .into());
    }
    let usable = span.size();
    Err(Misuse::SizeMismatch {
        address,
        claimed,
        usable,
    }
    .into())
}

fn not_a_block(ptr: NonNull<u8>) -> Error {
    let address = ptr.addr().get();
    Misuse::NotABlock { address }.into()
}

/// Makes memory larger or smaller: in place if its slot has the bytes or the heap can do it, else elsewhere under
/// the same tag.
///
/// # Safety
///
/// The caller holds it, and nobody uses the old address afterwards unless it is the answer too.
pub(super) unsafe fn resize(
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<u8>, Error> {
    let Some((span, slot)) = slot_of(ptr, old)? else {
        let block = center::with(|center| {
            let heap = &mut center.heap;
            if new.size() >= old.size() {
                // SAFETY: the caller's promise.
                unsafe { heap.grow(ptr, old, new) }
            } else {
                // SAFETY: the caller's promise.
                unsafe { heap.shrink(ptr, old, new) }
            }
        })?;
        return Ok(block?.cast());
    };
    span.in_use(slot)?;
    if class_of(new) == Some(span.class()) {
        return Ok(ptr);
    }
    let tag = span.stock.get().map(Stock::tag);
    let to = allocate_under(new, tag)?;
    let bytes = old.size().min(new.size());
    // SAFETY: both have so many bytes, and the new ones are nobody else's.
    unsafe { to.copy_from_nonoverlapping(ptr, bytes) };
    // SAFETY: the caller's promise.
    unsafe { deallocate(ptr, old)? };
    Ok(to)
}

/// Whose the memory at an address is.
///
/// # Errors
///
/// [`Misuse`] if none that is in use starts there.
pub(super) fn tag_of(ptr: NonNull<u8>) -> Result<Tag, Error> {
    let address = ptr.addr().get();
    let Some(span) = spans::holding(address).filter(|span| span.is_open()) else {
        return center::with(|center| center.heap.tag_of(ptr))?;
    };
    let slot = span.slot_at(address).ok_or(not_a_block(ptr))?;
    span.in_use(slot)?;
    span.stock.get().map(Stock::tag).ok_or(not_a_block(ptr))
}

/// Bytes that the memory at an address has: at least those asked for.
///
/// # Errors
///
/// [`Misuse`] if none that is in use starts there.
pub(super) fn usable_size(ptr: NonNull<u8>) -> Result<usize, Error> {
    let address = ptr.addr().get();
    let Some(span) = spans::holding(address).filter(|span| span.is_open()) else {
        return center::with(|center| center.heap.usable_size(ptr))?;
    };
    let slot = span.slot_at(address).ok_or(not_a_block(ptr))?;
    span.in_use(slot)?;
    Ok(span.size())
}
