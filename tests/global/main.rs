//! The global allocator: one heap for this whole program, in which the harness lives too.
//!
//! A test bears the letter and number of its row in the list of faults. Tests run side by side in the one heap:
//! each has tags of its own, and looks at their numbers only. What would disturb others, or ends the process, has
//! a process of its own ([`alone`](support::alone)).
//!
//! With `TAGHEAP_SOAK` in the environment the races of F01 and F03 and the forks of F06 take so many seconds each
//! (600 are the ten minutes of F01, and more than 10^4 forks), and A11 has 10^7 objects.
//!
//! Rows without a test here:
//!
//! - A06, A09, C04: a [`Layout`](core::alloc::Layout) cannot be made so, and null is C's.
//! - C02: a slot given back after somebody else got it is taken from its new holder: the documented gap.
//! - E01 to E06: a heap's headers are damaged in `tests/gauntlet`; spans have none.
//! - F02: a release while another thread gives back under the tag is what its caller promised not to do.
//! - F04: there is no list that others take from.
//! - F07, a thread cancelled asynchronously: not supported, see [`Global`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "../pools/battery.rs"]
#[expect(dead_code, reason = "pools have more to show")]
mod battery;
mod cancels;
mod careless;
mod ends;
mod fatal;
mod forks;
mod limits;
mod lives;
mod magazines;
mod misuse;
mod model;
mod races;
mod reclaim;
mod release;
mod report;
mod requests;
mod resize;
mod scopes;
mod signals;
mod small_stack;
#[path = "../pools/storm.rs"]
mod storm;
mod support;
mod whole;

use tagheap::Global;

#[global_allocator]
static HEAP: Global = Global::new();
