//! How heaps begin and end.
//!
//! # Safety
//!
//! A handle lies beside the heap's memory, where no user's pointer leads: in front of it in a buffer, in a
//! mapping of its own, or, as there is one break, in a static.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use heap::{Break, Buffer, Heap, OutOfMemory, Reserve, Shortage, Tag};
use rustix::mm::{MapFlags, ProtFlags};

use crate::answer::{self, Answer, given};
use crate::ground::Ground;
use crate::handle::{self, Home, th_heap};
use crate::hosted;
use crate::status::th_status;

/// A heap or pool that several threads use: every call has it for itself.
pub const TH_LOCKED: u32 = 1;

/// A pool with pooling switched off: each request is a block of the heap's own, so that whatever watches the
/// heap sees each piece. For hunting faults.
pub const TH_PASS_THROUGH: u32 = 2;

/// A heap over a reservation whose memory is to lie in pages of 2 MiB, where the kernel has them: faster for tens of
/// megabytes and more, but what lies unused between blocks is resident too.
pub const TH_HUGE_PAGES: u32 = 8;

/// The place of the one handle of a heap at the break.
struct Place(UnsafeCell<MaybeUninit<th_heap>>);

// SAFETY: `BREAK` says whose it is.
unsafe impl Sync for Place {}

static PLACE: Place = Place(UnsafeCell::new(MaybeUninit::uninit()));

/// Whether somebody in this library has the program break.
static BREAK: AtomicBool = AtomicBool::new(false);

pub(crate) fn refuse_flags(flags: u32, known: u32) -> Answer<()> {
    if flags & !known == 0 {
        Ok(())
    } else {
        Err(th_status::TH_BAD_FLAGS.into())
    }
}

/// A heap over a reservation of address space of its own, committed as the heap grows.
///
/// For every hosted program. `capacity` is the most that the heap can have, in bytes, rounded up to whole pages;
/// 0 for 64 GiB, or what the process may have of that. `flags` is 0 or some of
/// TH_LOCKED, without which the heap is for one thread at a time, and TH_HUGE_PAGES.
///
/// The heap is the caller's to destroy. Null on failure; `why`, unless it is null, gets the status: TH_NO_MEMORY,
/// TH_TOO_LARGE, TH_BAD_FLAGS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_heap_reserve(
    capacity: usize,
    flags: u32,
    why: *mut th_status,
) -> *mut th_heap {
    let create = || {
        refuse_flags(flags, TH_LOCKED | TH_HUGE_PAGES)?;
        let reserve = match capacity {
            0 => Reserve::new()?,
            bytes => Reserve::with_capacity(bytes)?,
        };
        let reserve = match flags & TH_HUGE_PAGES {
            0 => reserve,
            _ => reserve.in_huge_pages(),
        };
        let heap = Heap::new(Ground::Reserve(reserve))?;
        let bytes = size_of::<th_heap>();
        let place = map(bytes)?;
        let heap = th_heap::new(heap, flags & TH_LOCKED != 0, Home::Mapping(bytes));
        // SAFETY: a new mapping, large enough.
        unsafe { place.write(heap) };
        // SAFETY: written above.
        unsafe { place.as_ref() }.begin();
        Ok(place)
    };
    // SAFETY: the header's contract.
    unsafe { answer::pointer(create(), why) }
}

/// Memory for a handle.
fn map(bytes: usize) -> Answer<NonNull<th_heap>> {
    let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: a new mapping where the kernel likes touches nobody's memory.
    let place = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), bytes, access, flags) };
    let lacking = OutOfMemory {
        tag: Tag::HEAP,
        size: bytes,
        align: align_of::<th_heap>(),
        cause: Shortage::Refused,
    };
    let place = place.map_err(|_| lacking)?;
    Ok(NonNull::new(place.cast()).ok_or(lacking)?)
}

/// Bytes that a heap's handle takes from the buffer it is made in, besides what its alignment to 16 skips.
#[unsafe(no_mangle)]
pub extern "C" fn th_heap_size() -> usize {
    size_of::<th_heap>()
}

