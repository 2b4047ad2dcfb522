//! The library's version.
//!
//! # Safety
//!
//! The one unsafe thing is a name that C can link to.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};

/// The version of this header: major, minor and patch level in a byte each.
pub const TH_VERSION: u32 = 0x00_01_00;

const _: () = assert!(TH_VERSION == packed(env!("CARGO_PKG_VERSION")));

/// The three numbers of a version, in a byte each.
const fn packed(version: &str) -> u32 {
    let (mut rest, mut packed, mut number) = (version.as_bytes(), 0, 0);
    while let [byte, behind @ ..] = rest {
        match byte {
            b'.' => (packed, number) = ((packed + number) << 8, 0),
            _ => number = number * 10 + (*byte - b'0') as u32,
        }
        rest = behind;
    }
    packed + number
}

/// The version of the library that the program runs with, as TH_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn th_version() -> u32 {
    TH_VERSION
}

/// The same as text, such as 0.1.0. The text is the library's and stays.
#[unsafe(no_mangle)]
pub extern "C" fn th_version_string() -> *const c_char {
    const TEXT: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(text) => text,
            Err(_) => c"",
        };
    TEXT.as_ptr()
}
