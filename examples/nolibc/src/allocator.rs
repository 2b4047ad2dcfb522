//! The global allocator: the heap, and the tag that allocations go under at the moment.
//!
//! # Safety
//!
//! The program has one thread and no signal handler, so nobody comes in between; that an operation is
//! not entered from within another one is what the `RefCell` sees to.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, RefCell};
use core::fmt;
use core::ptr::{self, NonNull};

use tagheap::{Amount, Break, Error, Heap, Tag};

use crate::bare;

/// The tag of what is allocated outside [`Global::under`].
const OTHER: Tag = Tag::named("other");

/// A heap at the program break, made at the first request.
pub struct Global {
    heap: RefCell<Option<Heap<Break>>>,
    tag: Cell<Tag>,
}

// SAFETY: there is one thread only. Nothing in this program starts another one, and there is no libc
// that could.
unsafe impl Sync for Global {}

impl Global {
    pub const fn new() -> Self {
        Self {
            heap: RefCell::new(None),
            tag: Cell::new(OTHER),
        }
    }

    /// Runs `work`; what it allocates goes under `tag`.
    pub fn under<T>(&self, tag: Tag, work: impl FnOnce() -> T) -> T {
        let outer = self.tag.replace(tag);
        let answer = work();
        self.tag.set(outer);
        answer
    }

    /// Frees everything under `tag`.
    ///
    /// # Safety
    ///
    /// Nobody uses memory that was allocated under this tag, not even to drop what lies there.
    pub unsafe fn release(&self, tag: Tag) -> Result<Amount, Error> {
        // SAFETY: the caller's promise.
        self.with(|heap| unsafe { heap.release(tag) })
    }

    /// Prints blocks and bytes by tag. `out` must not allocate: the heap is being read.
    pub fn print_table(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match &*self.heap.borrow() {
            Some(heap) => writeln!(out, "{}", heap.table()),
            None => writeln!(out, "nothing yet"),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Heap<Break>) -> Result<T, Error>) -> Result<T, Error> {
        let mut heap = self.heap.borrow_mut();
        if let Some(heap) = &mut *heap {
            return work(heap);
        }
        // SAFETY: the break has no owner but this one, made once. Whoever moves the break otherwise is a libc,
        // and this program has none: it is static, and linked without one.
        let program_break = unsafe { Break::new() };
        work(heap.insert(Heap::new(program_break)?))
    }
}

/// The address, or null where there is no memory. Anything else is a bug, and ends the program.
fn answer(result: Result<NonNull<[u8]>, Error>) -> *mut u8 {
    match result {
        Ok(block) => block.cast().as_ptr(),
        Err(Error::OutOfMemory(_)) => ptr::null_mut(),
        Err(error) => bare::die(&error),
    }
}

// SAFETY: the heap's blocks are as large and as aligned as their layouts say, apart from each other, and
// stay where they are until deallocated. No method unwinds: the program aborts on panic.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        answer(self.with(|heap| heap.allocate(self.tag.get(), layout)))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        answer(self.with(|heap| heap.allocate_zeroed(self.tag.get(), layout)))
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let Some(at) = NonNull::new(at) else { return };
        // SAFETY: the caller holds the block, and uses it no more.
        let freed = self.with(|heap| unsafe { heap.deallocate(at, layout) });
        if let Err(error) = freed {
            bare::die(&error);
        }
    }

    unsafe fn realloc(&self, at: *mut u8, old: Layout, size: usize) -> *mut u8 {
        let Some(at) = NonNull::new(at) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller promises that the new size, rounded up to the alignment, is a layout's.
        let new = unsafe { Layout::from_size_align_unchecked(size, old.align()) };
        answer(self.with(|heap| {
            if new.size() >= old.size() {
                // SAFETY: the caller holds the block, and uses its old address no more.
                unsafe { heap.grow(at, old, new) }
            } else {
                // SAFETY: as above.
                unsafe { heap.shrink(at, old, new) }
            }
        }))
    }
}
