//! A thread: memory for its stack and its variables, its start, and its end.
//!
//! # Safety
//!
//! A thread's place is one mapping, which is given back when the kernel says that the thread does not use it any
//! more. From its lowest address: a page that nobody can use, the stack, the thread's variables, and what the thread
//! pointer points to.

use core::mem::offset_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::image::Image;
use crate::kernel::{self, Beginning, PAGE, Refused};

/// Bytes of a thread's stack.
const STACK: usize = 256 << 10;

/// What the thread pointer points to.
#[derive(Debug)]
#[repr(C, align(64))]
struct Control {
    /// Its own address, by which variables are reached.
    own: *const Control,
    /// The thread's, in the kernel; 0 once that has forgotten it.
    number: AtomicU32,
    work: fn(usize),
    argument: usize,
}

const _: () = assert!(offset_of!(Control, own) == 0);

/// Memory for a thread.
#[derive(Debug)]
struct Place {
    start: NonNull<u8>,
    bytes: usize,
    control: NonNull<Control>,
    stack: NonNull<Beginning>,
}

impl Place {
    fn new(image: &Image, work: fn(usize), argument: usize) -> Result<Self, Refused> {
        let align = image.align().max(align_of::<Control>());
        let needed = PAGE + STACK + image.room() + size_of::<Control>() + 2 * align;
        let bytes = needed.next_multiple_of(PAGE);
        let start = kernel::map_guarded(bytes)?;
        let end = start.addr().get() + bytes;
        let pointer = (end - size_of::<Control>()) & !(align - 1);
        // SAFETY: within the mapping, whose last bytes are these.
        let pointer = unsafe { start.add(pointer - start.addr().get()) };
        let control = pointer.cast::<Control>();
        let number = AtomicU32::new(0);
        let own = control.as_ptr().cast_const();
        // SAFETY: so large, aligned and nobody's.
        unsafe {
            control.write(Control {
                own,
                number,
                work,
                argument,
            });
        }
        // SAFETY: the mapping is zero, has the room below, and the pointer is aligned.
        unsafe { image.plant(pointer) };
        let top = (pointer.addr().get() - image.room() - size_of::<Beginning>())
            & !(align_of::<Beginning>() - 1);
        // SAFETY: within the mapping, with the stack below.
        let stack = unsafe { start.add(top - start.addr().get()) }.cast();
        Ok(Self {
            start,
            bytes,
            control,
            stack,
        })
    }
}

/// A thread that was started, to be waited for.
#[derive(Debug)]
pub struct Thread {
    place: Place,
    number: u32,
}

/// Gives the thread that the program began with variables of its own, for as long as it runs.
pub fn settle(image: &Image) -> Result<(), Refused> {
    let place = Place::new(image, |_| (), 0)?;
    // SAFETY: laid out for this, and never given back.
    unsafe { kernel::set_thread_pointer(place.control.cast()) }
}

impl Thread {
    /// Starts a thread that does the work, with variables of its own, or without any: then none may be reached.
    pub fn start(
        image: &Image,
        has_memory: bool,
        work: fn(usize),
        argument: usize,
    ) -> Result<Self, Refused> {
        let place = Place::new(image, work, argument)?;
        let beginning = Beginning {
            function: begin,
            argument: place.control.as_ptr().cast_const().cast(),
        };
        // SAFETY: room for it, above the stack.
        unsafe { place.stack.write(beginning) };
        let pointer = if has_memory {
            place.control.as_ptr().cast()
        } else {
            ptr::null_mut()
        };
        // SAFETY: written above; what others change of it is atomic.
        let control = unsafe { place.control.as_ref() };
        // SAFETY: the place is the new thread's alone until it has ended, and `begin` takes this argument.
        let number = unsafe { kernel::start(place.stack, &control.number, pointer)? };
        Ok(Self { place, number })
    }

    /// Waits until the thread has ended, and the kernel has forgotten it: a moment later, as the heap asks the kernel
    /// who is gone.
    pub fn join(self) -> Result<(), Refused> {
        // SAFETY: the place is there until it is given back, below.
        let control = unsafe { self.place.control.as_ref() };
        while let number @ 1.. = control.number.load(Ordering::Acquire) {
            kernel::wait(&control.number, number);
        }
        while !kernel::is_gone(self.number) {
            kernel::give_way();
        }
        // SAFETY: nobody uses it: the number is cleared when the thread has left its stack for good.
        unsafe { kernel::unmap(self.place.start, self.place.bytes) }
    }
}

/// What each thread begins with.
extern "C" fn begin(control: *const u8) {
    let control = control.cast::<Control>();
    // SAFETY: the thread's own, in its place; the work was written before the thread began.
    let Control { work, argument, .. } = unsafe { &*control };
    work(*argument);
}
