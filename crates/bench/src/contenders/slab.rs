//! slab: a vector of slots, reached by keys.

use std::sync::Mutex;

use slab::Slab;

use crate::contender::slots::{LocalSlots, SharedSlots, Slots, Value};

/// As long from the start as it will have to be.
pub(crate) struct Keys(Slab<Value>);

impl Slots for Keys {
    type Held = usize;

    #[inline(always)]
    fn put(&mut self, value: Value) -> Option<usize> {
        Some(self.0.insert(value))
    }

    #[inline(always)]
    unsafe fn take(&mut self, held: usize) -> u64 {
        self.0.remove(held).first()
    }
}

impl LocalSlots for Keys {
    const NAME: &'static str = "slab";

    fn new(slots: usize) -> Self {
        Self(Slab::with_capacity(slots))
    }
}

/// The same behind the standard library's lock.
pub(crate) struct Locked(Mutex<Slab<Value>>);

impl SharedSlots for Locked {
    const NAME: &'static str = "slab, locked";

    type Held = usize;

    fn new(slots: usize) -> Self {
        Self(Mutex::new(Slab::with_capacity(slots)))
    }

    #[inline(always)]
    fn put(&self, value: Value) -> Option<usize> {
        Some(self.0.lock().ok()?.insert(value))
    }

    #[inline(always)]
    unsafe fn take(&self, held: usize) -> u64 {
        let mut slab = self.0.lock().expect("nobody panicked");
        slab.remove(held).first()
    }
}
