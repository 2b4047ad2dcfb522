//! What a program without libc needs before it can do anything.
#![no_std]

use core::arch::{asm, global_asm};

// The kernel starts a program with the stack on a multiple of 16; a function expects it 8 below.
global_asm!(
    ".globl _start",
    ".type _start, @function",
    "_start:",
    "xorl %ebp, %ebp",
    "call main",
    "ud2",
    ".size _start, . - _start",
    options(att_syntax)
);

// Copies of variable length, which the compiler leaves to these.
global_asm!(
    ".globl memcpy",
    ".type memcpy, @function",
    "memcpy:",
    "movq %rdi, %rax",
    "movq %rdx, %rcx",
    "rep movsb",
    "ret",
    ".size memcpy, . - memcpy",
    ".globl memmove",
    ".type memmove, @function",
    "memmove:",
    "movq %rdi, %rax",
    "movq %rdx, %rcx",
    "movq %rdi, %r8",
    "subq %rsi, %r8",
    "cmpq %rdx, %r8",
    "jb 1f",
    "rep movsb",
    "ret",
    "1: leaq -1(%rdi, %rcx), %rdi",
    "leaq -1(%rsi, %rcx), %rsi",
    "std",
    "rep movsb",
    "cld",
    "ret",
    ".size memmove, . - memmove",
    ".globl memset",
    ".type memset, @function",
    "memset:",
    "movq %rdi, %r8",
    "movl %esi, %eax",
    "movq %rdx, %rcx",
    "rep stosb",
    "movq %r8, %rax",
    "ret",
    ".size memset, . - memset",
    ".globl memcmp",
    ".globl bcmp",
    ".type memcmp, @function",
    ".type bcmp, @function",
    "memcmp:",
    "bcmp:",
    "xorl %eax, %eax",
    "movq %rdx, %rcx",
    "cmpq %rcx, %rcx",
    "repe cmpsb",
    "je 1f",
    "movzbl -1(%rdi), %eax",
    "movzbl -1(%rsi), %ecx",
    "subl %ecx, %eax",
    "1: ret",
    ".size memcmp, . - memcmp",
    ".size bcmp, . - bcmp",
    options(att_syntax)
);

/// Ends the program.
pub fn exit(code: i32) -> ! {
    // SAFETY: `exit_group` does not return.
    unsafe {
        asm!("syscall", in("rax") 231, in("rdi") code, options(noreturn, nostack));
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(134)
}

// Nothing unwinds here, but the precompiled core names these two.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(134)
}
