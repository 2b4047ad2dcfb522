//! Other crates' arenas as pools: each pool is one, and dropping it frees the pool; or one serves all requests.

use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::contender::arena::Arena;
use crate::contender::regions::{Objects, Regions};
use crate::job::Workload;

/// A new arena for each pool; or, where it is `RESET`, one arena for all requests.
pub(crate) struct Pools<A, const RESET: bool>(PhantomData<A>);

impl<A: Arena, const RESET: bool> Regions for Pools<A, RESET> {
    const NAME: &'static str = if RESET { A::RESET } else { A::NAME };
    const JOINS: &'static [Workload] = match RESET {
        true => &[Workload::Requests],
        false => &[Workload::Phases, Workload::Requests],
    };

    type Region<'a>
        = A
    where
        A: 'a;

    fn new() -> Self {
        Self(PhantomData)
    }

    #[inline]
    fn open(&self, _number: u64) -> A {
        A::new()
    }

    #[inline]
    fn allocate(region: &mut A, layout: Layout) -> Option<NonNull<u8>> {
        region.allocate(layout)
    }

    unsafe fn renew(&self, region: &mut Option<A>, _objects: &Objects, _number: u64) -> Option<()> {
        if RESET {
            region.as_mut()?.reset();
        } else {
            *region = None;
            *region = Some(A::new());
        }
        Some(())
    }
}
