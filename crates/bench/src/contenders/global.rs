//! Allocators that programs name as their own, a row each: its type, its name, what it is, and the only one of it.
//!
//! rpmalloc is not among them. Its crate's last version is of May 2021 and wraps version 1.4.3 of the C, without its
//! heaps: what it defines for the C is fixed in its build script, and it names no `links` by which another could learn
//! where the C lies. Threads other than the first are known to it only by its feature `preload`, whose `pthread_create`
//! takes the place of the C library's for all contenders.

use std::alloc::System;

use tagheap::Futex;
use talc::TalcLock;

use super::talc::Once;
use crate::contender::Role;
use crate::contender::global::Global;

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

globals! {
    tagheap::Global: "Global", Own, tagheap::Global::new();

    System: "glibc", Peer, System;

    #[cfg(feature = "mimalloc")]
    mimalloc::MiMalloc: super::mimalloc::NAME, Peer, mimalloc::MiMalloc;

    #[cfg(feature = "snmalloc")]
    snmalloc_rs::SnMalloc: "snmalloc", Peer, snmalloc_rs::SnMalloc;

    #[cfg(feature = "jemalloc")]
    tikv_jemallocator::Jemalloc: "jemalloc", Peer, tikv_jemallocator::Jemalloc;

    Talc: "talc, locked", Peer, Talc::new(Once::new());
}
