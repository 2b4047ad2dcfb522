//! C++'s operators `new` and `delete`: else all that is made by `new` would be tagged by C++'s own library, which calls
//! `malloc` for it.
//!
//! Where there is no memory, the next operator of the name goes on, C++'s own: it calls the handler for that, and throws.
//! Nothing of ours is on the stack then.
//!
//! A program may have some operators of its own, and of the rest the standard says which of those they call: `new[]` calls
//! `new`, a sized `delete` the plain one. What they make is no memory of ours. So where an operator would call one of the
//! program's, C++'s own takes its place, which does.
//!
//! The names are mangled as the Itanium C++ ABI has it: `_Znwm` is `operator new(unsigned long)`.
//!
//! # Safety
//!
//! As for `malloc` and `free`, and the loader answers a function of the same name and type.

use core::ffi::c_void;

use crate::ALIGN;
use crate::entry::{goes_on_to_next, keeping_argument, keeping_arguments};
use crate::family::{free_from, take_for_operator};
use crate::libraries::Caller;
use crate::next::next;

/// Operators of these names, what others they would call, and the function that serves them, which gets the address of the
/// call behind the arguments, by instructions; if these go on, the next of the name does it with the same arguments.
macro_rules! operators {
    ($serve:expr; $($(#[$about:meta])* $name:ident($($other:ident)*) => $to:path;)*) => {
        $(
            $(#[$about])*
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            #[allow(non_snake_case, reason = "its name in C++")]
            #[allow(named_asm_labels, reason = "a naked function is there once, and so is its label")]
            unsafe extern "C" fn $name() -> *mut c_void {
                core::arch::naked_asm!(
                    // This one, whoever else has the name.
                    concat!(".globl tagheap", stringify!($name)),
                    concat!(".hidden tagheap", stringify!($name)),
                    concat!("tagheap", stringify!($name), ":"),
                    ".cfi_startproc",
                    $(
                        concat!("lea rax, [rip + tagheap", stringify!($other), "]"),
                        concat!("cmp rax, qword ptr [rip + ", stringify!($other), "@GOTPCREL]"),
                        "jne 2f",
                    )*
                    $serve,
                    "2:",
                    goes_on_to_next!(stringify!($name)),
                    ".cfi_endproc",
                    to = sym $to,
                    next = sym next,
                )
            }
        )*
    };
}

operators! {
    concat!(
        "mov rcx, qword ptr [rsp]\n",
        keeping_argument!("call {to}"),
        "test rax, rax\njz 2f\nret",
    );
    /// `new`.
    _Znwm() => new;
    /// `new[]`.
    _Znam(_Znwm) => new;
}

operators! {
    concat!(
        "mov rcx, qword ptr [rsp]\n",
        keeping_arguments!("call {to}"),
        "test rax, rax\njz 2f\nret",
    );
    /// `new`, which does not throw.
    _ZnwmRKSt9nothrow_t(_Znwm) => new;
    /// `new[]`, which does not throw.
    _ZnamRKSt9nothrow_t(_Znam _Znwm) => new;
    /// `new` with an alignment.
    _ZnwmSt11align_val_t() => new_aligned;
    /// `new[]` with an alignment.
    _ZnamSt11align_val_t(_ZnwmSt11align_val_t) => new_aligned;
    /// `new` with an alignment, which does not throw.
    _ZnwmSt11align_val_tRKSt9nothrow_t(_ZnwmSt11align_val_t) => new_aligned;
    /// `new[]` with an alignment, which does not throw.
    _ZnamSt11align_val_tRKSt9nothrow_t(_ZnamSt11align_val_t _ZnwmSt11align_val_t) => new_aligned;
}

operators! {
    "mov rsi, qword ptr [rsp]\njmp {to}";
    /// `delete`.
    _ZdlPv() => free_from;
    /// `delete[]`.
    _ZdaPv(_ZdlPv) => free_from;
    /// `delete`, for a `new` that does not throw.
    _ZdlPvRKSt9nothrow_t(_ZdlPv) => free_from;
    /// `delete[]`, for a `new[]` that does not throw.
    _ZdaPvRKSt9nothrow_t(_ZdaPv _ZdlPv) => free_from;
    /// `delete` with a size.
    _ZdlPvm(_ZdlPv) => free_from;
    /// `delete[]` with a size.
    _ZdaPvm(_ZdaPv _ZdlPv) => free_from;
    /// `delete` with an alignment.
    _ZdlPvSt11align_val_t() => free_from;
    /// `delete[]` with an alignment.
    _ZdaPvSt11align_val_t(_ZdlPvSt11align_val_t) => free_from;
    /// `delete` with an alignment, for a `new` that does not throw.
    _ZdlPvSt11align_val_tRKSt9nothrow_t(_ZdlPvSt11align_val_t) => free_from;
    /// `delete[]` with an alignment, for a `new[]` that does not throw.
    _ZdaPvSt11align_val_tRKSt9nothrow_t(_ZdaPvSt11align_val_t _ZdlPvSt11align_val_t) => free_from;
    /// `delete` with a size and an alignment.
    _ZdlPvmSt11align_val_t(_ZdlPvSt11align_val_t) => free_from;
    /// `delete[]` with a size and an alignment.
    _ZdaPvmSt11align_val_t(_ZdaPvSt11align_val_t _ZdlPvSt11align_val_t) => free_from;
}

extern "C" fn new(size: usize, _: usize, _: usize, caller: Caller) -> *mut c_void {
    take_for_operator(size, ALIGN, caller)
}

extern "C" fn new_aligned(size: usize, align: usize, _: usize, caller: Caller) -> *mut c_void {
    take_for_operator(size, align.max(ALIGN), caller)
}
