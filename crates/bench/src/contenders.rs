//! The list of contenders.

pub(crate) mod arena;
mod bump;
mod bumpalo;
mod dlmalloc;
mod glibc;
mod linked_list;
mod rlsf;
mod stores;
mod tagheap;
mod talc;
mod touch;
mod twin;

use crate::contender::{Entry, entry};

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
    entry::<bumpalo::Pools>(),
    entry::<bump::Pointer>(),
    entry::<stores::HeaderStores>(),
    entry::<touch::Touch>(),
];
