//! Ends at once.
#![no_std]
#![no_main]

use start_nolibc::exit;

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    exit(0)
}
