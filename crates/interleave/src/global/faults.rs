//! In which ways the atomics of the global allocator's files can be broken.

use std::cell::Cell;

use crate::global::atomic::Role;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Words for this are read and written without order.
    NoOrder(Role),
    /// Exchanges of words for this are a read and a write.
    NoExchange(Role),
    /// There is no sequentially consistent order.
    NoSequence,
    /// Who gave a slot back or became the giver does not look for the shelf.
    NoLook,
    /// The owner who names the shelf does not look afterwards.
    NoLookAgain,
    /// The owner parts in one step.
    PartsAtOnce,
    /// The owner does not count what becomes of slots without the giver.
    NoCount,
    /// Who becomes the giver does so behind his bit.
    LateClaim,
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

pub(super) fn is_broken(fault: Fault) -> bool {
    FAULT.get() == Some(fault)
}
