//! jemalloc: arenas that can be reset.

use std::alloc::Layout;
use std::cell::RefCell;
use std::ffi::{CStr, c_int, c_uint};
use std::ptr::{self, NonNull};

use tikv_jemalloc_sys as ffi;

use crate::contender::Contender;
use crate::contender::regions::{Objects, Regions};
use crate::job::Workload;

/// An arena, and a cache for it: one that a reset leaves behind must not be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arena {
    arena: c_uint,
    cache: c_uint,
}

impl Arena {
    fn new() -> Self {
        Self {
            arena: create(c"arenas.create"),
            cache: create(c"tcache.create"),
        }
    }

    #[inline]
    fn allocate(self, layout: Layout) -> Option<NonNull<u8>> {
        let arena = ffi::MALLOCX_ARENA(self.arena as usize);
        let flags: c_int = arena | ffi::MALLOCX_TCACHE(self.cache as usize);
        // SAFETY: no layout of a workload has size 0 or needs more than the alignment of 16.
        NonNull::new(unsafe { ffi::mallocx(layout.size(), flags) }.cast())
    }

    /// Takes all memory back.
    ///
    /// # Safety
    ///
    /// What was allocated is used no more.
    unsafe fn reset(self) {
        let mut cache = self.cache;
        let cache = (&raw mut cache).cast();
        let name = c"tcache.flush".as_ptr();
        let size = size_of::<c_uint>();
        // SAFETY: reads the number of a cache of ours.
        let flushed = unsafe { ffi::mallctl(name, ptr::null_mut(), ptr::null_mut(), cache, size) };
        let nothing = ptr::null_mut();
        let name = format!("arena.{}.reset\0", self.arena);
        // SAFETY: an arena made here, whose cache is empty and whose memory nobody uses.
        let reset =
            unsafe { ffi::mallctl(name.as_ptr().cast(), nothing, ptr::null_mut(), nothing, 0) };
        assert_eq!((flushed, reset), (0, 0), "an arena and a cache of ours");
    }
}

/// The number of something new.
fn create(name: &CStr) -> c_uint {
    let mut number: c_uint = 0;
    let mut size = size_of::<c_uint>();
    let at = (&raw mut number).cast();
    // SAFETY: writes a number, for which there is room.
    let error = unsafe { ffi::mallctl(name.as_ptr(), at, &raw mut size, ptr::null_mut(), 0) };
    assert_eq!(error, 0, "room for one more");
    number
}

/// Arenas for pools; those of pools that are gone are used again.
#[derive(Debug)]
pub(crate) struct Arenas(RefCell<Vec<Arena>>);

impl Regions for Arenas {
    const NAME: &'static str = "jemalloc arenas";

    type Region<'a> = (Arena, &'a Self);

    fn new() -> Self {
        Self(RefCell::default())
    }

    #[inline]
    fn open(&self, _number: u64) -> (Arena, &Self) {
        let idle = self.0.borrow_mut().pop();
        (idle.unwrap_or_else(Arena::new), self)
    }

    #[inline]
    fn allocate((arena, _): &mut (Arena, &Self), layout: Layout) -> Option<NonNull<u8>> {
        arena.allocate(layout)
    }

    unsafe fn release((arena, arenas): (Arena, &Self), _objects: &Objects) {
        // SAFETY: the caller's promise.
        unsafe { arena.reset() };
        arenas.0.borrow_mut().push(arena);
    }
}

/// An arena for each tag.
#[derive(Debug)]
pub(crate) struct Tagged(Vec<Option<Arena>>);

impl Contender for Tagged {
    const NAME: &'static str = "jemalloc arenas";
    const JOINS: &'static [Workload] = &[Workload::Release];

    fn new() -> Self {
        Self(Vec::new())
    }

    fn allocate(&mut self, tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        let place = tag as usize;
        if place >= self.0.len() {
            self.0.resize(place + 1, None);
        }
        self.0[place]
            .get_or_insert_with(Arena::new)
            .allocate(layout)
    }

    unsafe fn deallocate(&mut self, _at: NonNull<u8>, _layout: Layout) {}

    unsafe fn grow(&mut self, _at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        None
    }

    unsafe fn release(&mut self, tag: u32) -> bool {
        let Some(arena) = self.0[tag as usize] else {
            return false;
        };
        // SAFETY: the caller's promise.
        unsafe { arena.reset() };
        true
    }
}
