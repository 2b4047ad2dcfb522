//! Two pools of a kind on one heap.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tagheap_fuzz::pools(data));
