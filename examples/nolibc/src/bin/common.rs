#![no_std]
#![no_main]
//! x
#[path = "../bare.rs"]
mod bare;
fn main() -> u8 {
    0
}
