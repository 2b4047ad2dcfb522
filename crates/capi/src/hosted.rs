//! Whether the program has a libc, which nobody needs to say when the library is built: one library serves
//! programs with one and without.
//!
//! # Safety
//!
//! Two symbols of a libc's are referred to weakly, so that they are 0 where nobody defines them. One is only
//! looked at, the other called as every libc for Linux defines it.
#![allow(unsafe_code)]

use core::arch::asm;
use core::ffi::{c_int, c_void};
use core::ptr::NonNull;

/// Where a libc keeps a thread's `errno`.
type ErrnoLocation = extern "C" fn() -> *mut c_int;

/// Whether the program has a libc: every program that starts by one is linked with this routine.
pub(crate) fn is_hosted() -> bool {
    let start: usize;
    // SAFETY: reads an address that the linker wrote; 0 for a weak symbol that nobody defines.
    unsafe {
        asm!(".weak __libc_start_main", "mov {}, qword ptr [rip + __libc_start_main@GOTPCREL]",
             out(reg) start, options(nostack, preserves_flags, readonly, pure));
    }
    start != 0
}

/// Sets `errno`, where there is one.
pub(crate) fn set_errno(number: c_int) {
    let location: *const c_void;
    // SAFETY: as above.
    unsafe {
        asm!(".weak __errno_location", "mov {}, qword ptr [rip + __errno_location@GOTPCREL]",
             out(reg) location, options(nostack, preserves_flags, readonly, pure));
    }
    // SAFETY: a function of that type, or null, which is `None`.
    let location: Option<ErrnoLocation> = unsafe { core::mem::transmute(location) };
    if let Some(place) = location.and_then(|location| NonNull::new(location())) {
        // SAFETY: this thread's own, as POSIX has it.
        unsafe { place.write(number) };
    }
}
