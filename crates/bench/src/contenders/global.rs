//! Allocators that programs name as their own, a row each: its type, its name, what it is, and the only one of it.

use std::alloc::System;

use tagheap::Futex;
use talc::TalcLock;

use super::talc::Once;
use crate::contender::Role;
use crate::contender::global::Global;
use crate::huge_pages;

/// talc behind the lock that this project's shared heaps have unless another is named, over one large arena.
pub(super) type Talc = TalcLock<Futex, Once>;

macro_rules! globals {
    ($($(#[$condition:meta])* $type:ty: $name:expr, $role:ident, $value:expr;)*) => { $(
        $(#[$condition])*
        impl Global for $type {
            const NAME: &'static str = $name;
            const ROLE: Role = Role::$role;

            #[inline(always)]
            fn get() -> &'static Self {
                static ONE: $type = $value;
                &ONE
            }
        }
    )* };
}

impl Global for tagheap::Global {
    const NAME: &'static str = "Global";
    const ROLE: Role = Role::Own;

    #[inline(always)]
    fn get() -> &'static Self {
        static ONE: tagheap::Global = tagheap::Global::new();
        &ONE
    }

    fn begin() {
        if huge_pages::are_wanted() {
            // Handles are of the same heap: the first that is used has it made.
            let huge = tagheap::Global::new().in_huge_pages();
            huge.holding(tagheap::Global::UNTAGGED).expect("a heap");
        }
    }
}

globals! {
    System: "glibc", Peer, System;

    #[cfg(feature = "mimalloc")]
    mimalloc::MiMalloc: super::mimalloc::NAME, Peer, mimalloc::MiMalloc;

    #[cfg(feature = "snmalloc")]
    snmalloc_rs::SnMalloc: "snmalloc", Peer, snmalloc_rs::SnMalloc;

    #[cfg(feature = "jemalloc")]
    tikv_jemallocator::Jemalloc: "jemalloc", Peer, tikv_jemallocator::Jemalloc;

    #[cfg(rpmalloc)]
    super::rpmalloc::Rpmalloc: "rpmalloc", Peer, super::rpmalloc::Rpmalloc;

    Talc: "talc, locked", Peer, Talc::new(Once::new());
}
