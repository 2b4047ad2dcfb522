//! Floor 7: one heap for a whole program, as its global allocator.
//!
//! # The theory
//!
//! A **small** request, of up to 8 KiB, gets a slot of a **span**: a block of the row, 64 KiB with the next
//! block's header, cut into slots of one class. What is known of spans stands in a table beside the row, and there, or
//! in an array beside it, a byte for each slot: whether it is free, held, or in use. A span belongs to a **stock**,
//! which is what one **thread** has under one tag, by class on **shelves**. The thread takes slots and gives them back
//! without a lock, and only it changes their bytes; others give back by setting a bit, which it collects. Every other
//! request gets a block of the heap's own, from the **centre**, behind a lock.
//!
//! The way of a small request: the thread's own ([`local`]) names its stock, and the class's shelf there has a
//! [`magazine`] of slots at hand, of which the top one is taken. What is given back is put on top again; that
//! the span, which the table names, is on that very shelf says at once whose it is, under which tag, and how large. Only
//! when a magazine is empty or full somebody looks at spans: it is filled from one or from what others gave back,
//! or emptied into those its slots are of, and a span that is empty goes.
//!
//! The shape follows mimalloc's pages (Leijen, Zorn, de Moura, "Mimalloc: Free List Sharding in Action", 2019)
//! with Bonwick's magazines in front, and with bytes beside the row in place of lists in free memory: so a slot given
//! back twice is always found, and nothing that is written into free memory is followed.
//!
//! # Safety
//!
//! The requests keep what [`GlobalAlloc`](core::alloc::GlobalAlloc) asks: memory handed out is nobody else's until
//! given back, as large and aligned as asked for, and stays where it is. Nothing unwinds.
#![allow(unsafe_code)]

mod arrays;
#[cfg(feature = "std")]
mod asked;
mod atomic;
mod by_address;
mod center;
mod changes;
mod classes;
mod exit;
mod face;
mod giver;
mod giving;
mod ground;
mod idle;
mod known;
mod leaving;
mod link;
mod local;
mod magazine;
mod numbers;
mod reclaim;
mod refusal;
mod requests;
mod scope;
mod shelf;
mod span;
mod spans;
mod states;
mod stock;
mod tags;
mod thread;
mod tidying;

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::words::error::{Error, Misuse};
use crate::words::stats::Amount;
use crate::words::tag::Tag;

pub use changes::HoldingChange;
pub use numbers::{Holding, Holdings};
pub use scope::{current_tag, replace_tag, scope, scope_async};

/// The tag of what is allocated outside any scope.
const UNTAGGED: Tag = Tag::named("untagged");

