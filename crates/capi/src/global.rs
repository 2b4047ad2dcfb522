//! One heap for the whole program, for three routines that name none.
//!
//! They are what the assembly heap has that this library descends from: a pool is a number, and the number the
//! tag; a block is reused whole. An archive member of its own gives them their short names, see `names.s`.
//!
//! # Safety
//!
//! The heap stands in a static from the first call on, for good; a word says when it does.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use heap::{Directory, Error, Heap, Key, Misuse, Reserve, Share, Tag, Whole, fatal};

use crate::answer::{self, Answer, Failure};
use crate::create::take_break;
use crate::ground::Ground;
use crate::handle::OWN;
use crate::hosted;
use crate::sharing::Sharing;
use crate::status::th_status;

struct Global {
    /// [`EMPTY`], [`READY`], or the number of the thread that makes the heap.
    state: AtomicU32,
    heap: UnsafeCell<MaybeUninit<Sharing<Whole>>>,
}

const EMPTY: u32 = 0;
const READY: u32 = u32::MAX;

/// How often somebody who finds the heap begun by another thread and not ready looks again: some seconds. A child of a
/// fork waits in vain, if that thread is its parent's.
const LOOKS: usize = 50_000;

/// How often with no more than giving way in between.
const HASTY_LOOKS: usize = 100;

// SAFETY: the heap is written by whoever began it, and only shared once it is ready; with a libc, so perhaps with
// threads, it has a lock.
unsafe impl Sync for Global {}

static GLOBAL: Global = Global {
    state: AtomicU32::new(EMPTY),
    heap: UnsafeCell::new(MaybeUninit::uninit()),
};

impl Global {
    /// The heap, made by the first call.
    fn heap(&'static self) -> Answer<&'static Sharing<Whole>> {
        if self.state.load(Ordering::Acquire) != READY {
            self.begin()?;
        }
        // SAFETY: written before it was said to be ready, and not since.
        let heap = unsafe { &*self.heap.get() };
        // SAFETY: as above.
        Ok(unsafe { heap.assume_init_ref() })
    }

    #[cold]
    fn begin(&self) -> Answer<()> {
        let me = thread();
        for look in 0..LOOKS {
            let order = Ordering::Acquire;
            match self.state.compare_exchange(EMPTY, me, order, order) {
                Err(READY) => return Ok(()),
                // A signal handler that interrupted its own thread in the middle of that.
                Err(beginner) if beginner == me => break,
                Err(_) if look < HASTY_LOOKS => rustix::thread::sched_yield(),
                Err(_) => nap(),
                Ok(_) => {
                    let made = found();
                    let state = if made.is_ok() { READY } else { EMPTY };
                    let made = made.map(|heap| {
                        // SAFETY: whoever began it is alone with it until it is ready.
                        let place = unsafe { &mut *self.heap.get() };
                        place.write(heap);
                    });
                    self.state.store(state, Ordering::Release);
                    return made;
                }
            }
        }
        Err(Misuse::Reentered.into())
    }
}

/// The kernel's number for this thread; any where there is one thread.
fn thread() -> u32 {
    if hosted::is_hosted() {
        let number = rustix::thread::gettid().as_raw_nonzero();
        number.get().unsigned_abs()
    } else {
        1
    }
}

/// Lets others run for a tenth of a millisecond.
fn nap() {
    let nap = rustix::thread::Timespec {
        tv_sec: 0,
        tv_nsec: 100_000,
    };
    // Interrupted or not, the time for the next look has come.
    let _ = rustix::thread::nanosleep(&nap);
}

/// The heap at the break where that is to be had, else in a reservation.
fn found() -> Answer<Sharing<Whole>> {
    let ground = match take_break() {
        Ok(program_break) => Ground::Break(program_break),
        Err(_) => Ground::Reserve(Reserve::new()?),
    };
    let key = Key::from_seed(noise());
    let heap = Heap::with(ground, Whole, Directory::new(), key)?;
    Ok(Sharing::new(heap, hosted::is_hosted()))
}

/// Bits that differ from run to run. Not secret.
fn noise() -> u64 {
    // SAFETY: reads a counter; every x86-64 processor has it.
    let now = unsafe { core::arch::x86_64::_rdtsc() };
    now.rotate_left(32) ^ (&raw const GLOBAL).addr() as u64
}

/// Allocates `size` bytes, aligned to 16, in pool `pool` of the program's one heap, which the first call makes: at
/// the program break in a program without libc (see th_heap_at_break), else in a reservation.
///
/// Any number but 0 and the seventeen highest is a pool, and needs no creation. A block that was given back is reused
/// whole. For any thread, where there is a libc; without one, for one. Null on failure, with `errno` where there is
/// one.
#[unsafe(no_mangle)]
pub extern "C" fn th_global_allocate(pool: u64, size: usize) -> *mut c_void {
    let tag = Tag::new(pool);
    let take = || {
        if tag == OWN {
            return Err(Misuse::ReservedTag { tag }.into());
        }
        let layout = crate::pooled::layout(tag, size, 16)?;
        Ok(GLOBAL.heap()?.allocate(tag, layout)?)
    };
    // SAFETY: nobody wants the status.
    unsafe { answer::block(take(), core::ptr::null_mut::<th_status>()) }
}

/// Gives a block of th_global_allocate's back. A null block is no error.
///
/// One that is none, or was given back before, ends the program: a line on standard error, which says what and where,
/// and SIGABRT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_global_deallocate(block: *mut c_void) {
    let Some(block) = NonNull::new(block.cast::<u8>()) else {
        return;
    };
    let give = |heap: &mut Heap<Ground, Whole>| {
        let layout = Layout::from_size_align(heap.requested_size(block)?, 1);
        let layout = layout.map_err(|_| th_status::TH_DAMAGED_HEADER)?;
        // SAFETY: the caller holds the block, by the header's contract.
        Ok(unsafe { heap.deallocate(block, layout) }?)
    };
    let done: Answer<()> = GLOBAL.heap().and_then(|heap| {
        // SAFETY: the heap stays.
        unsafe { heap.with(give) }?
    });
    if let Err(failure) = done {
        fatal(&failure);
    }
}

/// Gives all blocks of a pool of th_global_allocate's back. Nobody uses them any more. A pool without blocks is no
/// error, nor is a number that is none.
///
/// Ends the program if the heap is damaged.
#[unsafe(no_mangle)]
pub extern "C" fn th_global_deallocate_pool(pool: u64) {
    let tag = Tag::new(pool);
    let release = || -> Answer<()> {
        // SAFETY: nobody uses the pool's memory any more, by the header's contract.
        unsafe { GLOBAL.heap()?.release(tag) }?;
        Ok(())
    };
    match release() {
        Ok(())
        | Err(Failure::Said(Error::Misuse(Misuse::ReservedTag { .. }) | Error::OutOfMemory(_))) => {
        }
        Err(failure) => fatal(&failure),
    }
}

/// Takes the lock of the program's one heap ahead of a fork, as th_heap_before_fork does.
#[unsafe(no_mangle)]
pub extern "C" fn th_global_before_fork() -> th_status {
    let lock = || Ok(GLOBAL.heap()?.before_fork()?);
    answer::status(lock())
}

/// Gives it back: once in the parent, and once in the child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_global_after_fork() -> th_status {
    let unlock = || {
        // SAFETY: this thread took the lock and forked, by the header's contract.
        unsafe { GLOBAL.heap()?.after_fork() };
        Ok(())
    };
    answer::status(unlock())
}
