//! Traces of heap operations.
//!
//! A [`Trace`] is a list of operations. [`compare`] runs it on several [`Subject`]s side by side: the Rust heap,
//! its assembly twin, and a naive model without headers. All must answer the same, and their rows must
//! look the same. A [`Difference`] comes with pictures, and [`shorten`] finds a shorter trace that still
//! shows it. [`soak`] says how long to go on; [`Held`] is memory that nobody but its holder may touch.

mod checked_call;
mod compare;
mod generate;
mod ground;
mod heap;
mod held;
mod model;
mod op;
mod shorten;
mod soak;
mod subject;
mod twin;

pub use checked_call::checked_call;
pub use compare::{Comparison, Difference, compare};
pub use generate::{Generator, Mix};
pub use ground::{Granting, Ground};
pub use heap::HeapSubject;
pub use held::{Held, Hidden, is_hidden};
pub use model::Model;
pub use op::{Op, ParseError, Step, Trace};
pub use shorten::shorten;
pub use soak::soak;
pub use subject::{Piece, Subject};
pub use twin::{TwinBusy, TwinSubject};
