//! What the giver of a span knows of the slots there: which of them somebody had when he last looked.
//!
//! Who gives back what another thread has just handed out reads a state that this one wrote, in a line in which it
//! writes the next: so each slot takes the line from one processor to the other and back. He need not ask of each: when
//! he looks, he looks at all of a group, and what was in use is so for as long as nobody but he can have given it back.
//!
//! # Invariants
//!
//! - W1 What is noted of a group was seen by who is the span's giver, or was when he came. He forgets a slot before he hands
//!   it over. Before another hands any over, all have come back (G1), by him or as the owner counts.
//! - W2 Whatever else becomes of slots that are in use, their owner counts in the span once it is so, and whatever becomes of
//!   the span, the count is never again what it was (N7; but for who comes back after two billion counts, to the very same).
//!   The one noted here was read before the states were: what was in use then is in use while it is the same.

use crate::global::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// What a thread knows of one group of slots. All-zero bytes are nothing.
#[derive(Debug)]
pub(super) struct Known {
    /// The span's address, and the group in it: no two have the same sum.
    group: AtomicUsize,
    /// A bit for each slot that is in use.
    bits: AtomicU64,
    /// The span's count when that was so; an even one is nobody's.
    count: AtomicU32,
}

impl Known {
    pub(super) const fn nothing() -> Self {
        Self {
            group: AtomicUsize::new(0),
            bits: AtomicU64::new(0),
            count: AtomicU32::new(0),
        }
    }

    /// Takes a slot out of what is known to be in use, and looks before if it is not; whether it was.
    ///
    /// The count is the span's, read before now; looking reads the states.
    #[inline(always)]
    pub(super) fn take(
        &self,
        group: usize,
        count: u32,
        bit: u64,
        look: impl FnOnce() -> u64,
    ) -> bool {
        let is_known = self.group.load(Ordering::Relaxed) == group
            && self.count.load(Ordering::Relaxed) == count;
        let known = if is_known {
            self.bits.load(Ordering::Relaxed)
        } else {
            0
        };
        let known = if known & bit != 0 {
            known
        } else {
            self.group.store(group, Ordering::Relaxed);
            self.count.store(count, Ordering::Relaxed);
            look()
        };
        self.bits.store(known & !bit, Ordering::Relaxed);
        known & bit != 0
    }
}
