//! How a pool of some kind comes to stand in its heap.
//!
//! # Safety
//!
//! A pool is written behind its handle, in a block that is the library's own and large enough for both. The handle
//! is in the heap's registry from before the pool is made until it is gone: nobody else gets its tag.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use heap::{
    Buddy, Bump, Classes, Error, Fixed, FreeList, Level, LockFree, Locked, Misuse, Pool, Priority,
    SizeClasses, Split, Stack, Tag, Usage, WhenFull,
};

use crate::alarm::Watch;
use crate::answer::{self, Answer};
use crate::create::{TH_LOCKED, TH_PASS_THROUGH, refuse_flags};
use crate::handle::{self, OWN, refuse_owned, th_heap};
use crate::kinds::{TH_BORROW, TH_TIMED, th_class, th_pool_options};
use crate::moments::Words;
use crate::pooled::{Alone, Pooled, Special, th_pool};
use crate::sharing::Sharing;
use crate::status::th_status;
use crate::times::Clocked;

/// The heap as pools see it.
pub(crate) type Ours = &'static Sharing<Split>;

/// A handle and the pool behind it.
#[repr(C)]
struct Holder<P> {
    handle: th_pool,
    pooled: P,
}

impl Special for Pool<Ours> {}
impl Special for FreeList<Ours> {}
impl Special for Buddy<Ours> {}

impl Special for Fixed<Ours> {
    fn trim(&self) -> Answer<usize> {
        Ok(Fixed::trim(self)?)
    }
}

impl Special for SizeClasses<Ours> {
    fn trim(&self) -> Answer<usize> {
        Ok(SizeClasses::trim(self)?)
    }
}

impl Special for LockFree<Ours> {
    fn before_fork(&self) -> Result<(), Error> {
        Ok(LockFree::before_fork(self)?)
    }

    unsafe fn after_fork(&self) {
        // SAFETY: the caller's promise.
        unsafe { LockFree::after_fork(self) };
    }
}

impl Special for Bump<Ours> {
    fn mark(&self) -> Answer<Words> {
        Ok(Bump::mark(self).into())
    }

    unsafe fn rewind(&self, words: Words) -> Answer<()> {
        // SAFETY: the caller's promise.
        Ok(unsafe { self.rewind_shared(words.into()) }?)
    }
}

impl Special for Stack<Ours> {
    fn mark(&self) -> Answer<Words> {
        Ok(Stack::mark(self).into())
    }

    unsafe fn rewind(&self, words: Words) -> Answer<()> {
        // SAFETY: the caller's promise.
        Ok(unsafe { self.rewind_shared(words.into()) }?)
    }
}

impl<const N: usize> Special for Classes<Ours, N> {
    fn usage_of(&self, part: usize) -> Answer<Usage> {
        let usage = Classes::usage_of(self, part);
        usage.ok_or(th_status::TH_OUT_OF_RANGE.into())
    }
}

impl Special for Priority<Ours> {
    fn allocate_at(&self, level: usize, layout: Layout) -> Answer<NonNull<[u8]>> {
        let level = Level::ALL.get(level).ok_or(th_status::TH_OUT_OF_RANGE)?;
        Ok(Priority::allocate_at(self, *level, layout)?)
    }

    fn usage_of(&self, part: usize) -> Answer<Usage> {
        let level = Level::ALL.get(part).ok_or(th_status::TH_OUT_OF_RANGE)?;
        Ok(Priority::usage_of(self, *level))
    }
}

/// What a pool is made with, read from what C gave.
pub(crate) struct Request {
    pub(crate) tag: Tag,
    pub(crate) flags: u32,
    options: th_pool_options,
}

impl Request {
    /// # Safety
    ///
    /// The options are null or what the header says.
    unsafe fn new(tag: u64, options: *const th_pool_options) -> Self {
        let options = NonNull::new(options.cast_mut());
        // SAFETY: the caller's promise.
        let options = options.map_or(th_pool_options::default(), |it| unsafe { it.read() });
        Self {
            tag: Tag::new(tag),
            flags: options.flags,
            options,
        }
    }

    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn when_full(&self) -> WhenFull {
        if self.has(TH_BORROW) {
            WhenFull::Borrow
        } else {
            WhenFull::Refuse
        }
    }

    /// The pool that a kind is made from.
    fn pool(&self, handle: &'static th_pool) -> Pool<Ours> {
        let pool = Pool::new(&handle.heap.sharing, self.tag);
        let pool = pool.pass_through(self.has(TH_PASS_THROUGH));
        let pool = match self.options.bound {
            0 => pool,
            bytes => pool.bounded(bytes),
        };
        match handle.watch.bell() {
            None => pool,
            Some((percent, bell)) => pool.alarmed_by(percent, bell),
        }
    }

    /// Whom the pool is to call, and when.
    fn watch(&self) -> Answer<Watch> {
        let options = self.options;
        match u8::try_from(options.percent) {
            Ok(percent @ 0..=100) => Ok(Watch::new(options.alarm, options.context, percent)),
            _ => Err(th_status::TH_OUT_OF_RANGE.into()),
        }
    }

    pub(crate) fn classes<const N: usize>(
        &self,
        heap: &'static th_heap,
        classes: [th_class; N],
    ) -> Answer<NonNull<th_pool>> {
        let sizes = classes.map(<(usize, usize)>::from);
        self.make(heap, |pool| {
            Ok(Classes::new(pool, sizes, self.when_full())?)
        })
    }

