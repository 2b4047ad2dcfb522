//! A tag owned on a shared heap, and single blocks under it.
//!
//! # Safety
//!
//! A pool owns its tag: when it takes its first block no other block is under it, so whatever a release of
//! the tag frees came from this pool, or was allocated under its tag by hand, without a promise. The release
//! is in the pool's drop and in its reset, when nobody borrows from it any more.
#![allow(unsafe_code)]

mod blocks;
mod chunks;

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::heap::{self, Heap};
use crate::pools::kind::{self, Kind};
use crate::pools::meter::{Counters, Meter, PERCENT, Watermark};
use crate::sharing::share::Share;
use crate::tags::ledger::AccountId;
use crate::words::error::{Corruption, Error, Shortage};
use crate::words::stats::Amount;
use crate::words::tag::Tag;
use crate::words::usage::{Alarm, Bell, Measure, Usage};

/// A tag owned on a shared heap.
///
/// By itself it is the plainest kind: every request is a block of the heap's own, of any layout, given back
/// singly. Every other kind is made from one, takes its chunks under its tag, and has its settings.
/// Dropping it releases the tag.
///
/// ```
/// use tagheap::{Heap, Kind, LocalHeap, Pool, Reserve, Tag, Typed};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let level = Pool::new(&heap, Tag::named("level"));
/// let numbers = level.alloc_slice_copy(&[1, 2, 3])?;
/// let name = level.own_str("harbour")?;
/// numbers[1] = 4;
/// assert_eq!((numbers[1], &*name), (4, "harbour"));
///
/// drop(name); // gives its block back
/// assert_eq!(level.usage()?.live(), 1);
/// drop(level); // releases the rest
/// assert_eq!(tagheap::Share::stats_of(&heap, Tag::named("level"))?.blocks, 0);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// No two pools own one tag at a time: where a pool holds nothing, be it new or has it given all back, and somebody else
/// holds blocks under its tag, its next request is [`Misuse::TagInUse`](crate::Misuse::TagInUse). If the heap is busy or
/// damaged when a pool is dropped, its blocks stay in the heap.
///
/// A pool holds its heap by a reference, such as one to a static (`LazyLock<SharedHeap<Reserve>>`), or by value, where
/// it is the only one on it: so it can stand in a struct. With feature `alloc`, several pools in one struct own their heap
/// together:
///
/// ```
/// use std::rc::Rc;
/// use tagheap::{Bump, Error, Heap, Kind, LocalHeap, Pool, Reserve, SizeClasses, Tag, Typed};
///
/// type Ours = Rc<LocalHeap<Reserve>>;
///
/// struct Parser {
///     tree: Bump<Ours>,
///     names: SizeClasses<Ours>,
/// }
///
/// let heap = Rc::new(LocalHeap::new(Heap::new(Reserve::new()?)?));
/// let mut parser = Parser {
///     tree: Bump::new(Pool::new(heap.clone(), Tag::named("tree"))),
///     names: SizeClasses::new(Pool::new(heap, Tag::named("names"))),
/// };
/// let name = parser.names.alloc_str("harbour")?;
/// parser.tree.alloc(name.len())?;
/// parser.tree.reset()?;
/// # Ok::<(), Error>(())
/// ```
///
/// The cost is the heap's: 32 bytes a request, rounded to 16, and O(log) of the heap's length.
#[derive(Debug)]
pub struct Pool<H: Share> {
    heap: H,
    tag: Tag,
    watermark: Watermark,
    passes: bool,
    /// Bytes of payload that the pool may hold.
    bound: usize,
    /// Blocks taken from the heap, in bytes of payload: pieces of its own, or chunks for a kind.
    counters: Counters,
    /// Bytes of payload in blocks that are pieces of its own; in chunks are the others that it holds.
    in_pieces: Cell<usize>,
    /// The tag's account, as far as it is known.
    account: Cell<AccountId>,
}

impl<H: Share> Pool<H> {
    /// A pool under `tag` on `heap`. Takes no memory yet.
    ///
    /// A tag of the heap's own is refused at the first request.
    pub fn new(heap: H, tag: Tag) -> Self {
        Self {
            heap,
            tag,
            watermark: Watermark::default(),
            passes: false,
            bound: usize::MAX,
            counters: Counters::default(),
            in_pieces: Cell::new(0),
            account: Cell::new(AccountId::NONE),
        }
    }

    /// The pool, with a bound: it holds so many bytes of payload at most, and a kind that grows so many in
    /// its chunks. What it holds already it keeps.
    #[must_use]
    pub fn bounded(mut self, bytes: usize) -> Self {
        self.bound = bytes;
        self
    }

    /// The pool, with somebody to call whenever 90 % of what it can have come into use.
    ///
    /// That is its bound, or the slots or bytes with which a kind was made; without a bound, what it has
    /// taken from the heap so far. Where each request is a block, in a `Pool` itself and with pooling switched off,
    /// nobody is called without a bound: all that was taken is in use.
    #[must_use]
    pub fn alarmed(self, call: Alarm) -> Self {
        self.alarmed_at(PERCENT, call)
    }

    /// As [`alarmed`](Pool::alarmed), at so many percent; more than 100 count as 100.
    #[must_use]
    pub fn alarmed_at(mut self, percent: u8, call: Alarm) -> Self {
        self.watermark = Watermark::calling(percent, call);
        self
    }

