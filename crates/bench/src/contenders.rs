//! The list of contenders.

pub(crate) mod arena;
mod arenas;
mod buddy_system;
mod bump;
mod bump_scope;
mod bumpalo;
mod classes;
mod dlmalloc;
mod glibc;
mod global;
mod heapless;
#[cfg(feature = "jemalloc")]
mod jemalloc;
mod linked_list;
#[cfg(feature = "mimalloc")]
mod mimalloc;
mod pools;
mod regions;
mod rlsf;
#[cfg(rpmalloc)]
mod rpmalloc;
mod slab;
#[cfg(feature = "snmalloc")]
mod snmalloc;
mod stack;
mod stores;
mod tagged;
mod tagheap;
mod talc;
mod touch;
mod twin;

use crate::contender::arena::arena;
#[cfg(feature = "snmalloc")]
use crate::contender::global::Through;
use crate::contender::global::global;
use crate::contender::regions::regions;
use crate::contender::slots::{local, shared};
use crate::contender::{Entry, entry};
use tagged::Tagged;

/// All contenders, in the order of the tables.
pub(crate) const ALL: &[Entry] = &[
    entry::<tagheap::Tagheap>(),
    entry::<tagheap::Scanning>(),
    entry::<twin::Assembly>(),
    entry::<dlmalloc::Arena>(),
    entry::<rlsf::Pool>(),
    entry::<talc::Arena>(),
    entry::<linked_list::Arena>(),
    entry::<glibc::Malloc>(),
    entry::<Tagged<arenas::Pools<::bumpalo::Bump, false>>>(),
    entry::<Tagged<arenas::Pools<::bump_scope::Bump, false>>>(),
    entry::<classes::Tagged>(),
    #[cfg(feature = "mimalloc")]
    entry::<Tagged<mimalloc::Heaps>>(),
    #[cfg(feature = "jemalloc")]
    entry::<Tagged<jemalloc::Arenas<false>>>(),
    #[cfg(rpmalloc)]
    entry::<Tagged<rpmalloc::Heaps>>(),
    #[cfg(feature = "snmalloc")]
    entry::<Through<snmalloc_rs::SnMalloc>>(),
    entry::<bump::Pointer>(),
    entry::<stores::HeaderStores>(),
    entry::<touch::Touch>(),
    local::<pools::Fixed>(),
    local::<pools::Growing>(),
    local::<pools::Buddy>(),
    shared::<pools::LockFree>(),
    shared::<pools::Locked>(),
    local::<slab::Keys>(),
    shared::<slab::Locked>(),
    shared::<heapless::Boxes>(),
    local::<buddy_system::Arena>(),
    shared::<buddy_system::Locked>(),
    shared::<glibc::Malloc>(),
    #[cfg(feature = "mimalloc")]
    shared::<mimalloc::Mimalloc>(),
    #[cfg(feature = "snmalloc")]
    shared::<snmalloc::Snmalloc>(),
    local::<stack::Places>(),
    arena::<pools::Bump>(),
    arena::<::bumpalo::Bump>(),
    arena::<::bump_scope::Bump>(),
    arena::<bump::Endless>(),
    regions::<classes::Pools>(),
    regions::<classes::Resetting>(),
    regions::<arenas::Pools<::bumpalo::Bump, false>>(),
    regions::<arenas::Pools<::bumpalo::Bump, true>>(),
    regions::<arenas::Pools<::bump_scope::Bump, false>>(),
    regions::<arenas::Pools<::bump_scope::Bump, true>>(),
    #[cfg(feature = "mimalloc")]
    regions::<mimalloc::Heaps>(),
    #[cfg(feature = "jemalloc")]
    regions::<jemalloc::Arenas<false>>(),
    #[cfg(feature = "jemalloc")]
    regions::<jemalloc::Arenas<true>>(),
    #[cfg(rpmalloc)]
    regions::<rpmalloc::Heaps>(),
    #[cfg(feature = "snmalloc")]
    regions::<Through<snmalloc_rs::SnMalloc>>(),
    regions::<regions::Talc>(),
    regions::<regions::Glibc>(),
    global::<::tagheap::Global>(),
    global::<std::alloc::System>(),
    #[cfg(feature = "mimalloc")]
    global::<::mimalloc::MiMalloc>(),
    #[cfg(feature = "snmalloc")]
    global::<snmalloc_rs::SnMalloc>(),
    #[cfg(feature = "jemalloc")]
    global::<tikv_jemallocator::Jemalloc>(),
    #[cfg(rpmalloc)]
    global::<rpmalloc::Rpmalloc>(),
    global::<global::Talc>(),
];
