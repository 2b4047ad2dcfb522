/* Calls in turn from a page of the program's own code and from one of code made at run time, which is in no library, and
 * so far from the other that whoever keeps what is known of pages may take one for the other. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* sub rsp, 8; mov rax, rdi; mov rdi, rsi; call rax; add rsp, 8; ret */
static const unsigned char code[] = {0x48, 0x83, 0xec, 0x08, 0x48, 0x89, 0xf8, 0x48, 0x89,
                                     0xf7, 0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0xc3};

typedef void *(*call_type)(void *(*)(size_t), size_t);

__attribute__((aligned(4096), noinline)) static void *own(size_t size) {
    void *volatile at = malloc(size);
    return at;
}

int main(void) {
    uintptr_t page = (uintptr_t)own / 4096 * 4096;
    void *made = MAP_FAILED;
    /* A power of two apart, wherever there is room. */
    for (int power = 28; power < 44 && made == MAP_FAILED; power++) {
        void *wanted = (void *)(page + ((uintptr_t)1 << power));
        made = mmap(wanted, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (made != MAP_FAILED && made != wanted)
            return 2;
    }
    if (made == MAP_FAILED)
        return 3;
    memcpy(made, code, sizeof code);
    if (mprotect(made, 4096, PROT_READ | PROT_EXEC))
        return 4;
    call_type call;
    memcpy(&call, &made, sizeof call);
    for (int n = 0; n < 100; n++) {
        char *volatile one = own(100);
        char *volatile other = call(malloc, 200);
        if (!one || !other)
            return 5;
    }
    return 0;
}
