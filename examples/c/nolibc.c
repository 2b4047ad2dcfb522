/* A program without libc: a heap at the program break, which is this program's alone.
 *
 * It starts at its own _start, and makes three system calls: brk, write and exit_group. Besides libtagheap.a it is
 * linked with crates/capi/freestanding/mem.s, for what the compiler and the library call by name.
 *
 *     gcc -std=c99 -O2 -ffreestanding -fno-stack-protector -nostdlib -static -Wl,--gc-sections \
 *         -I../../crates/capi/include nolibc.c ../../crates/capi/freestanding/mem.s ../../target/release/libtagheap.a
 */
#include "tagheap.h"

static long call(long number, long first, const void *second, unsigned long third) {
    long answer;
    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return answer;
}

static void print(const char *text) {
    unsigned long length = 0;
    while (text[length] != '\0') length++;
    call(1, 1, text, length);
}

static int fail(th_status status) {
    print(th_strerror(status));
    print("\n");
    return 1;
}

static int run(void) {
    static char text[2000];
    th_status status;
    th_heap *heap = th_heap_at_break(0, &status);
    if (heap == NULL) return fail(status);

    const uint64_t poem = th_tag_named("poem"), primes = th_tag_named("primes");
    uint32_t *numbers = th_allocate(heap, primes, 1000 * sizeof *numbers, 16, &status);
    if (numbers == NULL) return fail(status);
    for (uint32_t number = 2, found = 0; found < 1000; number++) {
        uint32_t divisor = 2;
        while (divisor * divisor <= number && number % divisor != 0) divisor++;
        if (divisor * divisor > number) numbers[found++] = number;
    }
    char *first = NULL;
    for (int line = 0; line < 50; line++) {
        char *bottles = th_allocate_zeroed(heap, poem, 40 + (size_t)line, 1, &status);
        if (bottles == NULL) return fail(status);
        if (first == NULL) first = bottles;
    }
    print("Who holds what, in a program without libc:\n\n");
    if ((status = th_table(heap, text, sizeof text, NULL)) != TH_OK) return fail(status);
    print(text);

    if ((status = th_release(heap, poem, NULL)) != TH_OK) return fail(status);
    print("\n\nThe poem is released in one call:\n\n");
    if ((status = th_table(heap, text, sizeof text, NULL)) != TH_OK) return fail(status);
    print(text);

    char *next = th_allocate(heap, poem, 40, 1, &status);
    print(next == first ? "\n\nThe next poem begins where the last one did.\n" : "\n\nThe next poem is elsewhere.\n");
    if (numbers[999] != 7919) return 2;
    if ((status = th_check(heap)) != TH_OK) return fail(status);
    return 0;
}

__attribute__((noreturn, force_align_arg_pointer)) void _start(void) {
    call(231, run(), NULL, 0);
    __builtin_unreachable();
}