/// A heap in the caller's own bytes: first its handle, see th_heap_size, then its memory. Without TH_LOCKED, no
/// system call is made.
///
/// The bytes, whatever they hold, are the heap's until it is destroyed, and the caller's again then. Where 64 KiB
/// and more lie behind the handle, a twelfth of them and 4 KiB are the heap's indexes; smaller buffers have
/// none: a heap in one scans its blocks, and knows no limits, names or marks. `flags` is TH_LOCKED or 0.
///
/// Null on failure; `why`, unless it is null, gets the status: TH_NO_MEMORY if the bytes are too few, TH_NULL,
/// TH_BAD_FLAGS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_heap_in_buffer(
    bytes: *mut c_void,
    size: usize,
    flags: u32,
    why: *mut th_status,
) -> *mut th_heap {
    let create = || {
        let start: NonNull<u8> = given(bytes)?.cast();
        refuse_flags(flags, TH_LOCKED)?;
        let lacking = |cause| OutOfMemory {
            tag: Tag::HEAP,
            size: size_of::<th_heap>(),
            align: align_of::<th_heap>(),
            cause,
        };
        // No object is larger than this, nor reaches around the address space.
        if size > isize::MAX as usize || start.addr().get().checked_add(size).is_none() {
            return Err(lacking(Shortage::TooLarge).into());
        }
        let skip = start.align_offset(align_of::<th_heap>());
        let head = skip.saturating_add(size_of::<th_heap>());
        let rest = size.checked_sub(head).ok_or(lacking(Shortage::Refused))?;
        // SAFETY: `skip` is less than the caller's bytes are.
        let place = unsafe { start.add(skip) }.cast::<th_heap>();
        // SAFETY: as is `head`.
        let behind = unsafe { start.add(head) }.cast::<MaybeUninit<u8>>();
        // SAFETY: the rest of the caller's bytes, which are the heap's by the header's contract until it is
        // destroyed.
        let behind = unsafe { NonNull::slice_from_raw_parts(behind, rest).as_mut() };
        let heap = Heap::new(Ground::Buffer(Buffer::uninit(behind)))?;
        let heap = th_heap::new(heap, flags & TH_LOCKED != 0, Home::Buffer);
        // SAFETY: aligned, and within the caller's bytes.
        unsafe { place.write(heap) };
        // SAFETY: written above.
        unsafe { place.as_ref() }.begin();
        Ok(place)
    };
    // SAFETY: the header's contract.
    unsafe { answer::pointer(create(), why) }
}

/// The heap at the program break, of which a program has one at a time.
///
/// In a program without libc: from now on nobody else moves the break, by whatever system call, nor does a
/// child that shares this process's memory. In a program with a libc, which owns the break, it is
/// refused: TH_BREAK_OWNED. Of a library built with the feature `take-over`, it takes the break over from glibc
/// instead: glibc's malloc uses mappings from then on. That works before any thread is started only.
///
/// `flags` is TH_LOCKED or 0. Null on failure; `why`, unless it is null, gets the status: TH_BREAK_OWNED,
/// TH_NO_MEMORY, TH_BAD_FLAGS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_heap_at_break(flags: u32, why: *mut th_status) -> *mut th_heap {
    let create = || {
        refuse_flags(flags, TH_LOCKED)?;
        let heap = match Heap::new(Ground::Break(take_break()?)) {
            Ok(heap) => heap,
            Err(error) => {
                leave_break();
                return Err(error.into());
            }
        };
        let heap = th_heap::new(heap, flags & TH_LOCKED != 0, Home::Library);
        let place = NonNull::from(&PLACE.0).cast::<th_heap>();
        // SAFETY: whoever has the break has this place, and that is this call.
        unsafe { place.write(heap) };
        // SAFETY: written above.
        unsafe { place.as_ref() }.begin();
        Ok(place)
    };
    // SAFETY: the header's contract.
    unsafe { answer::pointer(create(), why) }
}

