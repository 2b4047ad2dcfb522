//! Loom's word, which can be told to be broken.

use std::cell::Cell;

pub(super) use loom::sync::atomic::Ordering;

/// In which way it is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Exchanges are a read and a write.
    Torn,
    /// Exchanges that acquire do not.
    Unacquired,
    /// Exchanges that release do not, nor does the word where it counts down.
    Unreleased,
}

thread_local! {
    // All threads of a model run in one thread of the system, and a test has one of its own.
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
}

impl crate::Fault for Fault {
    fn plant(self) {
        FAULT.set(Some(self));
    }
}

fn broken(fault: Fault) -> bool {
    FAULT.get() == Some(fault)
}

fn order(order: Ordering) -> Ordering {
    match order {
        Ordering::Acquire if broken(Fault::Unacquired) => Ordering::Relaxed,
        Ordering::Release if broken(Fault::Unreleased) => Ordering::Relaxed,
        _ => order,
    }
}

pub(super) fn spin_loop() {
    loom::thread::yield_now();
}

#[derive(Debug)]
pub(super) struct AtomicU64 {
    inner: loom::sync::atomic::AtomicU64,
}

impl AtomicU64 {
    pub(super) fn new(value: u64) -> Self {
        let inner = loom::sync::atomic::AtomicU64::new(value);
        Self { inner }
    }

    pub(super) fn load(&self, load: Ordering) -> u64 {
        self.inner.load(order(load))
    }

    pub(super) fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        if broken(Fault::Torn) {
            let found = self.inner.load(Ordering::Acquire);
            if found != current {
                return Err(found);
            }
            self.inner.store(new, Ordering::Release);
            return Ok(found);
        }
        self.inner
            .compare_exchange(current, new, order(success), order(failure))
    }

    pub(super) fn fetch_sub(&self, value: u64, by: Ordering) -> u64 {
        self.inner.fetch_sub(value, order(by))
    }
}
