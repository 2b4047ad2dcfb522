//! This project's pools of size classes, over its usual heap for hosted programs.

use std::alloc::Layout;
use std::ptr::NonNull;

use tagheap::{Heap, Kind, LocalHeap, Pool, Reserve, SizeClasses, Tag};

use crate::contender::regions::{Objects, Regions};
use crate::contender::{Contender, Role};
use crate::huge_pages;
use crate::job::Workload;

type Shared = LocalHeap<Reserve>;

/// Pools have so many tags by turns, as requests have those of the workers that serve them.
const TAGS: u64 = 64;

fn heap() -> Shared {
    LocalHeap::new(Heap::new(huge_pages::reserve()).expect("a first block"))
}

/// A pool for each phase, dropped at its end.
pub(crate) struct Pools(Shared);

/// The same pool for each request, reset in between.
pub(crate) struct Resetting(Shared);

macro_rules! regions {
    ($type:ty, $name:literal, $joins:expr $(, $renew:item)?) => {
        impl Regions for $type {
            const NAME: &'static str = $name;
            const ROLE: Role = Role::Own;
            const JOINS: &'static [Workload] = $joins;

            type Region<'a> = SizeClasses<&'a Shared>;

            fn new() -> Self {
                Self(heap())
            }

            #[inline]
            fn open(&self, number: u64) -> SizeClasses<&Shared> {
                SizeClasses::new(Pool::new(&self.0, Tag::new(number % TAGS + 1)))
            }

            #[inline]
            fn allocate(region: &mut SizeClasses<&Shared>, layout: Layout) -> Option<NonNull<u8>> {
                Some(region.allocate(layout).ok()?.cast())
            }

            $($renew)?
        }
    };
}

regions!(
    Pools,
    "SizeClasses",
    &[Workload::Phases, Workload::Requests]
);

regions!(
    Resetting,
    "SizeClasses, reset",
    &[Workload::Requests],
    unsafe fn renew<'a>(
        &'a self,
        region: &mut Option<SizeClasses<&'a Shared>>,
        _objects: &Objects,
        _number: u64,
    ) -> Option<()> {
        region.as_mut()?.reset().ok()
    }
);

/// A pool for each tag, which all stay until they are released.
pub(crate) struct Tagged {
    heap: &'static Shared,
    pools: Vec<Option<SizeClasses<&'static Shared>>>,
}

impl Contender for Tagged {
    const NAME: &'static str = "SizeClasses";
    const JOINS: &'static [Workload] = &[Workload::Release];
    const ROLE: Role = Role::Own;

    fn new() -> Self {
        Self {
            heap: Box::leak(Box::new(heap())),
            pools: Vec::new(),
        }
    }

    fn allocate(&mut self, tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        let place = tag as usize;
        if place >= self.pools.len() {
            self.pools.resize_with(place + 1, || None);
        }
        let make = || SizeClasses::new(Pool::new(self.heap, Tag::new(tag.into())));
        let pool = self.pools[place].get_or_insert_with(make);
        Some(pool.allocate(layout).ok()?.cast())
    }

    unsafe fn deallocate(&mut self, _at: NonNull<u8>, _layout: Layout) {}

    unsafe fn grow(&mut self, _at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        None
    }

    unsafe fn release(&mut self, tag: u32) -> bool {
        self.pools[tag as usize] = None;
        true
    }
}