/// The program's heap as its global allocator: fast, shared by all threads, and counted by tag.
///
/// ```
/// use tagheap::{Global, Tag, scope};
///
/// #[global_allocator]
/// static HEAP: Global = Global::new();
///
/// const PARSER: Tag = Tag::named("parser");
///
/// let words = scope(PARSER, || vec![String::from("harbour"); 100]);
/// let held = HEAP.holding(PARSER)?;
/// assert_eq!(held.objects, 101);
/// println!("{}", HEAP.report());
/// drop(words);
/// assert_eq!(HEAP.holding(PARSER)?.objects, 0);
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// With feature `std`, `TAGHEAP_REPORT=1` in the environment prints that table to standard error at the end of
/// the program: what is still held then, and how much was at most. A path with a slash in it, in place of the 1, has each
/// process write it to the end of that file, under a line that names the program: for those that close standard error,
/// and those with children. Anything else but 0 and nothing is refused with a line. It has no effect in a program that has
/// more rights than its user.
///
/// There is one such heap in a program, whatever values of this type there are: each is a handle to it. It lies in
/// a reservation of 64 GiB of address space ([`Reserve`](crate::Reserve)), or over the program break where a
/// handle of [`over_break`](Global::over_break) made it.
///
/// # Cost
///
/// Up to 8 KiB a request takes some 20 instructions, its giving back some 35, no lock, and no header: a slot of the
/// request's class in a span of 64 KiB that the thread has under its tag. Classes are 16 bytes apart up to 128 bytes,
/// then eight to a doubling; what is known of a slot takes one to two bytes beside it. Whatever is larger, or aligned to
/// more than 8 KiB, is a block of the heap's own, some 100 ns behind a lock.
///
/// So a tag takes 64 KiB for each class that each thread uses under it, and in each thread some 4 KiB of books, and up to
/// 2 KiB more for each such class, which serve another tag once the thread has no span under this one. The books are
/// under `Tag::named("tagheap")`, which no report counts: [`holding`](Global::holding) tells. Besides, a thread keeps
/// slots at hand that were given back, for each class up to 128 or 64 KiB of them, whichever is less, and with them spans
/// in which nothing is in use. These go with the thread, with the tag, when somebody [trims](Global::trim), and before a
/// request of the thread's is refused: under a tag's limit those of the tag, else all. What other threads keep is theirs.
///
/// # Threads
///
/// Any thread gives back what any other allocated, and the one that allocated it finds that when it has no other slot of
/// the class, or trims; where one thread gives back much of what another allocates, it does so without an atomic
/// exchange, and its spans are looked at some at a time. What a thread leaves in use when it ends stays valid, and its
/// spans go to the next thread that comes. With feature `std` a thread's end is noticed at once, and forks are
/// prepared for; else see [`leave`](Global::leave) and [`before_fork`](Global::before_fork).
/// Threads have thread-local memory, as every libc gives them. In a program where none has, as in a static one
/// without libc, one may use the heap at a time: one that comes while another is in it, or a signal
/// handler, gets a block of the heap's own.
///
/// A thread may be cancelled, deferred as is the C library's default: nothing here is a point where it would be.
/// Cancelled asynchronously, or killed alone, in the middle of a request, it may leave what no other can use, or the
/// lock taken.
///
/// # Signals
///
/// A handler may allocate, give back, and use scopes, wherever it comes in. In the middle of a request of its thread's
/// it gets a block of the heap's own, and none while its thread has the lock; what is small it may give back even then.
/// All that needs the lock is [`Misuse::Reentered`] then: to give back a larger object by the global allocator, or a block
/// that a handler got for a small one, ends the program.
///
/// # Refusals
///
/// Where there is no memory for a request, or its tag's limit forbids it, the language's allocator is answered null, and
/// most programs end then with a line of std's that names neither. [`set_refusal_hook`](Global::set_refusal_hook) has a
/// function called with the error, which names the tag, what was asked for, and the limit with what the tag holds. With
/// feature `std`, `TAGHEAP_REPORT=1` prints it in a line where there is no hook. The functions that answer [`Error`]s tell
/// nobody else.
///
/// # Shared libraries
///
/// A shared library that has this crate inside has a heap of its own, beside the program's: what it allocates goes back
/// through it alone, and each heap's numbers are its own. When it is closed (`dlclose`) its heap's memory stays, for
/// somebody may hold some of it; loaded anew, it makes another. With feature `std`, threads that used it may live on,
/// and `TAGHEAP_REPORT=1` prints its table when it is closed.
/// So has each version of this crate, where a program has several: they share nothing.
///
/// # Misuse
///
/// Giving back twice, foreign and interior pointers, and layouts of another class end the program with one line on
/// standard error and an abort, before anything is changed; so does damage to the heap's headers. The functions that
/// answer [`Error`]s find the same and go on. Where the thread that allocated a slot and another give it back at the
/// same instant, that is found a little later, when the slots that others gave back are collected. Not found: what
/// is given back twice after its slot was given to somebody else in between.
#[derive(Debug)]
pub struct Global {
    over_break: bool,
    is_huge: bool,
}

impl Global {
    /// The tag of what is allocated outside any [`scope`].
    pub const UNTAGGED: Tag = UNTAGGED;

