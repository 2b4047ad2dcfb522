//! What becomes of memory that is given back: a slot goes to the thread's magazine, or to the span it is of, by its
//! owner or by a bit that tells him; a block to the heap.
//!
//! # Safety
//!
//! A pointer is followed only as far as the tables of spans and the heap's headers go, and taken back only if they
//! say that it is in use.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::global::atomic::{AtomicU8, Ordering};
use crate::global::center;
use crate::global::classes::{self, Class, class_of};
use crate::global::local::{self, Local, Own};
use crate::global::shelf::Shelf;
use crate::global::span::{SPAN, Slot, Span};
use crate::global::spans;
use crate::global::states::IN_USE;
use crate::global::stock::Stock;
use crate::words::error::{Error, Misuse};

/// What became of memory that was to be taken back in a few instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Done,
    /// It takes more than that.
    Not,
    /// Somebody did before.
    Twice,
}

/// What became of a slot that was to be taken back without a call.
pub(super) enum Tried {
    Done,
    /// It is another tag's or thread's: [`give_to_another`] is to end the operation.
    Another(Own),
    /// Its magazine has no place for the slot of this state: [`put_free`] is to end the operation.
    Full(&'static AtomicU8, Own),
    /// It takes more than that.
    Not,
}

/// Takes memory back, if that is a matter of a few instructions.
///
/// # Safety
///
/// The caller holds it, and nobody uses it afterwards.
#[inline(always)]
pub(super) unsafe fn give(at: *mut u8, layout: Layout) -> Given {
    let Some(span) = spans::holding(at.addr()) else {
        return Given::Not;
    };
    let Some(class) = classes::quick(layout) else {
        return Given::Not;
    };
    // SAFETY: the caller's promise.
    unsafe { give_into(at, span, class) }
}

/// As [`give`], of a class into the span that the address lies in.
///
/// # Safety
///
/// As there.
#[inline(always)]
pub(super) unsafe fn give_into(at: *mut u8, span: &'static Span, class: Class) -> Given {
    // SAFETY: the caller's promise.
    match unsafe { try_to_give(at, span, class) } {
        Tried::Done => Given::Done,
        Tried::Another(own) => give_to_another(at, span, class, own),
        Tried::Full(state, own) => put_beyond(span, state, own),
        Tried::Not => Given::Not,
    }
}

/// As [`give_into`], as far as that goes without a call.
///
/// # Safety
///
/// As there.
#[inline(always)]
pub(super) unsafe fn try_to_give(at: *mut u8, span: &'static Span, class: Class) -> Tried {
    let Some(own) = local::own() else {
        return Tried::Not;
    };
    if !own.begin() {
        return Tried::Not;
    }
    // The one question whether it is this thread's, of the tag in force, and of the class.
    let shelf = Stock::address_of_shelf(own.stock().addr(), class);
    // SAFETY: not 0: shelves lie behind the start of a stock, or of none.
    match unsafe { span.shelf.get_if_at(shelf) } {
        Some(shelf) => try_to_put(at, span, class, shelf, own),
        None => Tried::Another(own),
    }
}

/// Takes a slot back that is another tag's or thread's; in an operation, which it ends.
#[cold]
#[inline(never)]
pub(super) fn give_to_another(at: *mut u8, span: &'static Span, class: Class, own: Own) -> Given {
    let local = own.local();
    let (Some(stock), true) = (span.stock.get(), span.class() == class) else {
        return refuse(own);
    };
    let slot = span.slot_at(at.addr());
    if !stock.owner.is_as(&local.thread) {
        let given = match slot {
            Some(slot) if span.giver.is(local) => give_as_giver(span, slot, stock, local),
            Some(slot) => give_from_afar(span, slot, stock, Some(local)),
            None => return refuse(own),
        };
        own.end();
        return given.map_or(Given::Twice, |()| Given::Done);
    }
    match (span.shelf.get(), slot) {
        (Some(shelf), _) => put(at, span, class, shelf, own),
        (None, Some(slot)) if span.giver.is_there() => {
            put_beside_giver(at, span, slot, stock.shelf(class), own)
        }
        _ => refuse(own),
    }
}

/// Gives a slot back to another thread, or to this one in the middle of an operation.
///
/// # Errors
///
/// [`Misuse::DoubleFree`].
fn give_from_afar(
    span: &'static Span,
    slot: Slot,
    stock: &'static Stock,
    local: Option<&Local>,
) -> Result<(), Misuse> {
    if span.give_from_afar(slot, local)? {
        stock.note_changed(span);
    }
    note(stock);
    Ok(())
}

/// Gives a slot back to another thread, by the span's giver in an operation.
///
/// # Errors
///
/// [`Misuse::DoubleFree`].
#[inline(always)]
fn give_as_giver(
    span: &'static Span,
    slot: Slot,
    stock: &'static Stock,
    local: &Local,
) -> Result<(), Misuse> {
    span.give_as_giver(slot, local)?;
    // From here on the span may be gone.
    note(stock);
    Ok(())
}

/// Notes that something was given back into a stock, for others to see to if its thread is gone.
#[inline(always)]
fn note(stock: &'static Stock) {
    if let Some(owner) = stock.owner.get() {
        owner.note_changed();
    }
}

/// Puts a slot into the magazine, if it is in use and there is room, where another is the span's giver; in an operation,
/// which it ends.
fn put_beside_giver(
    at: *mut u8,
    span: &'static Span,
    slot: Slot,
    shelf: &Shelf,
    own: Own,
) -> Given {
    let is_more = || span.in_use(slot).is_err() || !shelf.magazine.push(at, span.state_of(slot));
    if span.count_beside() || is_more() {
        return refuse(own);
    }
    span.count_without_giver();
    own.end();
    Given::Done
}

/// Ends an operation in which it turned out that it takes another.
#[cold]
fn refuse(own: Own) -> Given {
    own.end();
    Given::Not
}

/// Puts a slot into the magazine of its shelf, if one in use starts there and there is room; in an operation, which it
/// ends.
fn put(at: *mut u8, span: &'static Span, class: Class, shelf: &'static Shelf, own: Own) -> Given {
    match try_to_put(at, span, class, shelf, own) {
        Tried::Done => Given::Done,
        Tried::Full(state, own) => put_beyond(span, state, own),
        Tried::Another(_) | Tried::Not => Given::Not,
    }
}

/// As [`put`], as far as that goes without a call.
#[inline(always)]
fn try_to_put(
    at: *mut u8,
    span: &'static Span,
    class: Class,
    shelf: &'static Shelf,
    own: Own,
) -> Tried {
    let Some(number) = class.slot_at(at.addr() % SPAN) else {
        own.end();
        return Tried::Not;
    };
    let state = span.state(number);
    if state.load(Ordering::Relaxed) != IN_USE {
        own.end();
        return Tried::Not;
    }
    if !shelf.magazine.push(at, state) {
        return Tried::Full(state, own);
    }
    own.end();
    Tried::Done
}

/// As [`put_free`], by a call.
#[cold]
#[inline(never)]
fn put_beyond(span: &'static Span, state: &'static AtomicU8, own: Own) -> Given {
    put_free(span, state, own)
}

/// Makes a slot in use free for which its magazine has no place, if that is all there is to do; in an operation, which it
/// ends.
#[inline(always)]
pub(super) fn put_free(span: &'static Span, state: &'static AtomicU8, own: Own) -> Given {
    let slot = span.slot_of_state(state);
    // None where somebody gives a slot of the span back just now.
    let magazine = span.shelf.get().map(|shelf| &shelf.magazine);
    let is_done = magazine
        .is_some_and(|magazine| !magazine.is_wide() && span.put_quickly(slot, magazine.count()));
    own.end();
    if is_done { Given::Done } else { Given::Not }
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
    match unsafe { give(ptr.as_ptr(), layout) } {
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
    let address = ptr.addr().get();
    match given {
        Given::Done => Ok(()),
        Given::Twice => Err(Misuse::DoubleFree { address }.into()),
        // SAFETY: the caller's promise.
        Given::Not => unsafe { give_slowly(ptr, layout) },
    }
}

/// # Safety
///
/// As for [`give`].
unsafe fn give_slowly(ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
    let known = spans::slot_at(ptr.as_ptr());
    let Some((span, slot)) = known.filter(|(span, _)| class_of(layout) == Some(span.class()))
    else {
        // SAFETY: the caller's promise.
        return unsafe { give_block(ptr, layout) };
    };
    let Some(stock) = span.stock.get() else {
        return Err(not_a_block(ptr));
    };
    let is_own = |local: &Local| stock.owner.is_as(&local.thread);
    if local::own().map(Own::local).is_none_or(is_own)
        && let Ok(inside) = local::enter()
        && is_own(inside.local)
    {
        return stock.give(span, slot, ptr);
    }
    // Another thread's, or its owner is in the middle of something: a signal handler came in between.
    Ok(give_from_afar(span, slot, stock, None)?)
}

/// Takes a block of the heap's own back, or finds out what else it is about.
///
/// # Errors
///
/// As for [`deallocate`].
///
/// # Safety
///
/// As for [`give`].
#[cold]
unsafe fn give_block(ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
    if slot_of(ptr, layout)?.is_some() {
        return Err(not_a_block(ptr));
    }
    // SAFETY: the caller's promise.
    center::with(|center| unsafe { center.give_block(ptr, layout) })?
}

/// The slot that starts at an address and serves this layout; `None` if there is no span.
///
/// # Errors
///
/// [`Misuse`] if there is a span, and no such slot.
pub(super) fn slot_of(
    ptr: NonNull<u8>,
    layout: Layout,
) -> Result<Option<(&'static Span, Slot)>, Error> {
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
    let usable = span.class().bytes();
    Err(Misuse::SizeMismatch {
        address,
        claimed,
        usable,
    }
    .into())
}

pub(super) fn not_a_block(ptr: NonNull<u8>) -> Error {
    let address = ptr.addr().get();
    Misuse::NotABlock { address }.into()
}
