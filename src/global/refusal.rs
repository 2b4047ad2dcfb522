//! Who is told of a refusal that the language's allocator cannot say: it answers null, and most programs end there.
//!
//! # Safety
//!
//! The word that stands for a function is null, or was made from one of that type.
#![allow(unsafe_code)]

use core::fmt::Write;
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::global::{UNTAGGED, local, numbers, scope};
use crate::ground::fatal::{Lines, fatal};
use crate::words::error::{Error, Misuse};

/// What is called with a refusal.
pub(super) type Hook = fn(&Error);

/// The hook, or null.
static HOOK: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Whether refusals are printed where there is no hook.
static PRINTS: AtomicBool = AtomicBool::new(false);

/// Puts a hook in place of the one there was, and answers that.
pub(super) fn replace(hook: Option<Hook>) -> Option<Hook> {
    let word = hook.map_or(ptr::null_mut(), |hook| hook as *mut ());
    of(HOOK.swap(word, Ordering::AcqRel))
}

/// The hook that a word stands for.
fn of(word: *mut ()) -> Option<Hook> {
    // SAFETY: as wide as the word, of which null is none; any other was made from such a function.
    unsafe { mem::transmute::<*mut (), Option<Hook>>(word) }
}

/// From now on refusals are printed where there is no hook.
#[cfg(feature = "std")]
pub(super) fn print() {
    PRINTS.store(true, Ordering::Relaxed);
}

/// Whether an error says that there is no memory for a request. From a signal handler, with the lock taken, there is none.
pub(super) fn is_one(error: &Error) -> bool {
    matches!(
        error,
        Error::OutOfMemory(_) | Error::Misuse(Misuse::Reentered)
    )
}

/// Tells of a refused request, outside the heap's lock, unless this thread is telling of one already.
#[cold]
pub(super) fn tell(error: &Error) {
    let hook = of(HOOK.load(Ordering::Acquire));
    if hook.is_none() && !PRINTS.load(Ordering::Relaxed) {
        return;
    }
    let Some(_telling) = local::begin_telling() else {
        return;
    };
    match hook {
        Some(hook) => {
            let ends = EndsTheProgram;
            // Under the tag in force it would be refused as the request was.
            scope(UNTAGGED, || hook(error));
            mem::forget(ends);
        }
        None => print_line(error),
    }
}

/// Prints a refusal, and what its tag is called, if that is not to be seen from its number.
fn print_line(error: &Error) {
    let mut lines = Lines::new();
    let _ = write!(lines, "tagheap: {error}");
    if let Error::OutOfMemory(of) = error
        && let Ok(holding) = numbers::holding(of.tag)
        && let name = holding.held.name
        && !name.as_str().is_empty()
    {
        let _ = write!(lines, "; that tag's name is {}", name.as_str());
    }
    let _ = lines.write_str("\n");
}

/// Goes where the hook does not come back: no panic may leave a global allocator.
struct EndsTheProgram;

impl Drop for EndsTheProgram {
    fn drop(&mut self) {
        fatal(&"the hook for refused requests panicked");
    }
}
