//! Calls a routine with junk in every free register, and looks at what it must leave alone.
//!
//! # Safety
//!
//! One call of a routine that follows the System V calling convention, on the caller's stack.

use std::arch::global_asm;

use tagheap::twin::Routine;

// th_trace_call(routine: rdi, words: rsi, saved: rdx) -> rax
//
// Calls the routine with three words, after it has put junk into the other caller-saved registers and
// known values into rbx, rbp and r12 to r15, with two canaries above the return address. Afterwards it
// stores what these registers and the canaries hold, and by how much rsp and the direction flag are off.
global_asm!(
    r#"
        .section .text.th_trace, "ax", @progbits
        .balign 16
        .globl  th_trace_call
        .hidden th_trace_call
        .type   th_trace_call, @function
th_trace_call:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rdx

        # Two canaries, and where the stack stands then, in memory that the routine does not know of.
        pushq   $0x5ca1ab1e
        pushq   $0x0ddba115
        movq    %rsp, 64(%rdx)

        # The words, and known values in the registers to be saved.
        movq    %rdi, %rax
        movq    (%rsi), %rdi
        movq    16(%rsi), %rcx
        movq    8(%rsi), %rsi
        movq    %rcx, %rdx
        movq    $0x1b0b, %rbx
        movq    $0x2b0b, %rbp
        movq    $0x3b0b, %r12
        movq    $0x4b0b, %r13
        movq    $0x5b0b, %r14
        movq    $0x6b0b, %r15

        # Junk in the others.
        movq    $-0x0123456789abcdf, %rcx
        movq    $-0x0223456789abcdf, %r8
        movq    $-0x0323456789abcdf, %r9
        movq    $-0x0423456789abcdf, %r10
        movq    $-0x0523456789abcdf, %r11
        pcmpeqd %xmm0, %xmm0
        movdqa  %xmm0, %xmm1
        movdqa  %xmm0, %xmm7
        movdqa  %xmm0, %xmm15
        call    *%rax

        # What is left of them: the saved words lie above the canaries, whatever rsp says.
        movq    16(%rsp), %rdx
        movq    %rbx, (%rdx)
        movq    %rbp, 8(%rdx)
        movq    %r12, 16(%rdx)
        movq    %r13, 24(%rdx)
        movq    %r14, 32(%rdx)
        movq    %r15, 40(%rdx)
        popq    48(%rdx)
        popq    56(%rdx)
        leaq    -16(%rsp), %rcx
        subq    %rcx, 64(%rdx)
        pushfq
        popq    %rcx
        andl    $0x400, %ecx
        movq    %rcx, 72(%rdx)
        cld

        popq    %rdx
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret
        .size   th_trace_call, . - th_trace_call
        .text
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    fn th_trace_call(routine: Routine, words: *const usize, saved: *mut usize) -> usize;
}

/// rbx, rbp, r12 to r15, the two canaries, the stack's shift, the direction flag.
const UNTOUCHED: [usize; 10] = [
    0x1b0b,
    0x2b0b,
    0x3b0b,
    0x4b0b,
    0x5b0b,
    0x6b0b,
    0x0ddb_a115,
    0x5ca1_ab1e,
    0,
    0,
];

/// Calls a routine of the twin.
///
/// # Panics
///
/// If the routine changed a register that it must save, the stack above it, or the direction flag.
///
/// # Safety
///
/// The routine is one of a twin that the caller has.
pub unsafe fn checked_call(routine: Routine, words: [usize; 3]) -> usize {
    let mut saved = [0; 10];
    // SAFETY: the routine takes at most three words; both arrays are as long as the assembly expects.
    let answer = unsafe { th_trace_call(routine, words.as_ptr(), saved.as_mut_ptr()) };
    assert_eq!(saved, UNTOUCHED, "registers that the routine must save");
    answer
}

#[cfg(test)]
mod tests {
    use std::arch::naked_asm;

    use super::*;

    #[unsafe(naked)]
    unsafe extern "C" fn sum(_: usize, _: usize, _: usize) -> usize {
        naked_asm!("lea rax, [rdi + rsi]", "add rax, rdx", "ret")
    }

    #[unsafe(naked)]
    unsafe extern "C" fn spoils_r12(_: usize, _: usize, _: usize) -> usize {
        naked_asm!("xor r12d, r12d", "ret")
    }

    #[unsafe(naked)]
    unsafe extern "C" fn spoils_the_stack(_: usize, _: usize, _: usize) -> usize {
        naked_asm!("mov qword ptr [rsp + 8], 0", "ret")
    }

    #[unsafe(naked)]
    unsafe extern "C" fn leaves_the_direction_set(_: usize, _: usize, _: usize) -> usize {
        naked_asm!("std", "ret")
    }

    #[test]
    fn words_and_answer_pass() {
        // SAFETY: it adds.
        let answer = unsafe { checked_call(sum, [1, 20, 300]) };
        assert_eq!(answer, 321);
    }

    #[test]
    fn what_must_be_saved_is_looked_at() {
        for routine in [spoils_r12, spoils_the_stack, leaves_the_direction_set] as [Routine; 3] {
            // SAFETY: what they spoil is restored.
            let call = || unsafe { checked_call(routine, [0; 3]) };
            std::panic::catch_unwind(call).unwrap_err();
        }
    }
}
