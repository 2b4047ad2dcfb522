//! A heap over each source, rule and placement.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tagheap_fuzz::heap(data));
