/* Other names that the C library has for malloc and its family: what comes by one goes by another. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);
void __libc_free(void *at);
void *__libc_memalign(size_t align, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);

/* As programs have it that were linked before glibc 2.26. */
void cfree(void *at);
__asm__(".symver cfree, cfree@GLIBC_2.2.5");

static int counted;

/* In front of the C library's. */
void *malloc(size_t size) {
    counted++;
    return __libc_malloc(size);
}

int main(void) {
    cfree(malloc(100));
    cfree(calloc(100000, 1));
    free(__libc_malloc(100000));
    free(__libc_calloc(10, 10));
    free(__libc_realloc(malloc(10), 10000));
    free(__libc_memalign(64, 100));
    free(__libc_valloc(100));
    free(__libc_pvalloc(100));
    __libc_free(malloc(100));
    __libc_free(aligned_alloc(4096, 100));
    __libc_free(strdup("harbour"));
    free(malloc(50));
    puts("given back");
    return counted < 5;
}
