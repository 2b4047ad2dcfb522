//! A mutex whose waiting the checker sees, and in which signals come at the worst moments.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::OnceLock;

use loom::sync::{Mutex, MutexGuard};

thread_local! {
    /// What a signal's handler does; all threads of a model are one thread's.
    static HANDLER: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

loom::thread_local! {
    static HANDLING: Cell<bool> = Cell::new(false);
}

/// Has a handler called whenever a thread just took the mutex, is about to give it back, or just did.
pub(crate) fn handle(handler: Option<Box<dyn Fn()>>) {
    HANDLER.set(handler);
}

/// A signal comes to this thread, unless it is in the handler.
fn signal() {
    if !HANDLING.with(|handling| handling.replace(true)) {
        HANDLER.with_borrow(|handler| handler.iter().for_each(|handler| handler()));
        HANDLING.with(|handling| handling.set(false));
    }
}

/// The checker's mutex, and the guard of whoever has it.
pub(crate) struct RawMutex {
    parts: OnceLock<(Mutex<()>, Kept)>,
}

type Kept = Cell<Option<MutexGuard<'static, ()>>>;

// SAFETY: the guard is put there and taken by whoever has the mutex; all threads of a model are one thread's.
unsafe impl Sync for RawMutex {}

impl RawMutex {
    fn parts(&self) -> &(Mutex<()>, Kept) {
        self.parts.get_or_init(|| (Mutex::new(()), Cell::new(None)))
    }

    fn keep(&self, guard: MutexGuard<'_, ()>) {
        // SAFETY: the guard lies beside its mutex, which is not moved while it is locked.
        let guard = unsafe { mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard) };
        self.parts().1.set(Some(guard));
        signal();
    }
}

// SAFETY: as the checker's mutex does.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = Self {
        parts: OnceLock::new(),
    };
    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        self.keep(self.parts().0.lock().unwrap());
    }

    fn try_lock(&self) -> bool {
        let guard = self.parts().0.try_lock();
        guard.map(|guard| self.keep(guard)).is_ok()
    }

    unsafe fn unlock(&self) {
        signal();
        drop(self.parts().1.take());
        signal();
    }
}
