//! What becomes of a request: a slot of the thread's stock, or a block of the heap's own. What is given back is another
//! [matter](crate::global::giving).
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
use crate::global::giving::{deallocate, not_a_block, slot_of};
use crate::global::idle;
use crate::global::is_ours;
use crate::global::local::{self, Inside};
use crate::global::reclaim::insist;
use crate::global::span::Span;
use crate::global::spans;
use crate::global::stock::Stock;
use crate::global::thread;
use crate::words::error::{Error, Misuse};
use crate::words::tag::Tag;

/// Serves a request under the tag of the thread's scope, if that is a matter of a few instructions.
#[inline(always)]
pub(super) fn take(layout: Layout) -> Option<NonNull<u8>> {
    let class = classes::quick(layout)?;
    let own = local::own()?;
    if !own.begin() {
        return None;
    }
    // SAFETY: null, or the thread's stock, which stays for the rest of the program.
    let stock = unsafe { own.stock().as_ref() };
    let slot = stock.and_then(|stock| stock.shelf(class).magazine.pop());
    own.end();
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
        None => local::tag_in_force(),
    };
    if is_ours(tag) {
        return Err(Misuse::ReservedTag { tag }.into());
    }
    idle::look();
    insist(|| ask(layout, tag))
}

/// Asks for a slot, and where there is none for a block.
fn ask(layout: Layout, tag: Tag) -> Result<NonNull<u8>, Error> {
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
    let tag = local::tag_in_force();
    if class_of(layout).is_none() && !is_ours(tag) {
        idle::look();
        return insist(|| block(layout, |heap, layout| heap.allocate_zeroed(tag, layout)));
    }
    let at = allocate(layout)?;
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
        // SAFETY: the caller's promise; what was refused has changed nothing.
        return insist(|| unsafe { resize_block(ptr, old, new) });
    };
    span.in_use(slot)?;
    // The caller's may lead to what was asked for alone.
    let ptr = NonNull::with_exposed_provenance(ptr.addr());
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

/// # Safety
///
/// As for [`resize`].
unsafe fn resize_block(ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<u8>, Error> {
    let block = center::with(|center| {
        if center.is_book(ptr, old.size()) {
            return Err(not_a_block(ptr));
        }
        let heap = &mut center.heap;
        if new.size() >= old.size() {
            // SAFETY: the caller's promise.
            unsafe { heap.grow(ptr, old, new) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { heap.shrink(ptr, old, new) }
        }
    })??;
    let left = if block.cast() == ptr {
        old.size().saturating_sub(new.size())
    } else {
        old.size()
    };
    idle::count(left);
    Ok(block.cast())
}

/// Whose the memory at an address is.
///
/// # Errors
///
/// [`Misuse`] if none that is in use starts there.
pub(super) fn tag_of(ptr: NonNull<u8>) -> Result<Tag, Error> {
    match slot_in_use(ptr)? {
        Some(span) => span.stock.get().map(Stock::tag).ok_or(not_a_block(ptr)),
        None => of_block(ptr, |heap| heap.tag_of(ptr)),
    }
}

/// Bytes that the memory at an address has: at least those asked for.
///
/// # Errors
///
/// [`Misuse`] if none that is in use starts there.
pub(super) fn usable_size(ptr: NonNull<u8>) -> Result<usize, Error> {
    match slot_in_use(ptr)? {
        Some(span) => Ok(span.class().bytes()),
        None => of_block(ptr, |heap| heap.usable_size(ptr)),
    }
}

/// Asks the heap about a block at an address, which is none of the books.
pub(super) fn of_block<T>(
    ptr: NonNull<u8>,
    ask: impl FnOnce(&center::GroundHeap) -> Result<T, Error>,
) -> Result<T, Error> {
    center::with(|center| match center.is_book(ptr, 0) {
        false => ask(&center.heap),
        true => Err(not_a_block(ptr)),
    })?
}

/// The span in which a slot in use starts at an address; `None` if there is no span.
///
/// # Errors
///
/// [`Misuse`] if there is a span, and no such slot.
fn slot_in_use(ptr: NonNull<u8>) -> Result<Option<&'static Span>, Error> {
    let address = ptr.addr().get();
    let Some(span) = spans::holding(address).filter(|span| span.is_open()) else {
        return Ok(None);
    };
    span.in_use(span.slot_at(address).ok_or(not_a_block(ptr))?)?;
    Ok(Some(span))
}
