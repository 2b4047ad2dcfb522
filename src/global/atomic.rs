//! The atomics of what other threads than its owner change: what a model checker puts others in place of.

pub(super) use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
