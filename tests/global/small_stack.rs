//! G01: requests on the smallest stack that the platform gives a thread.

use core::ffi::c_void;
use core::fmt::{self, Write};
use core::ptr;
use std::mem::MaybeUninit;

use tagheap::{HEADER, Tag, scope};

use crate::HEAP;
use crate::careless::{face, free, resize};
use crate::support::{alone, blocks, bytes, objects};

const TAG: Tag = Tag::named("g01");
const OTHER: Tag = Tag::named("g01 oth");

/// Counts what is written, and keeps none of it.
struct Counted(usize);

impl Write for Counted {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Everything that a program asks of the heap; answers what went wrong, if anything did.
fn work() -> Option<()> {
    let sizes = [1, 64, 1000, 8192, 8193, 100_000];
    for tag in [TAG, OTHER] {
        let taken = scope(tag, || sizes.map(|size| face::alloc(bytes(size))));
        for (at, size) in taken.into_iter().zip(sizes) {
            let at = resize(at?, bytes(size), bytes(2 * size)).ok()?;
            (HEAP.tag_of(at) == Ok(tag)).then_some(())?;
            let at = resize(at, bytes(2 * size), bytes(size)).ok()?;
            free(at, bytes(size)).ok()?;
            free(at, bytes(size)).err()?;
        }
        let zeroed = scope(tag, || face::alloc_zeroed(bytes(20_000)))?;
        free(zeroed, bytes(20_000)).ok()?;
    }
    // Magazines are filled, emptied and looked through, and spans go.
    let mut last = ptr::null_mut::<u8>();
    for _ in 0..2000 {
        let at = scope(TAG, || face::alloc(bytes(500)))?.cast::<*mut u8>();
        // SAFETY: just taken.
        unsafe { at.write(last) };
        last = at.as_ptr().cast();
    }
    while let Some(at) = ptr::NonNull::new(last) {
        // SAFETY: written above.
        last = unsafe { at.cast::<*mut u8>().read() };
        free(at, bytes(500)).ok()?;
    }
    // Where there is no memory.
    HEAP.set_limit(OTHER, Some(1 << 17)).ok()?;
    let whole = bytes((1 << 17) - HEADER);
    let at = scope(OTHER, || HEAP.allocate(whole)).ok()?;
    scope(OTHER, || HEAP.allocate(whole)).err()?;
    free(at.cast(), whole).ok()?;
    let mut report = Counted(0);
    write!(report, "{}", HEAP.report()).ok()?;
    (report.0 > 200).then_some(())?;
    HEAP.check().ok()?;
    scope(TAG, || HEAP.allocate(bytes(10))).ok()?;
    // SAFETY: nobody uses what is under the tag.
    (unsafe { HEAP.release(TAG) }.ok()?.blocks > 0).then_some(())?;
    HEAP.trim().ok()?;
    HEAP.leave();
    Some(())
}

#[test]
fn g01_requests_on_the_smallest_stack_of_a_thread() {
    extern "C" fn start(answer: *mut c_void) -> *mut c_void {
        let went = work();
        // SAFETY: who started it waits for it.
        unsafe { answer.cast::<bool>().write(went.is_some()) };
        ptr::null_mut()
    }
    alone(|| {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: as POSIX has it.
        let made = unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
        let least = libc::PTHREAD_STACK_MIN;
        assert_eq!((made, least), (0, 16 << 10));
        // SAFETY: made above.
        let set = unsafe { libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), least) };
        assert_eq!(set, 0);
        let (mut thread, mut went) = (0, false);
        let argument = (&raw mut went).cast();
        // SAFETY: a function of that type, and an argument that stays until the thread is joined.
        let started =
            unsafe { libc::pthread_create(&raw mut thread, attributes.as_ptr(), start, argument) };
        assert_eq!(started, 0);
        // SAFETY: started above.
        assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
        assert!(went, "{}", HEAP.report());
        assert_eq!(
            [TAG, OTHER].map(|tag| (objects(tag), blocks(tag))),
            [(0, 0); 2]
        );
    });
}
