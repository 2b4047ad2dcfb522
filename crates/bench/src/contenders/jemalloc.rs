//! jemalloc: arenas that can be reset.

use std::alloc::Layout;
use std::cell::RefCell;
use std::ffi::{CStr, c_uint, c_void};
use std::ptr::{self, NonNull};

use tikv_jemalloc_sys as ffi;

use crate::contender::regions::{Objects, Regions};
use crate::job::Workload;

/// An arena without a cache in front of it, which suits small pools, or with one of its own, which suits large ones:
/// a reset must empty it first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arena<const CACHED: bool> {
    arena: c_uint,
    cache: c_uint,
}

impl<const CACHED: bool> Arena<CACHED> {
    fn new() -> Self {
        Self {
            arena: create(c"arenas.create"),
            cache: if CACHED { create(c"tcache.create") } else { 0 },
        }
    }

    #[inline]
    fn allocate(self, layout: Layout) -> Option<NonNull<u8>> {
        let cache = match CACHED {
            true => ffi::MALLOCX_TCACHE(self.cache as usize),
            false => ffi::MALLOCX_TCACHE_NONE,
        };
        let flags = ffi::MALLOCX_ARENA(self.arena as usize) | cache;
        // SAFETY: no layout of a workload has size 0 or needs more than the alignment of 16.
        NonNull::new(unsafe { ffi::mallocx(layout.size(), flags) }.cast())
    }
}

/// Operations that are looked up once.
#[derive(Debug)]
struct Operations {
    flush: [usize; 2],
    reset: [usize; 3],
}

impl Operations {
    fn find() -> Self {
        Self {
            flush: find(c"tcache.flush"),
            reset: find(c"arena.0.reset"),
        }
    }

    /// Takes all memory of an arena back.
    ///
    /// # Safety
    ///
    /// What was allocated is used no more.
    unsafe fn reset<const CACHED: bool>(&self, arena: Arena<CACHED>) {
        let mut cache = arena.cache;
        if CACHED {
            // SAFETY: reads the number of a cache of ours.
            unsafe { call(&self.flush, (&raw mut cache).cast(), size_of::<c_uint>()) };
        }
        let mut name = self.reset;
        name[1] = arena.arena as usize;
        // SAFETY: an arena of ours, whose cache is empty and whose memory nobody uses.
        unsafe { call(&name, ptr::null_mut(), 0) };
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

/// The short form of a name that has so many parts.
fn find<const PARTS: usize>(name: &CStr) -> [usize; PARTS] {
    let mut short = [0; PARTS];
    let mut parts = PARTS;
    // SAFETY: writes as many parts as there is room for.
    let error = unsafe { ffi::mallctlnametomib(name.as_ptr(), short.as_mut_ptr(), &raw mut parts) };
    assert_eq!((error, parts), (0, PARTS), "a name that there is");
    short
}

/// Calls an operation that answers nothing.
///
/// # Safety
///
/// It may be called, and reads so many bytes from there.
unsafe fn call(name: &[usize], from: *mut c_void, bytes: usize) {
    let (at, parts) = (name.as_ptr(), name.len());
    let nothing = ptr::null_mut();
    // SAFETY: the caller's promise.
    let error = unsafe { ffi::mallctlbymib(at, parts, nothing, ptr::null_mut(), from, bytes) };
    assert_eq!(error, 0, "an arena and a cache of ours");
}

/// Arenas for pools; those of pools that are gone are used again.
#[derive(Debug)]
pub(crate) struct Arenas<const CACHED: bool> {
    idle: RefCell<Vec<Arena<CACHED>>>,
    operations: Operations,
}

impl<const CACHED: bool> Regions for Arenas<CACHED> {
    const NAME: &'static str = if CACHED {
        "jemalloc arenas, cached"
    } else {
        "jemalloc arenas"
    };
    const JOINS: &'static [Workload] = match CACHED {
        true => &[Workload::Phases],
        false => &[Workload::Phases, Workload::Requests],
    };

    type Region<'a> = (Arena<CACHED>, &'a Self);

    fn new() -> Self {
        Self {
            idle: RefCell::default(),
            operations: Operations::find(),
        }
    }

    #[inline]
    fn open(&self, _number: u64) -> Self::Region<'_> {
        let idle = self.idle.borrow_mut().pop();
        (idle.unwrap_or_else(Arena::new), self)
    }

    #[inline]
    fn allocate((arena, _): &mut Self::Region<'_>, layout: Layout) -> Option<NonNull<u8>> {
        arena.allocate(layout)
    }

    unsafe fn release((arena, arenas): &mut Self::Region<'_>, _objects: &Objects) {
        // SAFETY: the caller's promise.
        unsafe { arenas.operations.reset(*arena) };
        arenas.idle.borrow_mut().push(*arena);
    }
}
