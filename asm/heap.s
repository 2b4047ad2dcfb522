# The tagged heap in assembly: the twin against which the Rust heap is held, address by address.
#
# x86-64 Linux, AT&T syntax, System V calling convention. Assembles with plain as, too:
#
#     as -o heap.o asm/heap.s
#
# A heap is a row of blocks from th_twin_start to th_twin_end. A block is a header of 32 bytes, of which
# the first three words are used, and a payload:
#
#     0 in_use (0 or 1)    8 size (bytes, header included)    16 tag (0 while free)    24 not touched
#
# Every allocation takes the lowest free block that fits, found by a scan from the start. Two rules:
#
#     whole   a block is reused whole, nothing merges, the end never falls
#     split   the rest of a block is split off if it can be a block (48 bytes), free neighbours
#             coalesce, and what is free at the end belongs to the end again
#
# Memory comes from the routine whose address is in th_twin_break: called with an address it moves the
# break there and answers where it stands, called with 0 it only answers. It is the kernel's brk unless
# somebody stores another. The row asks for exactly what it needs. An answer that is not the address
# asked for is a refusal.
#
# What is not guaranteed: headers carry no check word, so a scribbled one is followed; deallocate under
# the whole rule, O(1) as in the heap this descends from, takes any aligned address in the row whose
# word at -32 is 1 for a block; nobody else may move the break; one thread at a time.

        # Where the words of a header stand; the Rust side sets these from its own header.
        .ifndef TH_SIZE
        .set    TH_IN_USE, 0
        .set    TH_SIZE, 8
        .set    TH_TAG, 16
        .endif

        .set    TH_HEADER, 32
        .set    TH_UNIT, 16
        .set    TH_SMALLEST, TH_HEADER + TH_UNIT

        # The answers of deallocate.
        .set    TH_DONE, 0
        .set    TH_NOT_A_BLOCK, 1
        .set    TH_DOUBLE_FREE, 2

        .section .data.th_twin, "aw", @progbits
        .balign 8

        .globl  th_twin_start
        .hidden th_twin_start
        .type   th_twin_start, @object
        .size   th_twin_start, 8
th_twin_start:                          # address of the first block, 0 before the first call
        .quad   0

        .globl  th_twin_end
        .hidden th_twin_end
        .type   th_twin_end, @object
        .size   th_twin_end, 8
th_twin_end:                            # address behind the last block
        .quad   0

        .globl  th_twin_limit
        .hidden th_twin_limit
        .type   th_twin_limit, @object
        .size   th_twin_limit, 8
th_twin_limit:                          # the break as last answered
        .quad   0

        .globl  th_twin_break
        .hidden th_twin_break
        .type   th_twin_break, @object
        .size   th_twin_break, 8
th_twin_break:                          # the routine that moves the break
        .quad   th_twin_kernel_break

        .section .text.th_twin, "ax", @progbits

# th_twin_kernel_break(to: rdi) -> rax
#
# The kernel's brk. Changes rax, rcx, r11.

        .balign 16
        .globl  th_twin_kernel_break
        .hidden th_twin_kernel_break
        .type   th_twin_kernel_break, @function
th_twin_kernel_break:
        movl    $12, %eax
        syscall
        ret
        .size   th_twin_kernel_break, . - th_twin_kernel_break

# th_twin_begin
#
# Before the first block: the row starts, empty, at the break, rounded up to a unit. Keeps rdi, rsi, rdx;
# changes the other caller-saved registers. Called with the stack on a multiple of 16.

        .balign 16
        .type   th_twin_begin, @function
th_twin_begin:
        # A row that has begun has a start.
        cmpq    $0, th_twin_start(%rip)
        jne     1f

        # Ask where the break stands; the arguments wait on the stack, which is aligned for the call.
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        xorl    %edi, %edi
        call    *th_twin_break(%rip)
        popq    %rdx
        popq    %rsi
        popq    %rdi

        # Start, end and limit are there, on a unit.
        addq    $TH_UNIT - 1, %rax
        andq    $-TH_UNIT, %rax
        movq    %rax, th_twin_start(%rip)
        movq    %rax, th_twin_end(%rip)
        movq    %rax, th_twin_limit(%rip)
1:      ret
        .size   th_twin_begin, . - th_twin_begin

# th_twin_request(tag: rdi, size: rsi, align: rdx) -> carry, rsi, rdx
#
# Checks a request and makes it one for a block: rsi becomes the bytes of the block, header included, rdx
# at least a unit. Carry is set if the tag is reserved (0, or one of the sixteen highest numbers) or no
# address space could hold the block. Changes rax.

        .balign 16
        .type   th_twin_request, @function