/// The program break, if it is to be had.
pub(crate) fn take_break() -> Answer<Break> {
    let owned = th_status::TH_BREAK_OWNED;
    if BREAK.swap(true, Ordering::AcqRel) {
        return Err(owned.into());
    }
    let taken = if hosted::is_hosted() {
        from_libc()
    } else {
        // SAFETY: nobody in this library has it, and there is no libc; the rest is the header's contract.
        Some(unsafe { Break::new() })
    };
    taken.ok_or_else(|| {
        leave_break();
        owned.into()
    })
}

fn leave_break() {
    BREAK.store(false, Ordering::Release);
}

#[cfg(feature = "take-over")]
fn from_libc() -> Option<Break> {
    /// Whether glibc has lost the break to us for good.
    static OURS: AtomicBool = AtomicBool::new(false);
    if OURS.load(Ordering::Acquire) {
        // SAFETY: glibc moves it no more, and nobody in this library has it.
        return Some(unsafe { Break::new() });
    }
    let taken = Break::take_over().ok()?;
    OURS.store(true, Ordering::Release);
    Some(taken)
}

#[cfg(not(feature = "take-over"))]
fn from_libc() -> Option<Break> {
    None
}

/// Ends a heap and all pools on it. Nobody uses its blocks any more, nor its handle. Null is no error.
///
/// A reservation goes back to the kernel, a buffer to the caller; at the break, what is behind the blocks goes
/// back, and the rest stays the process's. TH_REENTERED from inside a callback of this heap's or of a pool's on it,
/// TH_NOT_A_HANDLE for what is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_heap_destroy(heap: *mut th_heap) -> th_status {
    if heap.is_null() {
        return th_status::TH_OK;
    }
    // SAFETY: the header's contract.
    let opened = unsafe { handle::opened(heap) };
    let destroy = |handle: &th_heap| {
        handle.with(|heap, registry| {
            for pool in registry.pools() {
                pool.watch.refuse_ringing()?;
            }
            // In a buffer, the bytes of their handles may be there for longer than they.
            for pool in registry.pools() {
                pool.finish();
            }
            heap.trim();
            Ok(())
        })?;
        if handle.finish() {
            Ok(handle.home)
        } else {
            Err(th_status::TH_NOT_A_HANDLE.into())
        }
    };
    let home = match opened.and_then(destroy) {
        Ok(home) => home,
        Err(failure) => return failure.status(),
    };
    // SAFETY: written by whoever made it, and taken once, as its word says; its pools are not dropped, for
    // their memory goes.
    drop(unsafe { heap.read() });
    match home {
        Home::Library => leave_break(),
        Home::Buffer => {}
        Home::Mapping(bytes) => {
            // SAFETY: the handle's own mapping, which nobody uses any more.
            let unmapped = unsafe { rustix::mm::munmap(heap.cast(), bytes) };
            debug_assert!(unmapped.is_ok(), "our own mapping can be unmapped");
        }
    }
    th_status::TH_OK
}

/// Takes the heap's lock ahead of a fork, so that no other thread holds it in the child.
///
/// Call it before fork, and th_heap_after_fork behind it in the parent and in the child; pthread_atfork takes the
/// three. Pools' locks are taken before their heap's. TH_REENTERED if this thread has the lock already. Nothing
/// is done without TH_LOCKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_heap_before_fork(heap: *mut th_heap) -> th_status {
    // SAFETY: the header's contract.
    answer::status(unsafe { handle::on(heap, |heap| Ok(heap.sharing.before_fork()?)) })
}

/// Gives the lock back that th_heap_before_fork took: once in the parent, and once in the child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_heap_after_fork(heap: *mut th_heap) -> th_status {
    let unlock = |heap: &'static th_heap| {
        // SAFETY: this thread took the lock and forked, by the header's contract.
        unsafe { heap.sharing.after_fork() };
        Ok(())
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { handle::on(heap, unlock) })
}

/// Says that there is one thread in this program, first of all: locks take it for that and ask no kernel, so that a heap
/// or pool with TH_LOCKED in a buffer needs none. O(1).
///
/// Answers whether that is so from now on: false once a lock was used. If there are more threads after all, one that
/// would have to wait gets TH_REENTERED, and none enters while another is there.
#[unsafe(no_mangle)]
pub extern "C" fn th_assume_one_thread() -> bool {
    heap::assume_one_thread()
}
