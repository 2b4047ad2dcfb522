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

use crate::global::arrays::{self, Arrays};
use crate::global::classes::Class;
use crate::global::span::{SPAN, Slot, Span, is_far};
use crate::ground::sys::Mapping;
use crate::words::size::align_up;

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

/// The span's slot that starts at an address, if there is one.
pub(super) fn slot_at(at: *const u8) -> Option<(&'static Span, Slot)> {
    let span = holding(at.addr())?;
    Some((span, span.slot_at(at.addr())?))
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
    /// Bytes committed.
    committed: usize,
    arrays: Arrays,
}

/// Room for a table, of which nobody knows yet.
#[derive(Debug)]
pub(super) struct RollRoom {
    mapping: Mapping,
    arrays: Mapping,
    reach: usize,
}

/// Address space, which no core file has whole. A program without libc makes as few system calls as it can.
fn reserve(bytes: usize) -> Option<Mapping> {
    let mapping = Mapping::reserve(bytes)?;
    Some(match cfg!(feature = "std") {
        true => mapping.out_of_dumps(),
        false => mapping,
    })
}

impl RollRoom {
    /// Room for a table of 64 GiB, or where a limit of the process refuses that, of the largest half, quarter, ...
    /// that it allows, at least 64 MiB.
    pub(super) fn new() -> Option<Self> {
        let mut reach = MOST;
        loop {
            let mapping = reserve(reach * size_of::<Span>());
            let arrays = reserve(reach * arrays::MOST);
            match mapping.zip(arrays) {
                Some((mapping, arrays)) => {
                    return Some(Self {
                        mapping,
                        arrays,
                        reach,
                    });
                }
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
            committed: 0,
            arrays: Arrays::new(self.arrays),
        }
    }
}

impl Roll {
    /// Makes a block a span of a class, which the table tells of from now on; `None` if it cannot.
    pub(super) fn open(&mut self, block: NonNull<u8>, class: Class) -> Option<&'static Span> {
        let span = self.entry(block.addr().get())?;
        let array = match is_far(class) {
            true => Some(self.arrays.take(class)?),
            false => None,
        };
        span.open(class, block.as_ptr(), array);
        Some(span)
    }

    /// Makes a span none.
    pub(super) fn close(&mut self, span: &'static Span) {
        let class = span.class();
        if let Some(place) = span.close() {
            self.arrays.give(class, place);
        }
    }

    /// The entry for the stretch that starts at an address of the row; `None` if the table cannot tell of it.
    fn entry(&mut self, address: usize) -> Option<&'static Span> {
        let number = address / SPAN - SPANS.first.load(Ordering::Relaxed);
        if number >= self.reach {
            return None;
        }
        let needed = (number + 1) * size_of::<Span>();
        if needed > self.committed {
            let base = self.mapping.base().addr().get();
            let to = align_up(needed, STEP)?;
            let is_there = self.mapping.commit(base + self.committed, base + to);
            self.committed = is_there.then_some(to)?;
            let count = to / size_of::<Span>();
            SPANS.count.store(count, Ordering::Release);
        }
        holding(address)
    }
}
