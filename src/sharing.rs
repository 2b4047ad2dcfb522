//! Floor 5, sharing: one heap in several hands, of one thread or of many.

/// The atomics of the lock: what a model checker puts others in place of.
pub(crate) mod atomic {
    pub(crate) use core::sync::atomic::{AtomicUsize, Ordering};
}
pub(crate) mod lock;
pub(crate) mod share;
pub(crate) mod thread;