th_twin_request:
        # The tag less one is below the highest seventeen numbers.
        leaq    -1(%rdi), %rax
        cmpq    $-17, %rax
        jae     2f

        # The payload is whole units, and one at least; the block is a header more.
        testq   %rsi, %rsi
        jne     1f
        incq    %rsi
1:      addq    $TH_UNIT - 1, %rsi
        jc      2f
        andq    $-TH_UNIT, %rsi
        addq    $TH_HEADER, %rsi
        jc      2f
        js      2f

        # Every payload is aligned to a unit.
        cmpq    $TH_UNIT, %rdx
        jae     3f
        movl    $TH_UNIT, %edx
3:      clc
        ret
2:      stc
        ret
        .size   th_twin_request, . - th_twin_request

# th_twin_place(start: r8, align: rdx) -> carry, rcx
#
# Where the header of a block with that alignment stands at the earliest in memory from start on: at
# start, or so far behind it that the gap can be a block. Carry is set beyond the address space.
# Changes rax, r10.

        .balign 16
        .type   th_twin_place, @function
th_twin_place:
        # Nothing is left in front if the first payload is aligned.
        movq    %r8, %rcx
        leaq    TH_HEADER(%r8), %rax
        leaq    -1(%rdx), %r10
        testq   %r10, %rax
        je      1f

        # Else the gap is a block at least; round up behind it. The test left carry clear.
        addq    $TH_SMALLEST, %rax
        jc      1f
        addq    %r10, %rax
        jc      1f
        notq    %r10
        andq    %r10, %rax
        leaq    -TH_HEADER(%rax), %rcx
1:      ret
        .size   th_twin_place, . - th_twin_place

# th_twin_append(tag: rdi, wanted: rsi, align: rdx) -> rax
#
# A new block at the end of the row: its payload's address, or 0 if the break is refused. Entered by a
# jump from a routine that has nothing on the stack.

        .balign 16
        .type   th_twin_append, @function
th_twin_append:
        # The block stands at rcx, the row will end at rax.
        movq    th_twin_end(%rip), %r8
        call    th_twin_place
        jc      2f
        movq    %rcx, %rax
        addq    %rsi, %rax
        jc      2f

        # Within what was granted no call is needed.
        cmpq    th_twin_limit(%rip), %rax
        jbe     1f

        # Move the break; five words on the stack align it for the call.
        pushq   %rdi
        pushq   %rsi
        pushq   %rcx
        pushq   %r8
        pushq   %rax
        movq    %rax, %rdi
        call    *th_twin_break(%rip)
        movq    %rax, %r11
        popq    %rax
        popq    %r8
        popq    %rcx
        popq    %rsi
        popq    %rdi

        # Any other answer than the address asked for is a refusal, and nothing has changed.
        cmpq    %rax, %r11
        jne     2f
        movq    %rax, th_twin_limit(%rip)

        # The end follows. A gap in front of the block is a free block.
1:      movq    %rax, th_twin_end(%rip)
        movq    %rcx, %rax
        subq    %r8, %rax
        je      3f
        movq    $0, TH_IN_USE(%r8)
        movq    %rax, TH_SIZE(%r8)
        movq    $0, TH_TAG(%r8)

        # The block itself.
3:      movq    $1, TH_IN_USE(%rcx)
        movq    %rsi, TH_SIZE(%rcx)
        movq    %rdi, TH_TAG(%rcx)
        leaq    TH_HEADER(%rcx), %rax
        ret
2:      xorl    %eax, %eax
        ret
        .size   th_twin_append, . - th_twin_append

# th_twin_whole_allocate(tag: rdi, size: rsi, align: rdx) -> rax
#
# Bytes of payload under a tag, aligned to a power of two: their address, or 0. The lowest free block
# that is large enough and whose payload is aligned is taken as it is.

        .balign 16
        .globl  th_twin_whole_allocate
        .hidden th_twin_whole_allocate
        .type   th_twin_whole_allocate, @function
th_twin_whole_allocate:
        subq    $8, %rsp
        call    th_twin_begin
        addq    $8, %rsp
        call    th_twin_request
        jc      4f

        # Scan from the start: r8 is the block, r9 the end, r11 the block's size.
        movq    th_twin_start(%rip), %r8
        movq    th_twin_end(%rip), %r9
        jmp     2f
