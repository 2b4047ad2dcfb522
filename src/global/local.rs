//! What a thread has for itself: under which tag it allocates, and from which stock.
//!
//! Stable Rust has thread-locals only in std, so this one is made by the assembler: a variable of the thread-local
//! section, of which the linker and whoever starts threads give each thread its own, as the System V ABI for
//! x86-64 has it (Drepper, "ELF Handling For Thread-Local Storage", initial-exec model).
//!
//! A program that has no thread-local memory, as a static one without libc that has one thread, has one such
//! variable for all, which is used by one caller at a time.
//!
//! # Safety
//!
//! The address of the variable is asked for only where the thread is known to have such memory.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, compiler_fence};

use crate::global::known::Known;
use crate::global::link::Link;
use crate::global::stock::Stock;
use crate::global::thread::Thread;
use crate::sharing::thread;
use crate::words::error::Misuse;
use crate::words::tag::Tag;

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

/// Lends the variable its name, to which `_own` is added: the compiler gives each copy of this crate another. A program
/// may have several, of different versions.
static NAME: u8 = 0;

global_asm!(
    ".pushsection .tbss.{name}_own, \"awT\", @nobits",
    ".globl {name}_own",
    ".hidden {name}_own",
    ".type {name}_own, @object",
    ".size {name}_own, 64",
    ".balign 64",
    "{name}_own:",
    ".zero 64",
    ".popsection",
    name = sym NAME,
);

/// That of all threads where they have no memory of their own.
static COMMON: Local = Local {
    stock: Link::none(),
    thread: Link::none(),
    busy: AtomicBool::new(false),
    telling: AtomicBool::new(false),
    tag: AtomicU64::new(0),
    known: Known::nothing(),
};

/// The calling thread's own, by how far it lies from where the thread's memory is said to be.
///
/// What each request does there is one instruction, or two, by the segment of that memory. Good for as long as the
/// thread lives, and in that thread: nobody keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own(usize);

/// The calling thread's own, if it is known that threads have such a thing.
#[inline(always)]
pub(super) fn own() -> Option<Own> {
    if !thread::has_memory() {
        return None;
    }
    let offset: usize;
    // SAFETY: it only loads the offset of the place that the linker gave the variable in a thread's memory.
    unsafe {
        asm!("mov {0}, qword ptr [rip + {name}_own@GOTTPOFF]",
             out(reg) offset, name = sym NAME, options(pure, readonly, nostack, preserves_flags));
    }
    Some(Own(offset))
}

impl Own {
    #[inline(always)]
    pub(super) fn local<'a>(self) -> &'a Local {
        let at: *const Local;
        // SAFETY: the thread has thread-local memory, which starts with its own address.
        unsafe {
            asm!("add {0}, qword ptr fs:[0]",
                 inlateout(reg) self.0 => at, options(pure, readonly, nostack));
        }
        // SAFETY: zeroed before the thread began, and only seen as this type.
        unsafe { &*at }
    }

    /// As [`Local::begin`].
    #[inline(always)]
    pub(super) fn begin(self) -> bool {
        // SAFETY: the thread has thread-local memory, and this is its flag. Nothing is moved over it by the compiler:
        // it may change any memory.
        unsafe {
            asm!("cmp byte ptr fs:[{own} + {busy}], 0",
                 "jne {is_busy}",
                 "mov byte ptr fs:[{own} + {busy}], 1",
                 own = in(reg) self.0, busy = const offset_of!(Local, busy),
                 is_busy = label { return false }, options(nostack));
        }
        true
    }

    /// As [`Local::end`].
    #[inline(always)]
    pub(super) fn end(self) {
        // SAFETY: as for `begin`.
        unsafe {
            asm!("mov byte ptr fs:[{own} + {busy}], 0",
                 own = in(reg) self.0, busy = const offset_of!(Local, busy),
                 options(nostack, preserves_flags));
        }
    }

    /// The stock at hand, or null; in an operation.
    #[inline(always)]
    pub(super) fn stock(self) -> *const Stock {
        let stock;
        // SAFETY: the thread has thread-local memory, and this is its link.
        unsafe {
            asm!("mov {stock}, qword ptr fs:[{own} + {link}]",
                 stock = out(reg) stock, own = in(reg) self.0, link = const offset_of!(Local, stock),
                 options(readonly, nostack, preserves_flags));
        }
        stock
    }
}

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
