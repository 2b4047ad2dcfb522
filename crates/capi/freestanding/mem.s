# memcpy, memmove, memset, memcmp and bcmp, for programs without libc: compilers call them by name, and so does
# libtagheap.a. Small and plain; the string instructions are fast on large blocks. The direction flag is clear on
# entry, as the ABI has it.

        .section .text.freestanding, "ax", @progbits

# memcpy(to: rdi, from: rsi, bytes: rdx) -> to

        .globl  memcpy
        .type   memcpy, @function
memcpy:
        movq    %rdi, %rax
        movq    %rdx, %rcx
        rep movsb
        ret
        .size   memcpy, . - memcpy

# memmove(to: rdi, from: rsi, bytes: rdx) -> to
#
# Forwards, unless the target begins within the source.

        .globl  memmove
        .type   memmove, @function
memmove:
        movq    %rdi, %rax
        subq    %rsi, %rax
        cmpq    %rdx, %rax
        jae     memcpy
        movq    %rdi, %rax
        movq    %rdx, %rcx
        leaq    -1(%rdi, %rdx), %rdi
        leaq    -1(%rsi, %rdx), %rsi
        std
        rep movsb
        cld
        ret
        .size   memmove, . - memmove

# memset(to: rdi, byte: esi, bytes: rdx) -> to

        .globl  memset
        .type   memset, @function
memset:
        movq    %rdi, %r8
        movl    %esi, %eax
        movq    %rdx, %rcx
        rep stosb
        movq    %r8, %rax
        ret
        .size   memset, . - memset

# memcmp(a: rdi, b: rsi, bytes: rdx) -> below, equal to or above 0
#
# Equal from the start where there is nothing to compare: repe leaves the flags alone then.

        .globl  memcmp, bcmp
        .type   memcmp, @function
        .type   bcmp, @function
memcmp:
bcmp:
        xorl    %eax, %eax
        movq    %rdx, %rcx
        cmpl    %eax, %eax
        repe cmpsb
        je      1f
        movzbl  -1(%rdi), %eax
        movzbl  -1(%rsi), %ecx
        subl    %ecx, %eax
1:      ret
        .size   memcmp, . - memcmp
        .size   bcmp, . - bcmp

        .section .note.GNU-stack, "", @progbits
