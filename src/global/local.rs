//! What a thread has for itself: under which tag it allocates, and from which stock.
//!
//! A program that has no thread-local memory, as a static one without libc that has one thread, has one such
//! variable for all, which is used by one caller at a time.

#[cfg_attr(miri, path = "local/interpreted.rs")]
mod own;

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, compiler_fence};

use crate::global::known::Known;
use crate::global::link::Link;
use crate::global::stock::Stock;
use crate::global::thread::Thread;
use crate::sharing::thread;
use crate::words::error::Misuse;
use crate::words::tag::Tag;

pub(super) use self::own::{Own, own};

/// Stands for the tag 0, which is refused, where 0 stands for none: a number of the heap's own that has no use.
const ZERO: u64 = u64::MAX - 14;

/// A thread's own. All-zero bytes are that of a thread which did nothing yet.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Local {
    /// Where requests are served from; none until the first under this tag.
    pub(super) stock: Link<Stock>,
    /// None until the first request.
    pub(super) thread: Link<Thread>,
    /// An operation is under way, which a signal handler of this thread must not come into.
    busy: AtomicBool,
    /// Somebody is being told that a request of this thread's was refused.
    telling: AtomicBool,
    /// The number of the tag of the scope, or [`ZERO`] for 0; 0 outside any.
    tag: AtomicU64,
    /// What it knows of slots that it gives back to another thread.
    pub(super) known: Known,
}

const _: () = assert!(size_of::<Local>() == 64);

/// That of all threads where they have no memory of their own.
static COMMON: Local = Local::new();

/// The calling thread's own, or the one for all.
fn any<'a>() -> &'a Local {
    if !thread::has_memory() {
        thread::find_memory();
    }
    own().map_or(&COMMON, Own::local)
}

/// Comes into the heap with what the thread has for itself.
///
/// # Errors
///
/// [`Misuse::Reentered`] if this thread is in it already, or, where threads have no memory of their own, any
/// is.
#[inline]
pub(super) fn enter<'a>() -> Result<Inside<'a>, Misuse> {
    let local = any();
    let came = if ptr::eq(local, &raw const COMMON) {
        !local.busy.swap(true, Ordering::Acquire)
    } else {
        local.begin()
    };
    if came {
        Ok(Inside { local })
    } else {
        Err(Misuse::Reentered)
    }
}

/// The tag under which the calling thread allocates.
pub(super) fn tag_in_force() -> Tag {
    any().tag_in_force()
}

/// Makes the calling thread allocate under another tag, and answers the one before.
pub(super) fn change_tag(to: Option<Tag>) -> Option<Tag> {
    // Else a signal handler could come between finding a stock and having it at hand, and make it another tag's.
    let inside = enter();
    let local = any();
    let before = local.tag();
    let number = match to {
        None => 0,
        Some(Tag::FREE) => ZERO,
        Some(tag) => tag.number(),
    };
    local.tag.store(number, Ordering::Relaxed);
    let of = |thread: &'static Thread| thread.stock_of(to.unwrap_or(super::UNTAGGED));
    let found = match inside {
        Ok(_) => local.thread.get().and_then(of),
        // In an operation that may be about to make it another tag's: the next request looks for it.
        Err(_) => None,
    };
    local.stock.set(found);
    before
}

impl Local {
    const fn new() -> Self {
        Self {
            stock: Link::none(),
            thread: Link::none(),
            busy: AtomicBool::new(false),
            telling: AtomicBool::new(false),
            tag: AtomicU64::new(0),
            known: Known::nothing(),
        }
    }

    /// Says that an operation is under way, unless one is.
    #[inline(always)]
    pub(super) fn begin(&self) -> bool {
        if self.busy.load(Ordering::Relaxed) {
            return false;
        }
        self.busy.store(true, Ordering::Relaxed);
        // A signal handler must see it before anything that follows.
        compiler_fence(Ordering::SeqCst);
        true
    }

    /// Says that it is over.
    #[inline(always)]
    pub(super) fn end(&self) {
        compiler_fence(Ordering::SeqCst);
        self.busy.store(false, Ordering::Release);
    }

    fn tag(&self) -> Option<Tag> {
        match self.tag.load(Ordering::Relaxed) {
            0 => None,
            ZERO => Some(Tag::FREE),
            number => Some(Tag::new(number)),
        }
    }

    /// The tag under which it allocates.
    pub(super) fn tag_in_force(&self) -> Tag {
        self.tag().unwrap_or(super::UNTAGGED)
    }
}

/// Notes that a refusal is told, until the answer goes; `None` where one is being told by this thread, or, where
/// threads have no memory of their own, by any.
pub(super) fn begin_telling<'a>() -> Option<Telling<'a>> {
    let local = any();
    let told_already = local.telling.swap(true, Ordering::Acquire);
    (!told_already).then(|| Telling { local })
}

/// A refusal is told until this goes.
#[derive(Debug)]
pub(super) struct Telling<'a> {
    local: &'a Local,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.local.telling.store(false, Ordering::Release);
    }
}

/// The operation that is under way, until this goes.
#[derive(Debug)]
pub(super) struct Inside<'a> {
    pub(super) local: &'a Local,
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        self.local.end();
    }
}
