/* The three routines in a program without libc: on the raw program break. Exits with 0, or with the number of the
   first thing that is not as it should be. */
#define TAGHEAP_NAMES
#include "tagheap.h"

static long call(long number, long argument) {
    long answer;
    __asm__ volatile("syscall" : "=a"(answer) : "a"(number), "D"(argument) : "rcx", "r11", "memory");
    return answer;
}

static int drive(void) {
    const uintptr_t before = (uintptr_t)call(12, 0);
    th_status why;
    if (!th_assume_one_thread()) return 9;
    char *first = allocate(1, 400), *second = allocate(2, 32), *third = allocate(2, 80);
    if (first == NULL || second == NULL || third == NULL) return 1;
    if (second - first != 0x1b0 || third - second != 0x40) return 2;
    if ((uintptr_t)first < before || (uintptr_t)third > (uintptr_t)call(12, 0)) return 3;
    deallocate_pool(2);
    if (allocate(3, 80) != third || allocate(3, 32) != second) return 4;
    deallocate(first);
    if (allocate(1, 1ul << 60) != NULL || allocate(1, 400) != first) return 5;
    /* The break has one owner. */
    if (th_heap_at_break(0, &why) != NULL || why != TH_BREAK_OWNED) return 6;
    th_heap *heap = th_heap_reserve(1 << 20, TH_LOCKED, &why);
    if (heap == NULL || th_allocate(heap, 1, 10, 16, &why) == NULL) return 7;
    if (th_heap_destroy(heap) != TH_OK) return 8;
    if (!th_assume_one_thread()) return 10;
    return 0;
}

__attribute__((noreturn, force_align_arg_pointer)) void _start(void) {
    call(231, drive());
    __builtin_unreachable();
}
