//! What a harness says it does, for whoever looks into an input that failed.

use std::sync::LazyLock;

static ASKED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("TAGHEAP_TELL").is_some());

/// Whether anybody wants to know.
pub(crate) fn is_asked() -> bool {
    *ASKED
}

/// Prints a line to standard error, if anybody wants to know.
macro_rules! tell {
    ($($told:tt)*) => {
        if $crate::tell::is_asked() {
            eprintln!($($told)*);
        }
    };
}
pub(crate) use tell;
