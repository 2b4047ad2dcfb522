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
//! - A06, A09: a [`Layout`](core::alloc::Layout) cannot be made so, and out parameters are C's.
//! - B01, B04 to B13: how the row and its source meet gaps, refusals, and what others do to the break is the heap's
//!   matter, whatever lies over it: `tests/gauntlet`, `tests/program_break`.
//! - B15, D08 to D11: pools, and destructors, which this heap calls none of: `tests/pools`, `tests/lifetimes`.
//! - C02: a slot given back after somebody else got it is taken from its new holder: the documented gap.
//! - C06: there are no segments, but one row; others' memory in it, which only a break can bring, is in
//!   `tests/gauntlet` and `tests/program_break`.
//! - C10: nobody names a tag when he gives back.
//! - D05: very many tags, and a pool's after its release by hand: `tests/gauntlet`, `tests/pools`.
//! - E01 to E03, E06, E08, E09: every damage to a heap's headers is done in `tests/gauntlet`, and here only enough to
//!   see the program end; spans have no headers.
//! - F02: a release while another thread gives back under the tag is what its caller promised not to do.
//! - F04: there is no list that others take from.
//! - F07, a thread cancelled asynchronously: not supported, see [`Global`].
//! - G02, G03, G04: how well first fit fits, and sizes beyond memory, are the heap's: `tests/gauntlet`. A soak here is
//!   F01's.
//! - G06: that zeroed memory shows nothing of others' is A08's test here, and in `tests/gauntlet` for each way it is had.
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
mod changes;
mod ends;
mod fatal;
mod forks;
mod held;
mod idle;
mod libraries;
mod limits;
mod lives;
mod magazines;
mod misuse;
mod model;
mod passed;
mod races;
mod reclaim;
mod refusals;
mod release;
mod report;
mod requests;
mod resize;
mod scopes;
mod signals;
mod small_stack;
mod steps;
#[path = "../pools/storm.rs"]
mod storm;
mod support;
mod whole;

use tagheap::Global;

#[global_allocator]
static HEAP: Global = Global::new();
