//! Threads of the model, numbered as the test says.

use core::cell::Cell;
use core::num::NonZero;

loom::thread_local! {
    static NUMBER: Cell<usize> = Cell::new(1);
}

/// Gives this thread a number that no other has; the first thread has 1.
pub(crate) fn set_number(number: usize) {
    NUMBER.with(|own| own.set(number));
}

pub(crate) fn current() -> NonZero<usize> {
    NonZero::new(NUMBER.with(Cell::get)).unwrap()
}

pub(crate) fn give_way() {
    loom::thread::yield_now();
}

pub(crate) fn nap() {
    loom::thread::yield_now();
}
