//! What the C library notes last, with the checker's atomics.

mod atomic;
#[path = "../../capi/src/latest/turns.rs"]
mod turns;

mod checks;
