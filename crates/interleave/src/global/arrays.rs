//! Arrays as the library has them, from the model's memory.

use crate::global::atomic::{AtomicU8, AtomicU64};
use crate::global::classes::Class;
use crate::global::{giver, memory};

pub(super) const GROUP: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(super) struct Array {
    pub(super) returned: *const AtomicU64,
    pub(super) handed: *const AtomicU64,
    pub(super) states: *const AtomicU8,
    pub(super) place: u32,
}

/// One for the slots of a span.
pub(super) fn array(class: Class) -> Array {
    let groups = class.starts().div_ceil(GROUP);
    Array {
        returned: memory::zeroed_slice(groups).as_ptr(),
        handed: memory::zeroed_slice(giver::words(groups)).as_ptr(),
        states: memory::zeroed_slice(class.starts().next_multiple_of(64)).as_ptr(),
        place: 0,
    }
}
