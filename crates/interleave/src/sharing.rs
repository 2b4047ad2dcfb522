//! Floor 5 of `tagheap`, with the checker's atomics, and threads that are numbered.

pub(crate) mod atomic;
#[path = "../../../src/sharing/lock.rs"]
pub(crate) mod lock;
pub(crate) mod thread;
