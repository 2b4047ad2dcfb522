//! The table of spans, of as many as a model has.

use std::cell::Cell;

use crate::global::arrays::{Array, array};
use crate::global::classes::Class;
use crate::global::memory;
use crate::global::span::{SPAN, Slot, Span};

/// Stretches of 64 KiB that the table tells of, and the number of the first.
const COUNT: usize = 2;
const FIRST: usize = 16;

thread_local! {
    static TABLE: Cell<&'static [Span]> = const { Cell::new(&[]) };
    // Each stretch has the same one whenever it is a span: so who comes late finds what is in use.
    static ARRAYS: Cell<[Option<Array>; COUNT]> = const { Cell::new([None; COUNT]) };
}

pub(super) fn begin(class: Class) {
    TABLE.set(memory::zeroed_slice(COUNT));
    ARRAYS.set([(); COUNT].map(|()| Some(array(class))));
}

pub(super) fn holding(address: usize) -> Option<&'static Span> {
    TABLE.get().get((address / SPAN).wrapping_sub(FIRST))
}

pub(super) fn slot_at(at: *const u8) -> Option<(&'static Span, Slot)> {
    let span = holding(at.addr())?;
    Some((span, span.slot_at(at.addr())?))
}

/// The array of a stretch.
pub(super) fn array_of(number: usize) -> Array {
    ARRAYS.get()[number].unwrap()
}

/// Makes the first stretch that is none a span of the class.
pub(super) fn open(class: Class) -> &'static Span {
    let table = TABLE.get();
    let number = table.iter().position(|span| !span.is_open()).unwrap();
    let span = &table[number];
    let start = std::ptr::without_provenance_mut((FIRST + number) * SPAN);
    span.open(class, start, ARRAYS.get()[number]);
    span
}
