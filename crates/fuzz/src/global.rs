//! [`Global`] in up to four threads: contents, owners, and what is held by tag.
//!
//! There is one such heap in a process, and each input leaves it as it found it, but for what it learnt: inputs take turns.
//! Starting threads and handing work to them takes longer than all else, so this harness runs some hundred inputs a second,
//! the others a thousand or more, and its share of the tests is smaller. Threads work one after the other: what they do at
//! once is for `crates/interleave`.

#[path = "../../../tests/global/careless.rs"]
#[allow(unsafe_code, reason = "calls without their promises")]
#[expect(dead_code, reason = "tests have more to ask")]
mod careless;
mod misuse;
mod numbers;
mod program;
mod requests;
mod upkeep;
mod workers;

use std::sync::{Mutex, PoisonError};

use tagheap::Global;

use self::program::Program;
use crate::input::Input;

/// The program's heap. It is not its allocator: what harnesses need themselves is not counted.
pub(crate) static HEAP: Global = Global::new();

/// Whoever runs an input; numbers by tag are for one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Runs a program on the global heap.
///
/// # Panics
///
/// If the heap does not do what the model says.
pub fn global(data: &[u8]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut input = Input::new(data);
    Program::new(&mut input).run(&mut input);
}