    /// As [`alarmed_at`](Pool::alarmed_at), with a bell, which says whose it is.
    #[must_use]
    pub fn alarmed_by(mut self, percent: u8, bell: &'static Bell) -> Self {
        self.watermark = Watermark::ringing(percent, bell);
        self
    }

    /// The pool, with pooling switched off or on: whichever kind is made from it, each request becomes a
    /// block of the heap's own, with a header, so that whatever watches the heap sees each object.
    ///
    /// Meant for hunting faults. Orders, slot counts and limits of a kind are not kept then.
    #[must_use]
    pub fn pass_through(mut self, passes: bool) -> Self {
        self.passes = passes;
        self
    }

    /// The tag that it owns.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// The heap on which it owns the tag.
    pub fn heap(&self) -> &H {
        &self.heap
    }

    /// The bytes that it may hold.
    pub(crate) fn bound(&self) -> Option<usize> {
        (self.bound != usize::MAX).then_some(self.bound)
    }

    /// Bytes that it holds.
    pub(crate) fn held(&self) -> usize {
        self.counters.used()
    }

    /// Bytes of these that a kind has in chunks.
    pub(crate) fn in_chunks(&self) -> usize {
        self.held().wrapping_sub(self.in_pieces.get())
    }

    /// Bytes that it may take besides.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.bound.saturating_sub(self.held())
    }

    /// Notes that a piece of its own has so many bytes instead of so many.
    #[inline]
    fn count_piece(&self, before: usize, after: usize) {
        let others = self.in_pieces.get().wrapping_sub(before);
        self.in_pieces.set(others.wrapping_add(after));
    }

    /// Whether pooling is switched off.
    #[inline]
    pub(crate) fn passes(&self) -> bool {
        self.passes
    }

    pub(crate) fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// A meter for a kind made from this pool.
    pub(crate) fn meter_of(&self, measure: Measure, total: usize) -> Meter {
        Meter::new(self.tag, measure, total, self.watermark)
    }

    /// The error for a request that this pool cannot serve.
    #[cold]
    pub(crate) fn refusal(&self, layout: Layout, cause: Shortage) -> Error {
        heap::out_of_memory(self.tag, layout, cause)
    }

    /// The error for notes found damaged at this address.
    #[cold]
    pub(crate) fn damage(&self, at: usize) -> Error {
        Corruption::Pool { tag: self.tag, at }.into()
    }

    /// Calls if the last request made what is held reach the watermark.
    fn ring(&self, before: usize) {
        if let Some(bound) = self.bound() {
            let mark = self.watermark.of(bound);
            if before < mark && self.held() >= mark {
                self.watermark.call(self.tag, &self.numbers());
            }
        }
    }

    fn numbers(&self) -> Usage {
        let total = self.bound().unwrap_or(self.held());
        self.counters.usage(Measure::Bytes, total)
    }

    /// Gives all blocks back.
    pub(crate) fn release(&mut self) -> Result<Amount, Error> {
        if self.counters.live() == 0 {
            return Ok(Amount::default());
        }
        // SAFETY: the pool is borrowed exclusively, so nobody borrows from it what its tag holds.
        let amount = unsafe { self.heap.release(self.tag) }?;
        self.counters.reset();
        self.in_pieces.set(0);
        Ok(amount)
    }
}

// SAFETY: a piece is a block of the heap's under a tag that is this pool's own; nobody else frees it, for
// whoever releases somebody's tag by hand promises that nobody uses it.
unsafe impl<H: Share> Kind for Pool<H> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        let block = self.take(layout, 0)?;
        let before = self.held();
        self.counters.take(layout.size());
        self.count_piece(0, layout.size());
        self.ring(before);
        Ok(block)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.put(ptr, layout) }?;
        self.counters.give(layout.size());
        self.count_piece(layout.size(), 0);
        Ok(())
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() < old.size() {
            return Err(kind::wrong_way(old, new));
        }
        // SAFETY: the caller's promise.
        unsafe { self.resize(ptr, old, new) }
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() > old.size() {
            return Err(kind::wrong_way(old, new));
        }
        // SAFETY: the caller's promise.
        unsafe { self.resize(ptr, old, new) }
    }

    /// Releases the tag: the pool keeps nothing.
    fn reset(&mut self) -> Result<(), Error> {
        self.release().map(drop)
    }

    /// Whether a block of this pool starts there. O(1).
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        let owner = self.heap.look(|heap| heap.tag_of(ptr))?;
        Ok(owner == Ok(self.tag))
    }

    /// Checks the headers of the heap's blocks up to the last of this pool's. O(blocks of the heap).
    fn check(&self) -> Result<(), Error> {
        let tag = self.tag;
        let mut blocks = 0;
        self.heap.look(|heap| {
            heap.blocks_of(tag)
                .try_for_each(|block| block.map(|_| blocks += 1))
        })??;
        if blocks < self.counters.live() {
            return Err(Corruption::Account { tag }.into());
        }
        Ok(())
    }

    fn usage(&self) -> Result<Usage, Error> {
        Ok(self.numbers())
    }
}

impl<H: Share> Drop for Pool<H> {
    fn drop(&mut self) {
        if self.counters.live() == 0 {
            return;
        }
        // Nobody can be told. What could not be released stays under the tag, where the table shows it.
        let release = |heap: &mut Heap<_, _, _>| {
            // SAFETY: nobody borrows from the pool any more.
            unsafe { heap.release_owned(self.tag, self.account.get()) }
        };
        // SAFETY: as above.
        let _ = unsafe { self.heap.with(release) };
    }
}
