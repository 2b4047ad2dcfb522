//! This project's heap, over its usual source for hosted programs.

use std::alloc::Layout;
use std::ptr::NonNull;

use tagheap::{Heap, Key, Reserve, Scan, Split, Tag};

use crate::contender::{Contender, Role};
use crate::huge_pages;
use crate::job::Workload;

/// The heap as `Heap::new` makes it.
pub(crate) struct Tagheap(Heap<Reserve>);

/// The heap with the plain scan that defines its placement.
pub(crate) struct Scanning(Heap<Reserve, Split, Scan>);

const fn tagged(tag: u32) -> Tag {
    Tag::new(tag as u64)
}

macro_rules! contender {
    ($type:ty, $name:literal, $role:expr, $new:expr, $joins:expr) => {
        impl Contender for $type {
            const NAME: &'static str = $name;
            const JOINS: &'static [Workload] = $joins;
            const ROLE: Role = $role;

            fn new() -> Self {
                Self($new(huge_pages::reserve()).expect("a first block"))
            }

            #[inline]
            fn allocate(&mut self, tag: u32, layout: Layout) -> Option<NonNull<u8>> {
                Some(self.0.allocate(tagged(tag), layout).ok()?.cast())
            }

            #[inline]
            unsafe fn deallocate(&mut self, at: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's promise.
                unsafe { self.0.deallocate(at, layout) }.expect("a block of ours");
            }

            unsafe fn grow(
                &mut self,
                at: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Option<NonNull<u8>> {
                // SAFETY: the caller's promise.
                Some(unsafe { self.0.grow(at, old, new) }.ok()?.cast())
            }

            unsafe fn release(&mut self, tag: u32) -> bool {
                // SAFETY: the caller's promise.
                unsafe { self.0.release(tagged(tag)) }.expect("a tag of the caller's");
                true
            }

            fn footprint(&self) -> Option<usize> {
                Some(self.0.end() - self.0.base())
            }
        }
    };
}

contender!(
    Tagheap,
    "tagheap",
    Role::Own,
    Heap::new,
    &[
        Workload::FirstFit,
        Workload::Churn,
        Workload::Release,
        Workload::ReleaseEmpty,
        Workload::Level,
        Workload::GrowDouble,
        Workload::GrowDoubleAgain,
        Workload::GrowStep,
        Workload::GrowStepAgain,
    ]
);

contender!(
    Scanning,
    "tagheap, Scan",
    Role::Peer,
    |source| Heap::with(source, Split, Scan, Key::FIXED),
    &[Workload::FirstFit]
);
