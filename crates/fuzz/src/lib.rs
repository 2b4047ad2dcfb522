//! Harnesses that take any bytes for a program, run it, and know what each step must answer.
//!
//! | harness | what runs | what is known beforehand |
//! |---|---|---|
//! | [`heap`](fn@heap) | a heap over each source, rule and placement | every answer, address and number |
//! | [`pools`](fn@pools) | two pools of a kind on one heap | numbers, contents, and of most kinds who is served and where |
//! | [`words`](fn@words) | pure values: images, names, traces, changes | what they say, from a plainer way to say it |
//! | [`global`](fn@global) | [`Global`](tagheap::Global) in up to four threads | contents, owners, and what is held by tag |
//!
//! Each returns if all was as it should be, and panics otherwise. The package's own tests run them on random bytes, of fixed
//! seeds, and on those in `inputs`, by folders of their names; `scripts/fuzz.sh` has libFuzzer look for others that reach
//! what none did before. With `TAGHEAP_TELL` in the environment each says on standard error what it does.
#![deny(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "harnesses: a panic says what was found"
)]

#[path = "../../../tests/gauntlet/careless.rs"]
#[allow(unsafe_code, reason = "calls without their promises")]
mod careless;
mod class;
mod global;
mod heap;
mod input;
mod memory;
mod piece;
#[path = "../../../tests/pools/pieces.rs"]
#[allow(unsafe_code, reason = "calls without their promises")]
#[expect(dead_code, reason = "tests have more to say")]
mod pieces;
mod pools;
mod sources;
mod tell;
mod words;

use global::HEAP;

pub use global::global;
pub use heap::heap;
pub use pools::pools;
pub use words::words;

/// A harness's name and the harness.
pub type Harness = (&'static str, fn(&[u8]));

/// All of them.
pub const HARNESSES: [Harness; 4] = [
    ("heap", heap),
    ("pools", pools),
    ("words", words),
    ("global", global),
];
