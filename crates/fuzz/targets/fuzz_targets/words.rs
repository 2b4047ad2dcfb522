//! Pure values.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tagheap_fuzz::words(data));
