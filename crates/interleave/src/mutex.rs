//! A mutex whose waiting the checker sees.

use std::sync::OnceLock;

use loom::sync::atomic::{AtomicBool, Ordering};

/// One word; whoever finds it taken looks again when others have run.
pub(crate) struct RawMutex {
    taken: OnceLock<AtomicBool>,
}

impl RawMutex {
    fn taken(&self) -> &AtomicBool {
        self.taken.get_or_init(|| AtomicBool::new(false))
    }
}

// SAFETY: whoever swaps `false` away has it alone until he writes it back.
unsafe impl lock_api::RawMutex for RawMutex {
    #[expect(clippy::declare_interior_mutable_const, reason = "the trait wants it")]
    const INIT: Self = Self {
        taken: OnceLock::new(),
    };
    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        while !self.try_lock() {
            loom::thread::yield_now();
        }
    }

    fn try_lock(&self) -> bool {
        !self.taken().swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.taken().store(false, Ordering::Release);
    }
}
