# The three routines by the names that they have in the assembly heap. A member of its own in libtagheap.a: whoever
# calls none of these names gets none of them, and libtagheap.so has none.

        .section .text.th_names, "ax", @progbits

        .globl  allocate
        .type   allocate, @function
allocate:
        jmp     th_global_allocate
        .size   allocate, . - allocate

        .globl  deallocate
        .type   deallocate, @function
deallocate:
        jmp     th_global_deallocate
        .size   deallocate, . - deallocate

        .globl  deallocate_pool
        .type   deallocate_pool, @function
deallocate_pool:
        jmp     th_global_deallocate_pool
        .size   deallocate_pool, . - deallocate_pool

        .section .note.GNU-stack, "", @progbits
