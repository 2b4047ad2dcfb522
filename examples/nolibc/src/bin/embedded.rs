//! Every kind of pool in one static buffer, in a program without libc: `examples/embedded.rs` as it is.
//!
//! Its lines go out by `write`. Nothing else asks the kernel.
//!
//! ```text
//! cargo run --release --manifest-path examples/nolibc/Cargo.toml --bin embedded
//! ```

#![no_std]
#![no_main]

#[path = "../bare.rs"]
mod bare;

use core::fmt::{self, Write};

use bare::{Output, die};

/// As std's: the example prints by it.
macro_rules! println {
    ($($arguments:tt)*) => { $crate::print(format_args!($($arguments)*)) };
}

#[path = "../../../embedded.rs"]
mod embedded;

/// The program proper; called by `_start`, answers the exit status.
fn main() -> u8 {
    match embedded::main() {
        Ok(()) => 0,
        Err(error) => die(&error),
    }
}

fn print(line: fmt::Arguments<'_>) {
    // As std does, for a line that cannot be written.
    if writeln!(Output::standard(), "{line}").is_err() {
        die(&"standard output is closed");
    }
}
