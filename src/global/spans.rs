//! The table of spans: what is known of each stretch of 64 KiB of the row.
//!
//! The table lies in a reservation of its own and grows in place, so that any thread may look an address up while
//! another makes it longer.
//!
//! # Safety
//!
//! What was committed of the reservation stays for the rest of the program; all-zero bytes are of no span.
#![allow(unsafe_code)]

use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::global::span::{FarWords, SPAN, Span};
use crate::ground::sys::Mapping;
use crate::words::size::align_down;

/// What any thread may ask.
struct Spans {
    table: AtomicPtr<Span>,
    /// The number of the first stretch: its address over 64 KiB.
    first: AtomicUsize,
    /// How many stretches the table tells of.
    count: AtomicUsize,
}

static SPANS: Spans = Spans {
    table: AtomicPtr::new(ptr::null_mut()),
    first: AtomicUsize::new(0),
    count: AtomicUsize::new(0),
};

/// What the table tells of the stretch in which an address lies, if it tells of that.
#[inline(always)]
pub(super) fn holding(address: usize) -> Option<&'static Span> {
    let number = (address / SPAN).wrapping_sub(SPANS.first.load(Ordering::Relaxed));
    if number >= SPANS.count.load(Ordering::Acquire) {
        return None;
    }
    let table = SPANS.table.load(Ordering::Relaxed);
    // SAFETY: so many spans were committed before the count was set.
    let at = unsafe { table.add(number) };
    // SAFETY: as above.
    let at = unsafe { NonNull::new_unchecked(at) };
    // SAFETY: as above; zero at first, and only changed through its atomics.
    Some(unsafe { at.as_ref() })
}

/// Spans of which a table tells at most, and at least: so many stretches of 64 KiB.
const MOST: usize = 1 << 20;
const LEAST: usize = 1 << 10;

/// Bytes committed at once.
const STEP: usize = 32 << 10;

/// The table, in the hands of whoever makes it longer.
#[derive(Debug)]
pub(super) struct Roll {
    /// Never given back: others may be looking.
    mapping: ManuallyDrop<Mapping>,
    reach: usize,
    /// Bytes committed for spans, and for words of those with many slots.
    near: usize,
    far: usize,
}

/// Room for a table, of which nobody knows yet.
#[derive(Debug)]
pub(super) struct RollRoom {
    mapping: Mapping,
    reach: usize,
}

impl RollRoom {
    /// Room for a table of 64 GiB, or where a limit of the process refuses that, of the largest half, quarter, ...
    /// that it allows, at least 64 MiB.
    pub(super) fn new() -> Option<Self> {
        let mut reach = MOST;
        loop {
            match Mapping::reserve(reach * (size_of::<Span>() + size_of::<FarWords>())) {
                Some(mapping) => return Some(Self { mapping, reach }),
                None if reach > LEAST => reach /= 2,
                None => return None,
            }
        }
    }

    /// The table of a row that starts at an address.
    pub(super) fn begin(self, base: usize) -> Roll {
        let table = self.mapping.base().cast().as_ptr();
        SPANS.table.store(table, Ordering::Relaxed);
        SPANS.first.store(base / SPAN, Ordering::Relaxed);
        Roll {
            mapping: ManuallyDrop::new(self.mapping),
            reach: self.reach,
            near: 0,
            far: 0,
        }
    }
}

impl Roll {
    /// The entry for the stretch that starts at an address of the row, and words for it if it has many slots.
    /// `None` if the table cannot tell of it.
    pub(super) fn entry(
        &mut self,
        address: usize,
        is_far: bool,
    ) -> Option<(&'static Span, Option<&'static FarWords>)> {
        let number = address / SPAN - SPANS.first.load(Ordering::Relaxed);
        if number >= self.reach {
            return None;
        }
        let base = self.mapping.base().addr().get();
        let needed = (number + 1) * size_of::<Span>();
        if needed > self.near {
            self.near = self.commit(base, self.near, needed)?;
            SPANS
                .count
                .store(self.near / size_of::<Span>(), Ordering::Release);
        }
        let far = if is_far {
            let words = base + self.reach * size_of::<Span>();
            let needed = (number + 1) * size_of::<FarWords>();
            if needed > self.far {
                self.far = self.commit(words, self.far, needed)?;
            }
            let at = self
                .mapping
                .base()
                .as_ptr()
                .with_addr(words)
                .cast::<FarWords>();
            // SAFETY: within what was committed for words.
            let at = unsafe { at.add(number) };
            // SAFETY: committed for good, zero at first, and only changed as atomics.
            Some(unsafe { &*at })
        } else {
            None
        };
        Some((holding(address)?, far))
    }

    /// Commits a part of the reservation up to at least so many bytes, and answers up to how many.
    fn commit(&mut self, base: usize, from: usize, to: usize) -> Option<usize> {
        let to = align_down(to + STEP - 1, STEP);
        self.mapping.commit(base + from, base + to).then_some(to)
    }
}
