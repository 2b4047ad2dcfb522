//! How long tests go on that find more the longer they run.

/// The seconds that each of them is to take, if `TAGHEAP_SOAK` in the environment says so.
pub fn soak() -> Option<u32> {
    std::env::var("TAGHEAP_SOAK").ok()?.parse().ok()
}
