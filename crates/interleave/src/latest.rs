//! What the C library notes last, with the atomics of the lock and the stack.

#[path = "../../capi/src/latest/turns.rs"]
mod turns;

mod checks;

use crate::sharing::atomic;
