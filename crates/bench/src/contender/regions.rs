//! Pools of objects of any size that go all at once: arenas, heaps of their own, or lists of single blocks.

use std::alloc::Layout;
use std::ptr::NonNull;

use super::{Entry, Outcome, Role};
use crate::job::{Job, Workload};
use crate::workloads;

/// Objects of a pool, for those that must be freed one by one.
pub(crate) type Objects = [(NonNull<u8>, u32)];

/// Where pools come from, in the comparison.
pub(crate) trait Regions: Sized {
    /// Its name in tables and plots.
    const NAME: &'static str;

    /// What it is in a comparison.
    const ROLE: Role = Role::Peer;

    /// The workloads it takes part in.
    const JOINS: &'static [Workload] = &[Workload::Phases, Workload::Requests];

    /// A pool.
    type Region<'a>
    where
        Self: 'a;

    /// With no pool made.
    fn new() -> Self;

    /// A new pool, of this number.
    fn open(&self, number: u64) -> Self::Region<'_>;

    /// Memory for `layout` from a pool.
    fn allocate(region: &mut Self::Region<'_>, layout: Layout) -> Option<NonNull<u8>>;

    /// Frees what a pool handed out, as far as its drop, which follows, does not.
    ///
    /// # Safety
    ///
    /// These are all its objects, and they are used no more.
    unsafe fn release(_region: &mut Self::Region<'_>, _objects: &Objects) {}

    /// Frees all that a pool handed out, and puts an empty one of this number in its place: a new one, or the same
    /// where it is. `None` if there was none.
    ///
    /// # Safety
    ///
    /// As for `release`.
    unsafe fn renew<'a>(
        &'a self,
        region: &mut Option<Self::Region<'a>>,
        objects: &Objects,
        number: u64,
    ) -> Option<()> {
        // SAFETY: the caller's promise.
        unsafe { Self::release(region.as_mut()?, objects) };
        // Dropped where it is, as a local variable would be.
        *region = None;
        *region = Some(self.open(number));
        Some(())
    }
}

/// The entry of a sort of pools.
pub(crate) const fn regions<R: Regions>() -> Entry {
    fn run<R: Regions>(job: &Job) -> Option<Outcome> {
        let regions = R::new();
        match job.workload {
            Workload::Phases => workloads::phases::run(job, &regions),
            _ => workloads::requests::run(job, &regions),
        }
    }
    Entry {
        name: R::NAME,
        joins: R::JOINS,
        role: R::ROLE,
        run: run::<R>,
    }
}
