//! C++'s operators `new` and `delete`: else all that is made by `new` would be tagged by C++'s own library, which calls
//! `malloc` for it.
//!
//! Where there is no memory, the next operator of the name goes on, C++'s own: it calls the handler for that, and throws.
//! Nothing of ours is on the stack then.
//!
//! The names are mangled as the Itanium C++ ABI has it: `_Znwm` is `operator new(unsigned long)`.
//!
//! # Safety
//!
//! As for `malloc` and `free`, and the loader answers a function of the same name and type.

use core::ffi::{c_char, c_void};

use heap::fatal;

use crate::ALIGN;
use crate::entry::entries;
use crate::family::{free_from, take};
use crate::libraries::Caller;

/// Operators `new` of these names: what another function answers, or what the next of the name does with the same
/// arguments.
macro_rules! operators_new {
    ($($(#[$about:meta])* $name:ident => $to:path;)*) => {
        $(
            $(#[$about])*
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            #[allow(non_snake_case, reason = "its name in C++")]
            unsafe extern "C" fn $name() -> *mut c_void {
                core::arch::naked_asm!(
                    "mov rcx, qword ptr [rsp]",
                    "push rdi",
                    "push rsi",
                    "push rdx",
                    "call {to}",
                    "pop rdx",
                    "pop rsi",
                    "pop rdi",
                    "test rax, rax",
                    "jz 2f",
                    "ret",
                    "2:",
                    "push rdi",
                    "push rsi",
                    "push rdx",
                    "lea rdi, [rip + 3f]",
                    "call {next}",
                    "pop rdx",
                    "pop rsi",
                    "pop rdi",
                    "jmp rax",
                    ".pushsection .rodata",
                    concat!("3: .asciz \"", stringify!($name), "\""),
                    ".popsection",
                    to = sym $to,
                    next = sym next,
                )
            }
        )*
    };
}

operators_new! {
    /// `new`.
    _Znwm => new;
    /// `new[]`.
    _Znam => new;
    /// `new`, which does not throw.
    _ZnwmRKSt9nothrow_t => new;
    /// `new[]`, which does not throw.
    _ZnamRKSt9nothrow_t => new;
    /// `new` with an alignment.
    _ZnwmSt11align_val_t => new_aligned;
    /// `new[]` with an alignment.
    _ZnamSt11align_val_t => new_aligned;
    /// `new` with an alignment, which does not throw.
    _ZnwmSt11align_val_tRKSt9nothrow_t => new_aligned;
    /// `new[]` with an alignment, which does not throw.
    _ZnamSt11align_val_tRKSt9nothrow_t => new_aligned;
}

entries! {
    /// `delete`.
    _ZdlPv(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete[]`.
    _ZdaPv(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete`, for a `new` that does not throw.
    _ZdlPvRKSt9nothrow_t(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete[]`, for a `new[]` that does not throw.
    _ZdaPvRKSt9nothrow_t(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete` with a size.
    _ZdlPvm(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete[]` with a size.
    _ZdaPvm(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete` with an alignment.
    _ZdlPvSt11align_val_t(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete[]` with an alignment.
    _ZdaPvSt11align_val_t(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete` with an alignment, for a `new` that does not throw.
    _ZdlPvSt11align_val_tRKSt9nothrow_t(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete[]` with an alignment, for a `new[]` that does not throw.
    _ZdaPvSt11align_val_tRKSt9nothrow_t(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete` with a size and an alignment.
    _ZdlPvmSt11align_val_t(ptr: *mut c_void) -> (), "rsi" => free_from;
    /// `delete[]` with a size and an alignment.
    _ZdaPvmSt11align_val_t(ptr: *mut c_void) -> (), "rsi" => free_from;
}

extern "C" fn new(size: usize, _: usize, _: usize, caller: Caller) -> *mut c_void {
    take(size, ALIGN, caller)
}

extern "C" fn new_aligned(size: usize, align: usize, _: usize, caller: Caller) -> *mut c_void {
    take(size, align.max(ALIGN), caller)
}

/// The next operator of a name.
extern "C" fn next(name: *const c_char) -> *mut c_void {
    // SAFETY: as POSIX has it.
    let next = unsafe { libc::dlsym(libc::RTLD_NEXT, name) };
    if next.is_null() {
        fatal(&"out of memory, and C++'s own operator new, which throws, is not there");
    }
    next
}
