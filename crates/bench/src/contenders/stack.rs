//! A limit: a stack of free places.

use std::ptr::NonNull;

use super::arena;
use crate::contender::Role;
use crate::contender::slots::{LocalSlots, Placed, Slots, Value};

/// Pushes and pops pointers, and knows nothing of the slots.
pub(crate) struct Places(Vec<NonNull<u8>>);

impl Slots for Places {
    type Held = Placed;

    #[inline(always)]
    fn put(&mut self, value: Value) -> Option<Placed> {
        let at = self.0.pop()?;
        // SAFETY: a free place.
        Some(unsafe { Placed::new(at, value) })
    }

    #[inline(always)]
    unsafe fn take(&mut self, held: Placed) -> u64 {
        let (at, first) = held.into_parts();
        self.0.push(at);
        first
    }
}

impl LocalSlots for Places {
    const NAME: &'static str = "limit: stack of places";
    const ROLE: Role = Role::Limit;

    fn new(slots: usize) -> Self {
        let start = arena::map().cast::<u8>();
        let place = |slot: usize| {
            // SAFETY: the arena is longer.
            unsafe { start.add(slot * size_of::<Value>()) }
        };
        Self((0..slots).rev().map(place).collect())
    }
}
