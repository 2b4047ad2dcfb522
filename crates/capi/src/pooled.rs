//! What a `th_pool` is: a handle, and behind it a pool of some kind, with a lock or without.
//!
//! # Safety
//!
//! A word in a handle says that it is one, see `handle.rs`. The pool borrows its heap, which by the header's
//! contract is destroyed after it or with it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use heap::{Error, Kind, Locked, OutOfMemory, Shortage, Tag, Usage};

use crate::alarm::Watch;
use crate::answer::{Answer, given};
use crate::handle::th_heap;
use crate::moments::{self, Words};
use crate::status::th_status;
use crate::times::Times;

/// A pool: hands out pieces of the memory that it takes from a heap under a tag which is its own.
///
/// Made by th_pool_fixed and the like, ended by th_pool_destroy, or by th_heap_destroy with its heap.
pub struct th_pool {
    /// [`MARK`] and this place, as long as the pool lives.
    mark: AtomicU64,
    pub(crate) heap: &'static th_heap,
    tag: Tag,
    /// Of the block in which the handle and the pool lie.
    pub(crate) layout: Layout,
    pub(crate) watch: Watch,
    /// By which the pool knows moments of its own.
    pub(crate) serial: u64,
    /// The next in the heap's registry.
    pub(crate) next: Cell<Option<NonNull<th_pool>>>,
    /// The pool itself, once it is made.
    pub(crate) pooled: Cell<Option<NonNull<dyn Pooled>>>,
}

/// What some kinds of pools have besides what all have.
pub(crate) trait Special: Kind {
    /// A piece for a request of a level.
    fn allocate_at(&self, _level: usize, _layout: Layout) -> Answer<NonNull<[u8]>> {
        Err(th_status::TH_WRONG_KIND.into())
    }

    /// Numbers about a part of the pool.
    fn usage_of(&self, _part: usize) -> Answer<Usage> {
        Err(th_status::TH_WRONG_KIND.into())
    }

    /// This moment.
    fn mark(&self) -> Answer<Words> {
        Err(th_status::TH_WRONG_KIND.into())
    }

    /// Takes back what was handed out since a moment.
    ///
    /// # Safety
    ///
    /// The words are a mark of this pool's, and nobody uses what was handed out since.
    unsafe fn rewind(&self, _words: Words) -> Answer<()> {
        Err(th_status::TH_WRONG_KIND.into())
    }

    /// Gives what it has and nobody uses back to the heap, and answers how many bytes that was.
    fn trim(&self) -> Answer<usize> {
        Err(th_status::TH_WRONG_KIND.into())
    }

    /// Takes a lock that the kind has by itself ahead of a fork.
    fn before_fork(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Gives it back.
    ///
    /// # Safety
    ///
    /// This thread called `before_fork`, and forked since.
    unsafe fn after_fork(&self) {}
}

/// A pool of any kind, with a lock or without, timed or not.
pub(crate) trait Pooled {
    fn kind(&self) -> &dyn Kind;
    fn kind_mut(&mut self) -> &mut dyn Kind;

    /// As [`Special::allocate_at`].
    fn allocate_at(&self, level: usize, layout: Layout) -> Answer<NonNull<[u8]>>;

    /// As [`Special::usage_of`].
    fn usage_of(&self, part: usize) -> Answer<Usage>;

    /// As [`Special::mark`].
    fn mark(&self) -> Answer<Words>;

    /// As [`Special::rewind`].
    ///
    /// # Safety
    ///
    /// As there.
    unsafe fn rewind(&self, words: Words) -> Answer<()>;

    /// As [`Special::trim`].
    fn trim(&self) -> Answer<usize>;

    /// How long its operations take.
    fn times(&self) -> Answer<&Times> {
        Err(th_status::TH_WRONG_KIND.into())
    }

    /// Whether who comes back to it is told so.
    fn has_lock(&self) -> bool;

    /// Takes the lock ahead of a fork, if there is one.
    fn before_fork(&self) -> Result<(), Error>;

    /// Gives it back.
    ///
    /// # Safety
    ///
    /// This thread called `before_fork`, and forked since.
    unsafe fn after_fork(&self);
}

/// A pool that brings no lock: for one thread, or for many by itself.
pub(crate) struct Alone<K>(pub(crate) K);

impl<K: Special> Pooled for Alone<K> {
    fn kind(&self) -> &dyn Kind {
        &self.0
    }

    fn kind_mut(&mut self) -> &mut dyn Kind {
        &mut self.0
    }

    fn allocate_at(&self, level: usize, layout: Layout) -> Answer<NonNull<[u8]>> {
        self.0.allocate_at(level, layout)
    }

    fn usage_of(&self, part: usize) -> Answer<Usage> {
        self.0.usage_of(part)
    }

    fn mark(&self) -> Answer<Words> {
        self.0.mark()
    }

