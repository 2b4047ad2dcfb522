//! What threads share, under every interleaving that a model checker finds.
//!
//! The two files of `tagheap` in which threads meet without anybody between them, the lock and the lock-free
//! stack, are compiled here as they are; what they take from `crate::sharing` is here the model checker's
//! ([loom], after Norris and Demsky, "CDSChecker", OOPSLA 2013), which runs a test once for each order of
//! reads and writes that the memory model allows.
//!
//! A check that cannot fail says nothing. So the atomics here can be told to be broken in one way, and for each
//! way there is a test in which the checker must find what comes of it.
//!
//! [loom]: https://docs.rs/loom
#![cfg(test)]
#![allow(
    unsafe_code,
    dead_code,
    reason = "files of a library, of which a part is used"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod pools;
mod sharing;

mod words {
    pub(crate) mod error {
        /// The one error of the lock.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Misuse {
            Reentered,
        }
    }
}

mod mutex;

mod lock_checks;
mod stack_checks;

use std::panic::{AssertUnwindSafe, catch_unwind};

use sharing::atomic::Fault;

/// Runs a test under all interleavings in which a thread is pre-empted so often at most.
fn check(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 100_000;
    model.check(test);
}

/// As [`check`], with broken atomics: the checker must find it.
fn must_fail(fault: Fault, preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    sharing::atomic::plant(Some(fault));
    let found = catch_unwind(AssertUnwindSafe(|| check(preemptions, test)));
    sharing::atomic::plant(None);
    assert!(found.is_err(), "{fault:?} was not found");
}
