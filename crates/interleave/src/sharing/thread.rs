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

/// The kernel's numbers for the thread and its process.
pub(crate) fn numbers() -> (u32, u32) {
    (current().get() as u32, 1)
}

/// No thread of a model goes without a word.
pub(crate) fn is_gone(_number: u32, _process: u32) -> bool {
    false
}