    unsafe fn rewind(&self, words: Words) -> Answer<()> {
        // SAFETY: the caller's promise.
        unsafe { self.0.rewind(words) }
    }

    fn trim(&self) -> Answer<usize> {
        self.0.trim()
    }

    fn has_lock(&self) -> bool {
        false
    }

    fn before_fork(&self) -> Result<(), Error> {
        self.0.before_fork()
    }

    unsafe fn after_fork(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.0.after_fork() };
    }
}

impl<K: Special> Pooled for Locked<K> {
    fn kind(&self) -> &dyn Kind {
        self
    }

    fn kind_mut(&mut self) -> &mut dyn Kind {
        self
    }

    fn allocate_at(&self, level: usize, layout: Layout) -> Answer<NonNull<[u8]>> {
        self.look(|kind| kind.allocate_at(level, layout))?
    }

    fn usage_of(&self, part: usize) -> Answer<Usage> {
        self.look(|kind| kind.usage_of(part))?
    }

    fn mark(&self) -> Answer<Words> {
        self.look(|kind| kind.mark())?
    }

    unsafe fn rewind(&self, words: Words) -> Answer<()> {
        // SAFETY: the caller's promise.
        self.look(|kind| unsafe { kind.rewind(words) })?
    }

    fn trim(&self) -> Answer<usize> {
        self.look(Special::trim)?
    }

    fn has_lock(&self) -> bool {
        true
    }

    fn before_fork(&self) -> Result<(), Error> {
        Ok(Locked::before_fork(self)?)
    }

    unsafe fn after_fork(&self) {
        // SAFETY: the caller's promise.
        unsafe { Locked::after_fork(self) };
    }
}

const MARK: u64 = 0x7468_5f70_6f6f_6c21;

impl fmt::Debug for th_pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("th_pool").finish_non_exhaustive()
    }
}

impl th_pool {
    pub(crate) fn new(heap: &'static th_heap, tag: Tag, layout: Layout, watch: Watch) -> Self {
        Self {
            mark: AtomicU64::new(0),
            heap,
            tag,
            layout,
            watch,
            serial: moments::serial(),
            next: Cell::new(None),
            pooled: Cell::new(None),
        }
    }

    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    fn expected(&self) -> u64 {
        MARK ^ (&raw const *self).addr() as u64
    }

    /// Says that this is a pool, which is made.
    pub(crate) fn begin(&self) {
        self.mark.store(self.expected(), Ordering::Release);
    }

    /// Says that it is none any more; whether it was one.
    pub(crate) fn finish(&self) -> bool {
        let expected = self.expected();
        let order = Ordering::AcqRel;
        let done = self
            .mark
            .compare_exchange(expected, 0, order, Ordering::Relaxed);
        done.is_ok()
    }

    pub(crate) fn pooled(&self) -> Answer<NonNull<dyn Pooled>> {
        self.pooled.get().ok_or(th_status::TH_NOT_A_HANDLE.into())
    }

    /// The pool, shared.
    pub(crate) fn shared(&self) -> Answer<&dyn Pooled> {
        let pooled = self.pooled()?;
        // SAFETY: made and not destroyed; who borrows it exclusively has no other caller, by the header's
        // contract for a reset.
        Ok(unsafe { pooled.as_ref() })
    }

    pub(crate) fn kind(&self) -> Answer<&dyn Kind> {
        Ok(self.shared()?.kind())
    }
}

/// Does something with a pool whose handle C gave us, and notes in its heap if that fails.
///
/// # Safety
///
/// The pointer is null, or to a pool that is there until the call ends, or to readable memory.
pub(crate) unsafe fn on<T>(
    pool: *const th_pool,
    work: impl FnOnce(&th_pool) -> Answer<T>,
) -> Answer<T> {
    let pointer = given(pool)?;
    if !pointer.is_aligned() {
        return Err(th_status::TH_NOT_A_HANDLE.into());
    }
    let offset = core::mem::offset_of!(th_pool, mark);
    let mark = pointer.map_addr(|at| at.saturating_add(offset));
    // SAFETY: readable by the caller's promise, and aligned.
    let mark = unsafe { mark.cast::<AtomicU64>().as_ref() };
    if mark.load(Ordering::Acquire) != MARK ^ pointer.addr().get() as u64 {
        return Err(th_status::TH_NOT_A_HANDLE.into());
    }
    // SAFETY: the word says that this is a handle, which is only ever shared.
    let pool = unsafe { pointer.as_ref() };
    pool.heap.note(work(pool))
}

/// The layout of a request under a tag.
pub(crate) fn layout(tag: Tag, size: usize, align: usize) -> Answer<Layout> {
    if !align.is_power_of_two() {
        return Err(th_status::TH_BAD_ALIGN.into());
    }
    Layout::from_size_align(size, align).map_err(|_| {
        let cause = Shortage::TooLarge;
        let lacking = OutOfMemory {
            tag,
            size,
            align,
            cause,
        };
        lacking.into()
    })
}
