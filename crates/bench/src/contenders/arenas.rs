//! Other crates' arenas as pools: each pool is one, and dropping it frees the pool; or one serves all requests.

use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::contender::Contender;
use crate::contender::arena::Arena;
use crate::contender::regions::{Objects, Regions};
use crate::job::Workload;

/// An arena per tag.
pub(crate) struct Tagged<A>(Vec<Option<A>>);

impl<A: Arena> Contender for Tagged<A> {
    const NAME: &'static str = A::NAME;
    const JOINS: &'static [Workload] = &[Workload::Release];

    fn new() -> Self {
        Self(Vec::new())
    }

    fn allocate(&mut self, tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        let tag = tag as usize;
        if tag >= self.0.len() {
            self.0.resize_with(tag + 1, || None);
        }
        let pool = self.0[tag].get_or_insert_with(A::new);
        pool.allocate(layout)
    }

    unsafe fn deallocate(&mut self, _at: NonNull<u8>, _layout: Layout) {}

    unsafe fn grow(&mut self, _at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        None
    }

    unsafe fn release(&mut self, tag: u32) -> bool {
        self.0[tag as usize] = None;
        true
    }
}

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
