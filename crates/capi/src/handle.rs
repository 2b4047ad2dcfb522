//! What a `th_heap` is: a heap, the pools on it, and what last went wrong.
//!
//! # Safety
//!
//! Handles come back from C as pointers. A word in each says that it is one, so that null, a pointer to
//! something else, and a handle whose heap was destroyed while its memory is still there are found. That the
//! rest of it is as it was written is what the caller of C vouches for.
//!
//! The registry of pools lies beside the heap and is lent only together with it, to one caller at a time.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use heap::{Error, Heap, Misuse, Share, Split, Tag};

use crate::answer::{Answer, Failure, given};
use crate::ground::Ground;
use crate::latest::Latest;
use crate::registry::Registry;
use crate::sharing::Sharing;
use crate::status::th_status;

/// The tag of the library's own blocks: the handles of pools.
pub(crate) const OWN: Tag = Tag::new(TH_TAG_LIBRARY);

/// The tag of free blocks.
pub const TH_TAG_FREE: u64 = 0;

/// The tag of the heap's own blocks.
pub const TH_TAG_HEAP: u64 = 0xffff_ffff_ffff_ffff;

/// The tag of a block around memory of somebody else's who moved the program break.
pub const TH_TAG_FOREIGN: u64 = 0xffff_ffff_ffff_fffe;

/// The tag under which the library keeps the handles of pools. Refused in requests.
pub const TH_TAG_LIBRARY: u64 = 0xffff_ffff_ffff_ffef;

const _: () = assert!(TH_TAG_FREE == Tag::FREE.number() && TH_TAG_HEAP == Tag::HEAP.number());
const _: () = assert!(TH_TAG_FOREIGN == Tag::FOREIGN.number() && !OWN.is_reserved());

/// A heap of tagged blocks.
///
/// Made by th_heap_reserve, th_heap_in_buffer or th_heap_at_break, ended by th_heap_destroy.
pub struct th_heap {
    /// [`MARK`] and this place, as long as the heap lives.
    mark: AtomicU64,
    pub(crate) sharing: Sharing<Split>,
    registry: UnsafeCell<Registry>,
    last: Latest<Failure>,
    pub(crate) home: Home,
}

/// Where a handle's own bytes are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Home {
    /// In the library: there is one heap at the break.
    Library,
    /// In a mapping of so many bytes.
    Mapping(usize),
    /// In the buffer of which the heap has the rest.
    Buffer,
}

/// What is the same in every handle of a heap's.
const MARK: u64 = 0x7468_5f68_6561_7021;

impl fmt::Debug for th_heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("th_heap").finish_non_exhaustive()
    }
}

impl th_heap {
    pub(crate) fn new(heap: Heap<Ground>, locked: bool, home: Home) -> Self {
        Self {
            mark: AtomicU64::new(0),
            sharing: Sharing::new(heap, locked),
            registry: UnsafeCell::new(Registry::new()),
            last: Latest::new(),
            home,
        }
    }

    /// What the word says in a handle at this place.
    fn expected(&self) -> u64 {
        MARK ^ (&raw const *self).addr() as u64
    }

    /// Says that this is a handle, from where it stands on.
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

    /// Uses the heap and what is known of pools on it, alone.
    pub(crate) fn with<T>(
        &self,
        work: impl FnOnce(&mut Heap<Ground>, &mut Registry) -> Answer<T>,
    ) -> Answer<T> {
        let registry = self.registry.get();
        let both = |heap: &mut Heap<Ground>| {
            // SAFETY: made here only, while the heap is lent to this call alone.
            let registry = unsafe { &mut *registry };
            work(heap, registry)
        };
        // SAFETY: no work of this library's replaces the heap, and who frees blocks of a pool's is refused
        // before.
        unsafe { self.sharing.with(both) }?
    }

    /// As [`with`](th_heap::with), for those who only look.
    pub(crate) fn look<T>(&self, work: impl FnOnce(&Heap<Ground>) -> Answer<T>) -> Answer<T> {
        self.sharing.look(work)?
    }

    /// Notes what went wrong, for people to read.
    pub(crate) fn note<T>(&self, answer: Answer<T>) -> Answer<T> {
        answer.inspect_err(|failure| self.last.put(*failure))
    }

    /// What was noted last.
    pub(crate) fn last(&self) -> Option<Failure> {
        self.last.get()
    }
}

/// The heap whose handle C gave us.
///
/// # Safety
///
/// The pointer is null, or to a heap that is there until the call ends, or to readable memory.
pub(crate) unsafe fn opened(heap: *const th_heap) -> Answer<&'static th_heap> {
    let pointer = given(heap)?;
    if !pointer.is_aligned() {
        return Err(th_status::TH_NOT_A_HANDLE.into());
    }
    let mark: NonNull<u64> = field(pointer);
    // SAFETY: readable by the caller's promise, and aligned.
    let mark = unsafe { mark.cast::<AtomicU64>().as_ref() };
    if mark.load(Ordering::Acquire) != MARK ^ pointer.addr().get() as u64 {
        return Err(th_status::TH_NOT_A_HANDLE.into());
    }
    // SAFETY: the word says that this is a handle, which is only ever shared.
    Ok(unsafe { pointer.as_ref() })
}

/// The place of the word that says what it is.
fn field(heap: NonNull<th_heap>) -> NonNull<u64> {
    heap.map_addr(|at| at.saturating_add(core::mem::offset_of!(th_heap, mark)))
        .cast()
}

/// Does something with a heap, and notes if it fails.
///
/// # Safety
///
/// As for [`opened`].
pub(crate) unsafe fn on<T>(
    heap: *const th_heap,
    work: impl FnOnce(&'static th_heap) -> Answer<T>,
) -> Answer<T> {
    // SAFETY: the caller's promise.
    let heap = unsafe { opened(heap) }?;
    heap.note(work(heap))
}

/// Refuses the library's own tag, and one that a pool owns.
pub(crate) fn refuse_owned(registry: &Registry, tag: Tag) -> Result<(), Error> {
    if tag == OWN {
        return Err(Misuse::ReservedTag { tag }.into());
    }
    if registry.owns(tag) {
        return Err(Misuse::TagInUse { tag }.into());
    }
    Ok(())
}
