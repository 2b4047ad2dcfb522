//! Pools that go at once, one for each tag.

use std::alloc::Layout;
use std::ptr::NonNull;

use crate::contender::Contender;
use crate::contender::regions::Regions;
use crate::job::Workload;

/// A pool for each tag, made when it is first asked for. For those that need not be told of their objects to go.
pub(crate) struct Tagged<R: Regions + 'static> {
    regions: &'static R,
    pools: Vec<Option<R::Region<'static>>>,
}

impl<R: Regions> Contender for Tagged<R> {
    const NAME: &'static str = R::NAME;
    const JOINS: &'static [Workload] = &[Workload::Release];

    fn new() -> Self {
        Self {
            regions: Box::leak(Box::new(R::new())),
            pools: Vec::new(),
        }
    }

    fn allocate(&mut self, tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        let place = tag as usize;
        if place >= self.pools.len() {
            self.pools.resize_with(place + 1, || None);
        }
        let make = || self.regions.open(tag.into());
        R::allocate(self.pools[place].get_or_insert_with(make), layout)
    }

    unsafe fn deallocate(&mut self, _at: NonNull<u8>, _layout: Layout) {}

    unsafe fn grow(&mut self, _at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        None
    }

    unsafe fn release(&mut self, tag: u32) -> bool {
        let pool = &mut self.pools[tag as usize];
        if let Some(pool) = pool {
            // SAFETY: the caller's promise; such pools need no list.
            unsafe { R::release(pool, &[]) };
        }
        pool.take().is_some()
    }
}
