//! The global heap, in up to four threads.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tagheap_fuzz::global(data));
