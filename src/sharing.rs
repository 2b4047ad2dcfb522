//! Floor 5, sharing: one heap in several hands, of one thread or of many.

/// The atomics of what threads share: what a model checker puts others in place of.
pub(crate) mod atomic {
    pub(crate) use core::hint::spin_loop;
    pub(crate) use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
}
pub(crate) mod local_heap;
pub(crate) mod lock;
pub(crate) mod share;
pub(crate) mod shared_heap;
pub(crate) mod thread;
