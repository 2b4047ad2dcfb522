//! Libraries that are opened to look for names in themselves first (`RTLD_DEEPBIND`), as PHP opens its own: they would find
//! the C library's `free` there, and give it what others have from this one. So nobody gets that.

use core::ffi::{c_char, c_int, c_void};

use crate::entry::goes_on_to_next;
use crate::next::next;

/// As the C library's, which looks at where the call comes from, and so comes in the place of this one.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn dlopen(path: *const c_char, how: c_int) -> *mut c_void {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "and esi, {others}",
        goes_on_to_next!("dlopen"),
        ".cfi_endproc",
        others = const !libc::RTLD_DEEPBIND,
        next = sym next,
    )
}
