//! Scopes of the program's own, which it enters and leaves by name: `include/tagheap_malloc.h`.
//!
//! A token says what its scope put out of force, so that leaving needs to know of no scope in between: those that a
//! `longjmp` has jumped out of end with the one around them. How deep a thread is tells tokens that are used up, as long as it
//! is in no other scope as deep.
//!
//! # Safety
//!
//! The address of the thread's own is asked of the loader's thread-local memory, which every thread of a program with a
//! libc has.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, compiler_fence};

use heap::{Global, Tag, current_tag, replace_tag};

use crate::status::Status;

/// The scopes that a thread is in. All-zero bytes are those of a thread that is in none.
#[derive(Debug)]
#[repr(C)]
struct Scopes {
    /// How many they are.
    depth: AtomicU32,
    /// The innermost has a tag: not that of what is outside any.
    has_tag: AtomicBool,
}

const _: () = assert!(size_of::<Scopes>() == 8 && align_of::<Scopes>() <= 8);

// Stable Rust has thread-locals in std alone; initial-exec model, as for the heap's own.
global_asm!(
    ".pushsection .tbss.tagheap_scopes, \"awT\", @nobits",
    ".globl tagheap_scopes",
    ".hidden tagheap_scopes",
    ".type tagheap_scopes, @object",
    ".size tagheap_scopes, 8",
    ".balign 8",
    "tagheap_scopes:",
    ".zero 8",
    ".popsection",
);

/// The calling thread's.
#[inline(always)]
fn own<'a>() -> &'a Scopes {
    let at: *const Scopes;
    // SAFETY: thread-local memory starts with its own address; the linker gave the variable its place in it.
    unsafe {
        asm!("mov {0}, qword ptr fs:[0]",
             "add {0}, qword ptr [rip + tagheap_scopes@GOTTPOFF]",
             out(reg) at, options(pure, readonly, nostack));
    }
    // SAFETY: zeroed before the thread began, and only seen as this type.
    unsafe { &*at }
}

/// Whether the innermost scope that the calling thread is in has a tag.
#[inline(always)]
pub(crate) fn have_tag() -> bool {
    own().has_tag.load(Ordering::Relaxed)
}

/// A scope that was entered, in the words of C.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Token {
    /// The number of the tag that it put out of force; 0 for none.
    outer: u64,
    /// Twice its depth, the outermost's being 1, and one more if it is in a scope with a tag. Zero is no scope's.
    level: u32,
    /// Whether it was entered.
    status: Status,
}

/// The deepest that is counted.
const DEEPEST: u32 = u32::MAX >> 1;

impl Scopes {
    /// Has the thread allocate under another tag; answers the number of the one before. A signal handler that comes in
    /// meanwhile is taken for one outside any scope, so `has_tag` is never said without one.
    fn replace(&self, tag: Option<Tag>, has_tag: bool) -> u64 {
        self.has_tag.store(false, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let before = replace_tag(tag);
        compiler_fence(Ordering::SeqCst);
        self.has_tag.store(has_tag, Ordering::Relaxed);
        before.map_or(0, Tag::number)
    }
}

/// Whether a tag is the heap's own: one of those that are reserved, or that of its books.
pub(crate) fn is_reserved(tag: Tag) -> bool {
    tag.is_reserved() || tag == Tag::named("tagheap")
}

/// Enters a scope.
#[unsafe(no_mangle)]
extern "C" fn tagheap_scope_enter(tag: u64) -> Token {
    let tag = Tag::new(tag);
    if is_reserved(tag) {
        return Token {
            outer: 0,
            level: 0,
            status: Status::RESERVED_TAG,
        };
    }
    let own = own();
    let was_in_one = own.has_tag.load(Ordering::Relaxed);
    // What is outside any is so within others, too.
    let tag = (tag != Global::UNTAGGED).then_some(tag);
    let outer = own.replace(tag, tag.is_some());
    let depth = own.depth.load(Ordering::Relaxed).min(DEEPEST - 1) + 1;
    own.depth.store(depth, Ordering::Relaxed);
    Token {
        outer,
        level: depth << 1 | u32::from(was_in_one),
        status: Status::OK,
    }
}

/// Leaves a scope, and those in it that were not left.
#[unsafe(no_mangle)]
extern "C" fn tagheap_scope_leave(token: Token) -> Status {
    if token.status != Status::OK {
        return token.status;
    }
    let own = own();
    let (depth, was_in_one) = (token.level >> 1, token.level & 1 == 1);
    if depth == 0 || depth > own.depth.load(Ordering::Relaxed) {
        return Status::OUT_OF_ORDER;
    }
    let outer = (token.outer != 0).then_some(Tag::new(token.outer));
    if outer.is_some_and(is_reserved) {
        return Status::RESERVED_TAG;
    }
    own.depth.store(depth - 1, Ordering::Relaxed);
    own.replace(outer, was_in_one);
    Status::OK
}

/// The tag of the innermost scope.
#[unsafe(no_mangle)]
extern "C" fn tagheap_scope_tag() -> u64 {
    let tag = match have_tag() {
        true => current_tag(),
        false => Global::UNTAGGED,
    };
    tag.number()
}
