//! This project's kinds of pools, over its usual heap for hosted programs.

use std::alloc::Layout;
use std::ptr::NonNull;

use tagheap::{self as own, Heap, Kind, LocalHeap, Pool, Reserve, SharedHeap, Tag};

use crate::contender::Role;
use crate::contender::arena::Arena;
use crate::contender::slots::{LocalSlots, Placed, SharedSlots, Slots, Value};
use crate::huge_pages;

/// A heap that one pool has to itself.
type Local = LocalHeap<Reserve>;

/// The same behind a lock, which a kind that takes its memory once uses once.
type Shared = SharedHeap<Reserve>;

const SLOT: Layout = Layout::new::<Value>();

/// Slots in a chunk of a pool that grows, at least.
const CHUNK: usize = 1024;

fn heap() -> Heap<Reserve> {
    Heap::new(huge_pages::reserve()).expect("a first block")
}

fn pool() -> Pool<Local> {
    Pool::new(LocalHeap::new(heap()), Tag::new(1))
}

/// Takes a slot from a pool and writes to it.
#[inline(always)]
fn put(pool: &impl Kind, value: Value) -> Option<Placed> {
    let at = pool.allocate(SLOT).ok()?;
    // SAFETY: just handed out.
    Some(unsafe { Placed::new(at.cast(), value) })
}

/// Reads a slot's first word and gives it back.
///
/// # Safety
///
/// From [`put`], and taken once.
#[inline(always)]
unsafe fn take(pool: &impl Kind, held: Placed) -> u64 {
    let (at, first) = held.into_parts();
    // SAFETY: the caller's promise.
    unsafe { pool.deallocate(at, SLOT) }.expect("a slot of ours");
    first
}

/// Kinds for one thread.
macro_rules! local {
    ($($(#[$about:meta])* $name:ident: $title:literal, $kind:ty, $new:expr;)*) => { $(
        $(#[$about])*
        pub(crate) struct $name($kind);

        impl Slots for $name {
            type Held = Placed;

            #[inline(always)]
            fn put(&mut self, value: Value) -> Option<Placed> {
                put(&self.0, value)
            }

            #[inline(always)]
            unsafe fn take(&mut self, held: Placed) -> u64 {
                // SAFETY: the caller's promise.
                unsafe { take(&self.0, held) }
            }
        }

        impl LocalSlots for $name {
            const NAME: &'static str = $title;
            const ROLE: Role = Role::Own;

            fn new(slots: usize) -> Self {
                Self($new(slots).expect("room"))
            }
        }
    )* };
}

/// Kinds that threads share.
macro_rules! shared {
    ($($(#[$about:meta])* $name:ident: $title:literal, $kind:ty, $new:expr;)*) => { $(
        $(#[$about])*
        pub(crate) struct $name($kind);

        impl SharedSlots for $name {
            const NAME: &'static str = $title;
            const ROLE: Role = Role::Own;

            type Held = Placed;

            fn new(slots: usize) -> Self {
                Self($new(slots).expect("room"))
            }

            #[inline(always)]
            fn put(&self, value: Value) -> Option<Placed> {
                put(&self.0, value)
            }

            #[inline(always)]
            unsafe fn take(&self, held: Placed) -> u64 {
                // SAFETY: the caller's promise.
                unsafe { take(&self.0, held) }
            }
        }
    )* };
}

local! {
    /// As many slots as will be in use.
    Fixed: "Fixed", own::Fixed<Local>, |slots| own::Fixed::new(pool(), SLOT, slots);

    /// A chunk more whenever there is no free slot.
    Growing: "Fixed, growing", own::Fixed<Local>, |_| own::Fixed::growing(pool(), SLOT, CHUNK);

    /// A region of a power of two, as the peer has, in which a slot is a smallest block.
    Buddy: "Buddy", own::Buddy<Local>, |slots| {
        own::Buddy::new(pool(), slots * SLOT.size(), SLOT.size())
    };
}

shared! {
    /// As many slots as will be in use.
    LockFree: "LockFree", own::LockFree<Shared>, |slots| {
        let pool = Pool::new(SharedHeap::new(heap()), Tag::new(1));
        own::LockFree::new(pool, SLOT, slots)
    };

    /// As many slots as will be in use, behind the lock that there is unless another is named.
    Locked: "Fixed, locked", own::Locked<own::Fixed<Local>>, |slots| {
        own::Fixed::new(pool(), SLOT, slots).map(own::Locked::new)
    };
}

/// The arena.
pub(crate) struct Bump(own::Bump<Local>);

impl Arena for Bump {
    const NAME: &'static str = "Bump";
    const ROLE: Role = Role::Own;

    fn new() -> Self {
        Self(own::Bump::new(pool()))
    }

    #[inline]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        Some(self.0.allocate(layout).ok()?.cast())
    }

    fn reset(&mut self) {
        self.0.reset().expect("notes undamaged");
    }
}
