//! Arenas: objects one behind the other, all taken back at once.

use std::alloc::Layout;
use std::ptr::NonNull;

use super::{Entry, Outcome, Role};
use crate::job::{Job, Workload};
use crate::workloads;

/// An arena in the comparison.
pub(crate) trait Arena: Sized {
    /// Its name in tables and plots.
    const NAME: &'static str;

    /// Its name where one serves all requests, reset in between.
    const RESET: &'static str = "";

    /// What it is in a comparison.
    const ROLE: Role = Role::Peer;

    /// With nothing allocated.
    fn new() -> Self;

    /// Memory for `layout`.
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// Takes all memory back; keeps what the next round needs, as far as it does that.
    fn reset(&mut self);
}

/// The entry of an arena.
pub(crate) const fn arena<A: Arena>() -> Entry {
    fn run<A: Arena>(job: &Job) -> Option<Outcome> {
        workloads::bump::run(job, &mut A::new())
    }
    Entry {
        name: A::NAME,
        joins: &[Workload::Bump],
        role: A::ROLE,
        run: run::<A>,
    }
}
