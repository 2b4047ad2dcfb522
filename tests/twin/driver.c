/* The assembly heap on the raw program break, in a program without libc: three blocks in two pools, as in the
   heap it descends from. Exits with 0, or with the number of the first thing that is not as it should be. */

unsigned char *th_twin_whole_allocate(unsigned long tag, unsigned long size, unsigned long align);
unsigned long th_twin_whole_deallocate(unsigned char *payload);
unsigned long th_twin_whole_release(unsigned long tag);

static int drive(void) {
    unsigned char *first = th_twin_whole_allocate(1, 400, 16);
    unsigned char *second = th_twin_whole_allocate(2, 32, 16);
    unsigned char *third = th_twin_whole_allocate(2, 80, 16);
    if (!first || !second || !third) return 1;
    if (second - first != 432 || third - second != 64) return 2;
    for (int i = 0; i < 400; i++) first[i] = 1;
    for (int i = 0; i < 80; i++) third[i] = 3;
    if (th_twin_whole_release(2) != 2) return 3;
    if (th_twin_whole_allocate(3, 80, 16) != third) return 4;
    if (th_twin_whole_deallocate(first) != 0) return 5;
    if (th_twin_whole_deallocate(first) != 2) return 6;
    if (th_twin_whole_allocate(1, 1ul << 60, 16) != 0) return 7;
    if (th_twin_whole_allocate(1, 400, 16) != first) return 8;
    return 0;
}

__attribute__((noreturn, force_align_arg_pointer)) void _start(void) {
    __asm__ volatile("syscall" : : "a"(231), "D"(drive()) : "rcx", "r11", "memory");
    __builtin_unreachable();
}
