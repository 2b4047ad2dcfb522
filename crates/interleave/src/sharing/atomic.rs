//! Loom's atomics, which can be told to be broken.
//!
//! They are made in a constant, as the lock makes its own, and register with the checker when they are first
//! used: so whoever makes one uses it before other threads do.

use std::cell::Cell;
use std::sync::OnceLock;

pub(crate) use loom::sync::atomic::Ordering;

/// In which way atomics are broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Weak exchanges, which swing the head, keep the count of pops that was there.
    NoGeneration,
    /// Strong exchanges, which claim a link or the gate, are a read and a write.
    NoClaim,
    /// Names are not cleared.
    NameStays,
    /// Names are not written, but by an exchange.
    NoName,
    /// Links and heads are read and written without order.
    NoOrder,
    /// What acquires does not.
    Unacquired,
    /// What releases does not.
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
    let fault = match order {
        Ordering::Acquire => Fault::Unacquired,
        Ordering::Release => Fault::Unreleased,
        _ => Fault::NoOrder,
    };
    if broken(Fault::NoOrder) || broken(fault) {
        Ordering::Relaxed
    } else {
        order
    }
}

pub(crate) fn spin_loop() {
    loom::thread::yield_now();
}

/// A word that counts in its upper 40 bits.
#[derive(Debug)]
pub(crate) struct AtomicU64 {
    inner: loom::sync::atomic::AtomicU64,
}

const INDEX: u64 = (1 << 24) - 1;

impl AtomicU64 {
    pub(crate) fn new(value: u64) -> Self {
        let inner = loom::sync::atomic::AtomicU64::new(value);
        Self { inner }
    }

    pub(crate) fn load(&self, load: Ordering) -> u64 {
        self.inner.load(order(load))
    }

    pub(crate) fn store(&self, value: u64, store: Ordering) {
        self.inner.store(value, order(store));
    }

    pub(crate) fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        if broken(Fault::NoClaim) {
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

    pub(crate) fn fetch_sub(&self, value: u64, by: Ordering) -> u64 {
        self.inner.fetch_sub(value, order(by))
    }

    pub(crate) fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let new = if broken(Fault::NoGeneration) {
            (current & !INDEX) | (new & INDEX)
        } else {
            new
        };
        self.inner
            .compare_exchange(current, new, order(success), order(failure))
    }
}

/// A word that names a thread.
#[derive(Debug)]
pub(crate) struct AtomicUsize {
    first: usize,
    inner: OnceLock<loom::sync::atomic::AtomicUsize>,
}

impl AtomicUsize {
    pub(crate) const fn new(first: usize) -> Self {
        let inner = OnceLock::new();
        Self { first, inner }
    }

    fn inner(&self) -> &loom::sync::atomic::AtomicUsize {
        self.inner
            .get_or_init(|| loom::sync::atomic::AtomicUsize::new(self.first))
    }

    pub(crate) fn load(&self, load: Ordering) -> usize {
        self.inner().load(load)
    }

    pub(crate) fn store(&self, value: usize, store: Ordering) {
        let lost = match value {
            0 => broken(Fault::NameStays),
            _ => broken(Fault::NoName),
        };
        if !lost {
            self.inner().store(value, store);
        }
    }

    pub(crate) fn compare_exchange(
        &self,
        current: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        if broken(Fault::NoClaim) {
            let found = self.inner().load(Ordering::Acquire);
            if found != current {
                return Err(found);
            }
            self.inner().store(new, Ordering::Release);
            return Ok(found);
        }
        self.inner()
            .compare_exchange(current, new, success, failure)
    }
}
