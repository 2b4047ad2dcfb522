//! The function that a call would have come to without this library.
//!
//! # Safety
//!
//! The functions of the C library are called as its manual has them.

use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

use heap::fatal;

use crate::libraries::Caller;

/// The next function of a name, which somebody calls; kept where the program has it, and so for good.
pub(crate) extern "C" fn next(
    name: *const c_char,
    caller: Caller,
    known: &AtomicPtr<c_void>,
) -> *mut c_void {
    // SAFETY: as POSIX has it.
    let next = unsafe { libc::dlsym(libc::RTLD_NEXT, name) };
    if !next.is_null() {
        known.store(next, Ordering::Relaxed);
        return next;
    }
    let next = among_libraries_of(caller, name);
    if next.is_null() {
        // SAFETY: a name that is written down here.
        let name = unsafe { CStr::from_ptr(name) };
        fatal(&format_args!(
            "no library has {}",
            name.to_str().unwrap_or("it")
        ));
    }
    next
}

/// What one calls that was opened by name comes with it: C++'s library, say, of which a program of C knows nothing.
fn among_libraries_of(caller: Caller, name: *const c_char) -> *mut c_void {
    let Some(loaded) = caller.loaded() else {
        return core::ptr::null_mut();
    };
    // SAFETY: as POSIX has it; the path is the loader's.
    let library = unsafe { libc::dlopen(loaded.path, libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    if library.is_null() {
        return core::ptr::null_mut();
    }
    // SAFETY: opened above.
    let found = unsafe { libc::dlsym(library, name) };
    // SAFETY: opened above. Whoever calls is in it, so it stays.
    unsafe { libc::dlclose(library) };
    found
}