    /// A handle to the program's heap, which lies in a reservation if this one makes it.
    #[expect(
        clippy::new_without_default,
        reason = "a static cannot be made by a default"
    )]
    pub const fn new() -> Self {
        Self {
            over_break: false,
            is_huge: false,
        }
    }

    /// A handle to the program's heap, which lies over the program break if this one makes it: for programs
    /// without libc.
    ///
    /// # Safety
    ///
    /// As for [`Break::new`](crate::Break::new).
    pub const unsafe fn over_break() -> Self {
        Self {
            over_break: true,
            is_huge: false,
        }
    }

    /// A handle to the program's heap, whose reservation asks for huge pages if this one makes it: see
    /// [`Reserve::in_huge_pages`](crate::Reserve::in_huge_pages). For programs that hold much memory under few tags:
    /// spans of which little is in use are resident whole.
    ///
    /// ```
    /// use tagheap::Global;
    ///
    /// #[global_allocator]
    /// static HEAP: Global = Global::new().in_huge_pages();
    ///
    /// # let object = (&raw const *Box::new([0_u8; 64])).addr();
    /// # let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    /// # let mut lines = maps.lines().skip_while(|line| {
    /// #     let range = line.split(' ').next().and_then(|range| range.split_once('-'));
    /// #     let range = range.map(|(from, to)| [from, to].map(|end| usize::from_str_radix(end, 16)));
    /// #     !matches!(range, Some([Ok(from), Ok(to)]) if (from..to).contains(&object))
    /// # });
    /// # let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
    /// # let has_any = std::fs::exists("/sys/kernel/mm/transparent_hugepage").unwrap();
    /// # assert_eq!(flags.split(' ').any(|flag| flag == "hg"), has_any);
    /// ```
    #[must_use]
    pub const fn in_huge_pages(mut self) -> Self {
        self.is_huge = true;
        self
    }

    /// Says where the heap is to lie, ahead of what may make it. Not where it is there already: all threads would
    /// store to the same line.
    #[inline]
    fn prepare(&self) {
        if self.over_break {
            // SAFETY: promised when the handle was made.
            unsafe { center::own_break() };
        }
        if self.is_huge {
            center::prefer_huge_pages();
        }
    }

    /// Has a function called with each refusal of a request that came by the language's allocator, just before that is
    /// answered null; answers the one that was called until now. `None`: nobody is called.
    ///
    /// It is called in the thread whose request it is, outside the heap's lock, and may use the heap: print, look at
    /// [`holding`](Global::holding), raise a limit for the next request. What it allocates is [untagged](Global::UNTAGGED);
    /// if that is refused, too, nobody is told. It is called from a signal handler if the request is one's, and then, while
    /// its thread has the lock, the error is [`Misuse::Reentered`]: whatever needs the lock is refused there. If it
    /// panics, the program ends with a line that says so. Where requests may well be refused, as by `try_reserve`, it is
    /// called all the same.
    ///
    /// ```
    /// use tagheap::{Error, Global, Tag, scope};
    ///
    /// #[global_allocator]
    /// static HEAP: Global = Global::new();
    ///
    /// fn tell(error: &Error) {
    ///     eprintln!("{error}");
    /// }
    ///
    /// HEAP.set_refusal_hook(Some(tell));
    /// HEAP.set_limit(Tag::named("parser"), Some(1 << 20))?;
    /// // ... for tag parser: the tag's limit is 1048576 bytes, and it holds 0
    /// let refused = scope(Tag::named("parser"), || Vec::<u8>::new().try_reserve(2 << 20));
    /// assert!(refused.is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_refusal_hook(&self, hook: Option<fn(&Error)>) -> Option<fn(&Error)> {
        refusal::replace(hook)
    }

    /// Allocates so many bytes under the tag of the thread's scope. O(1) but for new spans, large requests, and where
    /// there is no memory at first.
    ///
    /// A layout of size 0 gets memory of its own too.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::OutOfMemory), [`Misuse::ReservedTag`], [`Misuse::Reentered`] for a large request
    /// from a signal handler that came into the heap, and [`Corruption`](crate::Corruption) if a header of the heap's is
    /// damaged.
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error> {
        let at = match requests::take(layout) {
            Some(at) => at,
            None => {
                self.prepare();
                requests::allocate(layout)?
            }
        };
        Ok(NonNull::slice_from_raw_parts(at, layout.size()))
    }

    /// Gives memory back. O(1), but for large memory as [`Heap::deallocate`](crate::Heap::deallocate).
    ///
    /// # Errors
    ///
    /// [`Misuse`], or [`Corruption`](crate::Corruption) if a header of the heap's is damaged.
    ///
    /// # Safety
    ///
    /// - The caller holds the memory, and nobody uses it afterwards.
    /// - Misuse is found as long as the address was not given to somebody else in between; then it is taken from
    ///   its new holder.
    #[inline]
    pub unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { giving::deallocate(ptr, layout) }
    }

    /// Makes memory larger: in place where its slot has the bytes, or a large block can grow; else elsewhere
    /// under the tag that it has, with its bytes copied.
    ///
    /// # Errors
    ///
    /// Those of [`allocate`](Global::allocate) and [`deallocate`](Global::deallocate), and [`Misuse::WrongWay`].
    ///
    /// # Safety
    ///
    /// The caller holds the memory, and nobody uses the old address afterwards unless it is the answer too.
    pub unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() < old.size() {
            return Err(wrong_way(old, new));
        }
        // SAFETY: the caller's promise.
        let at = unsafe { requests::resize(ptr, old, new)? };
        Ok(NonNull::slice_from_raw_parts(at, new.size()))
    }

    /// Makes memory smaller, as [`grow`](Global::grow) makes it larger.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() > old.size() {
            return Err(wrong_way(old, new));
        }
        // SAFETY: the caller's promise.
        let at = unsafe { requests::resize(ptr, old, new)? };
        Ok(NonNull::slice_from_raw_parts(at, new.size()))
    }

    /// Whose the memory at an address is. O(1).
    ///
    /// # Errors
    ///
    /// [`Misuse`] if none that somebody holds starts there, [`Corruption`](crate::Corruption) if its header is damaged.
    pub fn tag_of(&self, ptr: NonNull<u8>) -> Result<Tag, Error> {
        self.prepare();
        requests::tag_of(ptr)
    }

    /// Bytes that the memory at an address has: at least those asked for. O(1).
    ///
    /// # Errors
    ///
    /// [`Misuse`] if none that somebody holds starts there, [`Corruption`](crate::Corruption) if its header is damaged.
    pub fn usable_size(&self, ptr: NonNull<u8>) -> Result<usize, Error> {
        self.prepare();
        requests::usable_size(ptr)
    }

    /// Frees everything under a tag, in all threads, and answers how many blocks and bytes of the heap's they were.
    /// O(spans and large blocks of the tag, and threads), whatever the objects.
    ///
    /// # Errors
    ///
    /// [`Misuse::ReservedTag`] for a tag of the heap's own, [`Misuse::Reentered`] from a signal handler that came into the
    /// heap while its thread had the lock, [`Corruption`](crate::Corruption) if a header is damaged. Nothing is freed then.
    ///
    /// # Safety
    ///
    /// A scope says under which tag memory is allocated, but not who keeps it: values move out of it, and what is
    /// made inside it for the whole program, such as a thread's buffers or a lazily made static, is under its tag
    /// too. So it is for the caller to know that:
    ///
    /// - nobody uses what was allocated under the tag, not even to drop it;
    /// - no other thread allocates or gives back under the tag meanwhile.
    pub unsafe fn release(&self, tag: Tag) -> Result<Amount, Error> {
        if is_ours(tag) {
            return Err(Misuse::ReservedTag { tag }.into());
        }
        self.prepare();
        // Else a signal handler could get what is at hand of spans that are gone. Refused to one that came into an
        // operation, whose thread does not use the tag.
        let _inside = local::enter();
        // SAFETY: the caller's promise.
        center::with(|center| unsafe { center.release(tag) })?
    }

    /// Checks the heap's headers and books. O(blocks).
    ///
    /// # Errors
    ///
    /// The first [`Corruption`](crate::Corruption) found, and [`Misuse::Reentered`] from a signal handler that came into the
    /// heap while its thread had the lock.
    pub fn check(&self) -> Result<(), Error> {
        self.prepare();
        Ok(center::with(|center| center.heap.check())??)
    }
}

/// Whether a tag is the heap's own, or that of the books.
fn is_ours(tag: Tag) -> bool {
    tag.is_reserved() || tag == center::BOOKS
}

fn wrong_way(old: Layout, new: Layout) -> Error {
    let (old, new) = (old.size(), new.size());
    Misuse::WrongWay { old, new }.into()
}