    /// Makes a pool of a kind, with a lock if that was asked for.
    pub(crate) fn make<K: Special + 'static>(
        &self,
        heap: &'static th_heap,
        make: impl FnOnce(Pool<Ours>) -> Answer<K>,
    ) -> Answer<NonNull<th_pool>> {
        let known = TH_LOCKED | TH_PASS_THROUGH | TH_BORROW | TH_TIMED;
        refuse_flags(self.flags, known)?;
        if !self.has(TH_LOCKED) {
            return install(heap, self, |handle| Ok(Alone(make(self.pool(handle))?)));
        }
        if !heap.sharing.is_locked() {
            return Err(th_status::TH_NOT_LOCKED.into());
        }
        install(heap, self, |handle| {
            Ok(Locked::new(make(self.pool(handle))?))
        })
    }
}

/// Makes a pool as C asks for.
///
/// # Safety
///
/// The pointers are what the header says.
pub(crate) unsafe fn create(
    heap: *mut th_heap,
    asked: (u64, *const th_pool_options),
    why: *mut th_status,
    make: impl FnOnce(&'static th_heap, Request) -> Answer<NonNull<th_pool>>,
) -> *mut th_pool {
    // SAFETY: the caller's promise.
    let request = unsafe { Request::new(asked.0, asked.1) };
    // SAFETY: as above.
    let answer = unsafe { handle::on(heap, |heap| make(heap, request)) };
    // SAFETY: as above.
    unsafe { answer::pointer(answer, why) }
}

/// A timed pool: what takes its times lies behind it.
#[repr(C)]
struct TimedHolder<P> {
    holder: Holder<P>,
    clocked: Clocked,
}

/// The block of a pool, with what takes its times or without.
#[derive(Clone, Copy)]
struct Room {
    plain: Layout,
    timed: Layout,
    /// Where in the block it lies, if it does.
    clocked: usize,
}

impl Room {
    const fn of<P>() -> Self {
        Self {
            plain: Layout::new::<Holder<P>>(),
            timed: Layout::new::<TimedHolder<P>>(),
            clocked: core::mem::offset_of!(TimedHolder<P>, clocked),
        }
    }

    /// Has a pool's times taken, and answers both as one pool.
    ///
    /// # Safety
    ///
    /// The handle's block has a timed pool's layout, and the pool lies there, is made, and nobody else's from now on.
    #[inline(never)]
    unsafe fn clock(
        self,
        handle: NonNull<th_pool>,
        pool: NonNull<dyn Pooled>,
    ) -> NonNull<dyn Pooled> {
        let place = handle.map_addr(|at| at.saturating_add(self.clocked));
        // SAFETY: the caller's promise.
        let clocked = unsafe { Clocked::new(pool) };
        // SAFETY: behind the holder, in a block made for both, which nobody has used yet.
        unsafe { place.cast::<Clocked>().write(clocked) };
        place.cast::<Clocked>()
    }
}

/// Makes the tag a pool's own, then the pool, and puts it behind its handle.
fn install<P: Pooled + 'static>(
    heap: &'static th_heap,
    request: &Request,
    make: impl FnOnce(&'static th_pool) -> Answer<P>,
) -> Answer<NonNull<th_pool>> {
    let room = Room::of::<P>();
    let handle = claim(heap, request, room)?;
    // SAFETY: written by `claim`, only ever shared, and there until the pool is gone.
    let written = unsafe { handle.as_ref() };
    match make(written) {
        Ok(pooled) => {
            let offset = core::mem::offset_of!(Holder<P>, pooled);
            let place = handle.map_addr(|at| at.saturating_add(offset)).cast::<P>();
            // SAFETY: the holder's second field, in a block made for a holder, which nobody has used yet.
            unsafe { place.write(pooled) };
            let pooled = if request.has(TH_TIMED) {
                // SAFETY: `claim` made the block a timed pool's; this pool was just written there.
                unsafe { room.clock(handle, place) }
            } else {
                place
            };
            written.pooled.set(Some(pooled));
            written.begin();
            Ok(handle)
        }
        Err(failure) => {
            // SAFETY: nobody has seen it. If the heap is damaged, the block stays there.
            let _ = unsafe { remove(heap, handle) };
            Err(failure)
        }
    }
}

/// Takes a block for a pool with its handle, writes the handle, and makes the tag that pool's own.
///
/// One for all kinds: a copy for each would be most of the library.
#[inline(never)]
fn claim(heap: &'static th_heap, request: &Request, room: Room) -> Answer<NonNull<th_pool>> {
    let (tag, watch) = (request.tag, request.watch()?);
    let layout = if request.has(TH_TIMED) {
        room.timed
    } else {
        room.plain
    };
    heap.with(|inner, registry| {
        refuse_owned(registry, tag)?;
        if tag.is_reserved() {
            return Err(Misuse::ReservedTag { tag }.into());
        }
        if inner.stats_of(tag)?.blocks > 0 {
            return Err(Misuse::TagInUse { tag }.into());
        }
        let handle = inner.allocate(OWN, layout)?.cast::<th_pool>();
        let watch = watch.hung_at(handle.as_ptr());
        // SAFETY: the block is new, and a holder begins with its handle.
        unsafe { handle.write(th_pool::new(heap, tag, layout, watch)) };
        // SAFETY: it stays there until `remove`.
        unsafe { registry.add(handle) };
        Ok(handle)
    })
}

/// Takes a handle from its heap's registry, and gives its block back.
///
/// # Safety
///
/// Nobody uses the handle afterwards.
#[inline(never)]
pub(crate) unsafe fn remove(heap: &th_heap, pool: NonNull<th_pool>) -> Answer<()> {
    heap.with(|heap, registry| {
        registry.remove(pool);
        // SAFETY: the handle is there until its block is given back.
        let layout = unsafe { pool.as_ref() }.layout;
        // SAFETY: the library's own block, which nobody uses any more.
        Ok(unsafe { heap.deallocate(pool.cast(), layout) }?)
    })
}
