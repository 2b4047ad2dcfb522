//! What is done where there is no memory for a request: what the thread keeps at hand, and what gone threads left, is
//! given back, and the heap is asked once more.
//!
//! Only by a request that would be refused: else each one near a limit would empty all magazines for the next.

use crate::global::local;
use crate::global::thread;
use crate::words::error::{Error, OutOfMemory, Shortage};

/// Asks for memory, and once more where there was none but may be now. Nobody asks in the middle of an operation.
///
/// # Errors
///
/// Those of asking, and as for [`Stock::collect`](crate::global::stock::Stock::collect).
#[inline(always)]
pub(super) fn insist<T>(ask: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    match ask() {
        Err(Error::OutOfMemory(lacking)) if reclaim(&lacking)? => ask(),
        answer => answer,
    }
}

/// Gives back what may help a request for which there was no memory; whether it could be looked for.
///
/// # Errors
///
/// As for [`insist`].
#[cold]
#[inline(never)]
fn reclaim(lacking: &OutOfMemory) -> Result<bool, Error> {
    // Refused to a signal handler that came into an operation of the thread's: what it has may be halfway.
    let Ok(inside) = local::enter() else {
        return Ok(false);
    };
    if let Some(thread) = inside.local.thread.get() {
        match lacking.cause {
            // Others' memory is none of the tag's.
            Shortage::Limit { .. } => thread.trim_under(lacking.tag)?,
            _ => thread.trim()?,
        }
    }
    thread::tidy_left()?;
    Ok(true)
}
