/* Asks for so much memory that the heap has to grow, and stops by where a debugger may look. */
#include <stdlib.h>

__attribute__((noinline)) static void has(char *at) { __asm__ volatile("" : : "r"(at) : "memory"); }

int main(void) {
    has(malloc(100000000));
    return 0;
}
