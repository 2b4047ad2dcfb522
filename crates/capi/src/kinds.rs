//! Pools of every kind, made on a heap.
//!
//! # Safety
//!
//! A pool is written behind its handle, in a block that is the library's own and large enough for both.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use heap::{Bump, Error, Kind, Misuse, Pool, Split, Tag};

use crate::answer::{self, Answer};
use crate::create::{TH_LOCKED, TH_PASS_THROUGH, refuse_flags};
use crate::handle::{self, OWN, refuse_owned, th_heap};
use crate::pool::{self, Pooled, th_pool};
use crate::sharing::Sharing;
use crate::status::th_status;

/// Settings of a pool. All zero is a pool without a bound, for one thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct th_pool_options {
    /// TH_LOCKED and TH_PASS_THROUGH, or 0.
    pub flags: u32,
    /// Bytes of payload that the pool may take from its heap; 0 for as many as it likes.
    pub bound: usize,
}

/// The heap as pools see it.
type Ours = &'static Sharing<Split>;

/// A handle and the pool behind it.
#[repr(C)]
struct Holder<P> {
    handle: th_pool,
    pooled: P,
}

/// A pool for one thread.
struct Alone<K>(K);

impl<K: Kind> Pooled for Alone<K> {
    fn kind(&self) -> &dyn Kind {
        &self.0
    }

    fn kind_mut(&mut self) -> &mut dyn Kind {
        &mut self.0
    }

    fn before_fork(&self) -> Result<(), Error> {
        Ok(())
    }

    unsafe fn after_fork(&self) {}
}

/// Makes a pool of a kind, for one thread or behind a lock.
///
/// # Safety
///
/// The pointers are what the header says.
unsafe fn create<K: Kind + 'static>(
    heap: *mut th_heap,
    tag: u64,
    options: *const th_pool_options,
    why: *mut th_status,
    make: impl FnOnce(Pool<Ours>) -> Answer<K>,
) -> *mut th_pool {
    let options = NonNull::new(options.cast_mut());
    // SAFETY: the caller's promise.
    let options = options.map_or(th_pool_options::default(), |it| unsafe { it.read() });
    let create = |heap: &'static th_heap| {
        refuse_flags(options.flags, TH_LOCKED | TH_PASS_THROUGH)?;
        let pool = Pool::new(&heap.sharing, Tag::new(tag));
        let pool = pool.pass_through(options.flags & TH_PASS_THROUGH != 0);
        let pool = match options.bound {
            0 => pool,
            bytes => pool.bounded(bytes),
        };
        if options.flags & TH_LOCKED == 0 {
            return install(heap, Tag::new(tag), || Ok(Alone(make(pool)?)));
        }
        Err(th_status::TH_BAD_FLAGS.into())
    };
    // SAFETY: the caller's promise.
    let answer = unsafe { handle::on(heap, create) };
    // SAFETY: as above.
    unsafe { answer::pointer(answer, why) }
}

/// Takes a block for a pool and its handle, makes the tag its own, and then the pool.
fn install<P: Pooled + 'static>(
    heap: &'static th_heap,
    tag: Tag,
    make: impl FnOnce() -> Answer<P>,
) -> Answer<NonNull<th_pool>> {
    let layout = Layout::new::<Holder<P>>();
    let holder: NonNull<Holder<P>> = heap.with(|inner, registry| {
        refuse_owned(registry, tag)?;
        if tag.is_reserved() {
            return Err(Misuse::ReservedTag { tag }.into());
        }
        if inner.stats_of(tag)?.blocks > 0 {
            return Err(Misuse::TagInUse { tag }.into());
        }
        let holder = inner.allocate(OWN, layout)?.cast::<Holder<P>>();
        let handle: NonNull<th_pool> = holder.cast();
        // SAFETY: the block is new and large enough, and the handle is the holder's first field.
        unsafe { handle.write(th_pool::new(heap, tag, layout)) };
        // SAFETY: it stays there until `pool::remove`.
        unsafe { registry.add(handle) };
        Ok(holder)
    })?;
    let handle: NonNull<th_pool> = holder.cast();
    match make() {
        Ok(pooled) => {
            let offset = core::mem::offset_of!(Holder<P>, pooled);
            let place = holder.map_addr(|at| at.saturating_add(offset)).cast::<P>();
            // SAFETY: the holder's second field, which nobody has used yet.
            unsafe { place.write(pooled) };
            // SAFETY: written above.
            let handle_ref = unsafe { handle.as_ref() };
            handle_ref.pooled.set(Some(place));
            handle_ref.begin();
            Ok(handle)
        }
        Err(failure) => {
            // SAFETY: nobody has seen it. If the heap is damaged, the block stays there.
            let _ = unsafe { pool::remove(heap, handle) };
            Err(failure)
        }
    }
}

/// A pool that is no more than a tag of its own: each piece is a block of the heap's, with a header of 32 bytes.
///
/// For all kinds of pools:
///
/// The pool takes its memory from `heap` under `tag`, which is its own as long as it lives: blocks under the tag
/// are neither handed out, given back, released nor retagged by the heap's own functions then, which answer
/// TH_TAG_IN_USE. `options` may be null. The heap is destroyed after its pools or with them. Without TH_LOCKED,
/// a pool is for one thread at a time.
///
/// Null on failure; `why`, unless it is null, gets the status: TH_NO_MEMORY and the like, TH_RESERVED_TAG,
/// TH_TAG_IN_USE if somebody holds blocks under the tag, TH_NOT_LOCKED, TH_BAD_FLAGS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_blocks(
    heap: *mut th_heap,
    tag: u64,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    // SAFETY: the header's contract.
    unsafe { create(heap, tag, options, why, Ok) }
}

/// A pool that only moves a cursor through chunks that double: an arena.
///
/// Pieces of any size and alignment, without headers. The last one can be given back and resized in place; what
/// others give back stays in use until a reset. A reset keeps the newest chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pool_bump(
    heap: *mut th_heap,
    tag: u64,
    options: *const th_pool_options,
    why: *mut th_status,
) -> *mut th_pool {
    // SAFETY: the header's contract.
    unsafe { create(heap, tag, options, why, |pool| Ok(Bump::new(pool))) }
}
