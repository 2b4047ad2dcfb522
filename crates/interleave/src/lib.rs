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

use std::env;
use std::process::Command;
use std::thread;

use sharing::atomic::Fault;

/// Runs a test under all interleavings in which a thread is pre-empted so often at most.
fn check(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = (preemptions > 0).then_some(preemptions);
    model.max_branches = 100_000;
    model.check(test);
}

/// In the environment of a process whose atomics are to be broken.
const BROKEN: &str = "TAGHEAP_BROKEN";

/// As [`check`], with broken atomics: the checker must find it, and say one of these things.
///
/// In a process of its own, for what a panic unwinds through in a model may panic again.
fn must_fail(fault: Fault, says: &[&str], test: impl Fn() + Sync + Send + 'static) {
    if env::var_os(BROKEN).is_some() {
        sharing::atomic::plant(fault);
        return check(3, test);
    }
    let name = thread::current().name().unwrap().to_owned();
    let output = Command::new(env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture", "--test-threads=1"])
        .env(BROKEN, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{fault:?} was not found:\n{said}");
    let found = says.iter().any(|words| said.contains(words));
    assert!(found, "{fault:?} was found by something else:\n{said}");
}
