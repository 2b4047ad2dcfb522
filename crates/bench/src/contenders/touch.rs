//! A limit: memory that is only touched.

use std::alloc::Layout;
use std::ptr::NonNull;

use super::arena;
use crate::contender::{Contender, Role};
use crate::job::Workload;

/// One vector at the start of an arena, which it may fill: growing costs the touch of its pages only.
pub(crate) struct Touch(NonNull<u8>);

impl Contender for Touch {
    const NAME: &'static str = "limit: touching pages";
    const JOINS: &'static [Workload] = &[
        Workload::GrowDouble,
        Workload::GrowDoubleAgain,
        Workload::GrowStep,
        Workload::GrowStepAgain,
    ];
    const ROLE: Role = Role::Limit;

    fn new() -> Self {
        Self(arena::map().cast())
    }

    fn allocate(&mut self, _tag: u32, _layout: Layout) -> Option<NonNull<u8>> {
        Some(self.0)
    }

    unsafe fn deallocate(&mut self, _at: NonNull<u8>, _layout: Layout) {}

    unsafe fn grow(&mut self, at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        Some(at)
    }
}
