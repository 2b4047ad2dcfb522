//! What threads share, under every interleaving that a model checker finds.
//!
//! The files of `tagheap` in which threads meet without anybody between them, the lock, the lock-free stack, and those
//! of the global allocator by which one thread gives back what another handed out, are compiled here as they are, and so
//! is the word by which the C library keeps what went wrong last; what they take from `crate::sharing`, `crate::global` and
//! their parents is here the model checker's
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
    unreachable_pub,
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

mod latest;
mod pools;
mod sharing;

mod words;

#[path = "../../../src/ground"]
mod ground {
    pub(crate) mod prefetch;
}

#[path = "../../../src/global"]
mod global {
    // The library's.
    #[allow(unfulfilled_lint_expectations, reason = "allowed here at large")]
    mod classes;
    mod giver;
    mod giving;
    mod known;
    mod link;
    mod magazine;
    mod shelf;
    mod span;
    mod states;
    mod stock;
    mod thread;

    // What stands for the library's.
    #[path = "../../crates/interleave/src/global/arrays.rs"]
    mod arrays;
    #[path = "../../crates/interleave/src/global/atomic.rs"]
    pub(crate) mod atomic;
    #[path = "../../crates/interleave/src/global/center.rs"]
    mod center;
    #[path = "../../crates/interleave/src/global/local.rs"]
    mod local;
    #[path = "../../crates/interleave/src/global/memory.rs"]
    mod memory;
    #[path = "../../crates/interleave/src/global/spans.rs"]
    mod spans;

    #[path = "../../crates/interleave/src/global/checks.rs"]
    mod checks;
    #[path = "../../crates/interleave/src/global/faults.rs"]
    mod faults;
    #[path = "../../crates/interleave/src/global/world.rs"]
    mod world;

    const UNTAGGED: crate::words::tag::Tag = crate::words::tag::Tag::named("untagged");

    mod exit {
        pub(super) fn expect() {}
    }
}

mod mutex;

mod lock_checks;
mod stack_checks;

use std::env;
use std::process::Command;
use std::thread;

/// Runs a test under all interleavings in which a thread is pre-empted so often at most.
fn check(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = (preemptions > 0).then_some(preemptions);
    model.max_branches = 100_000;
    model.check(test);
}

/// In the environment of a process whose atomics are to be broken.
const BROKEN: &str = "TAGHEAP_BROKEN";

/// A way in which atomics are broken.
trait Fault: std::fmt::Debug {
    /// Breaks those of this thread so.
    fn plant(self);
}

/// As [`check`], with broken atomics: the checker must find it, and say one of these things.
///
/// In a process of its own, for what a panic unwinds through in a model may panic again.
fn must_fail(fault: impl Fault, says: &[&str], test: impl Fn() + Sync + Send + 'static) {
    must_fail_within(3, fault, says, test);
}

/// As [`must_fail`], where a thread is pre-empted so often at most.
fn must_fail_within(
    preemptions: usize,
    fault: impl Fault,
    says: &[&str],
    test: impl Fn() + Sync + Send + 'static,
) {
    if env::var_os(BROKEN).is_some() {
        fault.plant();
        return check(preemptions, test);
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
