//! What nobody uses goes back to the kernel: asked for at once, or some time later.

use core::time::Duration;

use crate::global::center::{self, Center};
use crate::global::{Global, idle, local, thread};
use crate::words::error::Error;

impl Global {
    /// Gives back what the calling thread keeps at hand and spans in which nothing is in use, and then what is free at
    /// the end of the row to the kernel; answers how many bytes the kernel got. O(spans of the thread, and of those
    /// that are gone).
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`](crate::Misuse::Reentered) from a signal handler that came into the heap, and
    /// [`Corruption`](crate::Corruption) if a header is damaged.
    pub fn trim(&self) -> Result<usize, Error> {
        self.tidied(|center| center.heap.trim())
    }

    /// As [`trim`](Global::trim), and gives pages in the middle of the row that nobody uses to the kernel, too: see
    /// [`Heap::purge`](crate::Heap::purge). A system call for each free block that has a page or more, a span of 64 KiB
    /// or several.
    ///
    /// # Errors
    ///
    /// As for [`trim`](Global::trim).
    pub fn purge(&self) -> Result<usize, Error> {
        Ok(self.tidied(|center| center.heap.purge())??)
    }

    /// Gives back what the calling thread keeps at hand, and spans in which nothing is in use; then does what it is told.
    fn tidied<A>(&self, action: impl FnOnce(&mut Center) -> A) -> Result<A, Error> {
        self.prepare();
        let inside = local::enter()?;
        if let Some(thread) = inside.local.thread.get() {
            thread.trim()?;
        }
        thread::tidy_left()?;
        center::with(action)
    }

    /// Has pages go back to the kernel of themselves, as by [`purge`](Global::purge), so long after 1 MiB or more was given
    /// back; `None`, as at first: never. For programs that run on after a peak, and share the machine.
    ///
    /// Whoever allocates or gives back by a slow way then, a large object or one for which a new span is looked at, finds
    /// that it is time, and waits for it meanwhile, with the heap locked: some milliseconds, as a rule, for each 100 MiB. In
    /// a program that no longer does so nothing goes back. What threads keep at hand stays: [`trim`](Global::trim) is for
    /// that.
    ///
    /// With feature `std`, `TAGHEAP_PURGE=10` in the environment sets it to so many seconds, which may be a fraction.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tagheap::Global;
    ///
    /// #[global_allocator]
    /// static HEAP: Global = Global::new();
    ///
    /// HEAP.set_purge_after(Some(Duration::from_secs(10)));
    /// ```
    pub fn set_purge_after(&self, wait: Option<Duration>) {
        idle::set_wait(wait);
    }
}
