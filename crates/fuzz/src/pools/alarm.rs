//! Whom a pool calls at its watermark: a note of the last call.

use std::cell::Cell;

use tagheap::{Tag, Usage};

thread_local! {
    static RUNG: Cell<Option<(Tag, Usage)>> = const { Cell::new(None) };
}

/// What a pool calls.
pub(super) fn ring(tag: Tag, usage: &Usage) {
    RUNG.set(Some((tag, *usage)));
}

/// Who called since this was asked last, and what it said.
pub(super) fn rung() -> Option<(Tag, Usage)> {
    RUNG.take()
}