1:      addq    %r11, %r8
2:      cmpq    %r9, %r8
        jae     th_twin_append
        movq    TH_SIZE(%r8), %r11
        cmpq    $0, TH_IN_USE(%r8)
        jne     1b
        cmpq    %rsi, %r11
        jb      1b
        leaq    TH_HEADER(%r8), %rax
        leaq    -1(%rdx), %r10
        testq   %r10, %rax
        jne     1b

        # Take it; its size stays.
        movq    $1, TH_IN_USE(%r8)
        movq    %rdi, TH_TAG(%r8)
        ret
4:      xorl    %eax, %eax
        ret
        .size   th_twin_whole_allocate, . - th_twin_whole_allocate

# th_twin_whole_deallocate(payload: rdi) -> rax
#
# Frees a block: 0 if it did, 1 if no block can be there, 2 if it is free already. Address 0 is no error.

        .balign 16
        .globl  th_twin_whole_deallocate
        .hidden th_twin_whole_deallocate
        .type   th_twin_whole_deallocate, @function
th_twin_whole_deallocate:
        testq   %rdi, %rdi
        je      2f

        # The header lies in the row, on a unit.
        subq    $TH_HEADER, %rdi
        jc      3f
        testq   $TH_UNIT - 1, %rdi
        jne     3f
        cmpq    th_twin_start(%rip), %rdi
        jb      3f
        cmpq    th_twin_end(%rip), %rdi
        jae     3f

        # It says that the block is in use.
        movq    TH_IN_USE(%rdi), %rax
        testq   %rax, %rax
        je      4f
        cmpq    $1, %rax
        jne     3f

        # Now it is not.
        movq    $0, TH_IN_USE(%rdi)
        movq    $0, TH_TAG(%rdi)
2:      movl    $TH_DONE, %eax
        ret
3:      movl    $TH_NOT_A_BLOCK, %eax
        ret
4:      movl    $TH_DOUBLE_FREE, %eax
        ret
        .size   th_twin_whole_deallocate, . - th_twin_whole_deallocate

# th_twin_whole_release(tag: rdi) -> rax
#
# Frees every block under a tag, by a walk over all blocks: how many they were, or -1 for a reserved tag.

        .balign 16
        .globl  th_twin_whole_release
        .hidden th_twin_whole_release
        .type   th_twin_whole_release, @function
th_twin_whole_release:
        leaq    -1(%rdi), %rax
        cmpq    $-17, %rax
        jae     4f

        # Walk: r8 is the block, r9 the end, rax counts. No free block has this tag.
        movq    th_twin_start(%rip), %r8
        movq    th_twin_end(%rip), %r9
        xorl    %eax, %eax
        jmp     2f
1:      addq    TH_SIZE(%r8), %r8
2:      cmpq    %r9, %r8
        jae     3f
        cmpq    %rdi, TH_TAG(%r8)
        jne     1b
        movq    $0, TH_IN_USE(%r8)
        movq    $0, TH_TAG(%r8)
        incq    %rax
        jmp     1b
3:      ret
4:      movq    $-1, %rax
        ret
        .size   th_twin_whole_release, . - th_twin_whole_release

# th_twin_split_allocate(tag: rdi, size: rsi, align: rdx) -> rax
#
# Bytes of payload under a tag, aligned to a power of two: their address, or 0. The lowest free block into
# which they fit is split: what the alignment leaves in front of them is a free block, and what is left
# behind them is one if it can be.

        .balign 16
        .globl  th_twin_split_allocate
        .hidden th_twin_split_allocate
        .type   th_twin_split_allocate, @function
th_twin_split_allocate:
        subq    $8, %rsp
        call    th_twin_begin
        addq    $8, %rsp
        call    th_twin_request
        jc      5f

        # Scan from the start: r8 is the block, r9 the end of the row, r11 the block's size.
        movq    th_twin_start(%rip), %r8
        movq    th_twin_end(%rip), %r9
        jmp     2f
1:      addq    %r11, %r8
2:      cmpq    %r9, %r8
        jae     th_twin_append
        movq    TH_SIZE(%r8), %r11
        cmpq    $0, TH_IN_USE(%r8)
        jne     1b
        cmpq    %rsi, %r11
        jb      1b

        # Placed by its alignment at rcx, it must end at or before the block's end, r10.
        call    th_twin_place
        jc      1b
        movq    %rcx, %rax
        addq    %rsi, %rax
        jc      1b
        leaq    (%r8, %r11), %r10
        cmpq    %r10, %rax
        ja      1b

        # What is in front stays a free block, shorter than it was.
        movq    %rcx, %r11
        subq    %r8, %r11
        je      3f
        movq    %r11, TH_SIZE(%r8)

        # What is behind, from rax to r10, becomes a free block, or stays with this one.
3:      subq    %rax, %r10
        cmpq    $TH_SMALLEST, %r10
        jb      4f
        movq    $0, TH_IN_USE(%rax)
        movq    %r10, TH_SIZE(%rax)
        movq    $0, TH_TAG(%rax)
        xorl    %r10d, %r10d
4:      addq    %r10, %rsi

        # The block itself.
        movq    $1, TH_IN_USE(%rcx)
        movq    %rsi, TH_SIZE(%rcx)
        movq    %rdi, TH_TAG(%rcx)
        leaq    TH_HEADER(%rcx), %rax
        ret
5:      xorl    %eax, %eax
        ret
        .size   th_twin_split_allocate, . - th_twin_split_allocate

# th_twin_split_deallocate(payload: rdi) -> rax
#
# Frees a block and joins it to its free neighbours: 0 if it did, 1 if no block is there, 2 if it is free
# already. Address 0 is no error. A scan finds the block and the one in front of it.

        .balign 16
        .globl  th_twin_split_deallocate
        .hidden th_twin_split_deallocate
        .type   th_twin_split_deallocate, @function
th_twin_split_deallocate:
        testq   %rdi, %rdi
        je      5f
        subq    $TH_HEADER, %rdi
        jc      6f

        # Scan: r8 is the block, rcx the one in front of it or 0, r9 the end.
        movq    th_twin_start(%rip), %r8
        movq    th_twin_end(%rip), %r9
        xorl    %ecx, %ecx
        jmp     2f
1:      movq    %r8, %rcx
        addq    TH_SIZE(%r8), %r8
2:      cmpq    %r9, %r8
        jae     6f
        cmpq    %rdi, %r8
        jb      1b
        ja      6f

        # Free it.
        cmpq    $0, TH_IN_USE(%r8)
        je      7f
        movq    $0, TH_IN_USE(%r8)
        movq    $0, TH_TAG(%r8)

        # A free block behind it joins it.
        movq    TH_SIZE(%r8), %rax
        leaq    (%r8, %rax), %rdx
        cmpq    %r9, %rdx
        jae     3f
        cmpq    $0, TH_IN_USE(%rdx)
        jne     3f
        addq    TH_SIZE(%rdx), %rax
        movq    %rax, TH_SIZE(%r8)

        # It joins a free block in front of it.
3:      testq   %rcx, %rcx
        je      4f
        cmpq    $0, TH_IN_USE(%rcx)
        jne     4f
        addq    TH_SIZE(%rcx), %rax
        movq    %rax, TH_SIZE(%rcx)
        movq    %rcx, %r8

        # If the result is the last block, the end falls to where it starts.
4:      addq    %r8, %rax
        cmpq    %r9, %rax
        jne     5f
        movq    %r8, th_twin_end(%rip)
5:      movl    $TH_DONE, %eax
        ret
6:      movl    $TH_NOT_A_BLOCK, %eax
        ret
7:      movl    $TH_DOUBLE_FREE, %eax
        ret
        .size   th_twin_split_deallocate, . - th_twin_split_deallocate

# th_twin_split_release(tag: rdi) -> rax
#
# Frees every block under a tag, and joins free neighbours in a second walk: how many blocks they were, or
# -1 for a reserved tag.

        .balign 16
        .globl  th_twin_split_release
        .hidden th_twin_split_release
        .type   th_twin_split_release, @function
th_twin_split_release:
        # The first walk is the other rule's.
        subq    $8, %rsp
        call    th_twin_whole_release
        addq    $8, %rsp
        testq   %rax, %rax
        jle     5f

        # The second: r8 is a block, rdx the one behind it, r9 the end.
        movq    th_twin_start(%rip), %r8
        movq    th_twin_end(%rip), %r9
1:      cmpq    %r9, %r8
        jae     5f
        movq    TH_SIZE(%r8), %rcx
        leaq    (%r8, %rcx), %rdx
        cmpq    $0, TH_IN_USE(%r8)
        jne     4f

        # As long as a free block follows, this one takes it in.
2:      cmpq    %r9, %rdx
        jae     3f
        cmpq    $0, TH_IN_USE(%rdx)
        jne     4f
        addq    TH_SIZE(%rdx), %rcx
        movq    %rcx, TH_SIZE(%r8)
        leaq    (%r8, %rcx), %rdx
        jmp     2b

        # A free block at the end belongs to the end.
3:      movq    %r8, th_twin_end(%rip)
        ret

4:      movq    %rdx, %r8
        jmp     1b
5:      ret
        .size   th_twin_split_release, . - th_twin_split_release

        .section .note.GNU-stack, "", @progbits
        .text
