/* What a release does, seen from C.
 *
 * Two pools take three blocks; one pool is released, then the last block is freed, then all three requests are made
 * again. After each step: a drawing of the heap, and who holds how much of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tagheap.h"

enum { POOL_1 = 1, POOL_2 = 2 };

static void show(const th_heap *heap, const char *caption) {
    char text[1000];
    printf("\n%s\n\n", caption);
    if (th_drawing(heap, text, sizeof text, NULL) == TH_OK) printf("%s\n\n", text);
    if (th_table(heap, text, sizeof text, NULL) == TH_OK) printf("%s\n", text);
}

static void print_addresses(const char *caption, void *const blocks[3]) {
    printf("\n%-12s %p, %p, %p\n", caption, blocks[0], blocks[1], blocks[2]);
}

/* Ends the program unless a call succeeded. */
static void must(const th_heap *heap, th_status status) {
    char text[200];
    if (status == TH_OK) return;
    if (th_last_error(heap, text, sizeof text, NULL) != TH_OK) text[0] = '\0';
    fprintf(stderr, "%s\n%s\n", th_strerror(status), text);
    exit(EXIT_FAILURE);
}

static void *take(th_heap *heap, uint64_t pool, size_t size) {
    th_status status;
    void *block = th_allocate(heap, pool, size, 16, &status);
    must(heap, status);
    return block;
}

int main(void) {
    th_status status;
    /* At the program break, of a library that was built to take it over from glibc; else in a reservation. */
    th_heap *heap = th_heap_at_break(0, &status);
    if (heap == NULL) {
        printf("%s: this heap lies in a reservation.\n", th_strerror(status));
        heap = th_heap_reserve(0, 0, &status);
        must(heap, status);
    }
    show(heap, "A new heap is one block, its own.");

    void *blocks[3];
    blocks[0] = take(heap, POOL_1, 400);
    show(heap, "Pool 1 takes 400 bytes: 432 with their header.");

    blocks[1] = take(heap, POOL_2, 32);
    blocks[2] = take(heap, POOL_2, 80);
    show(heap, "Pool 2 takes 32 bytes, and 80.");

    th_amount released;
    must(heap, th_release(heap, POOL_2, &released));
    show(heap, "Pool 2 is released, all of it in one call.");
    printf("\nThese were %zu blocks, %zu bytes.\n", released.blocks, released.bytes);
    print_addresses("Allocations:", blocks);

    must(heap, th_deallocate(heap, blocks[0]));
    show(heap, "The block of pool 1 is freed.");
    print_addresses("Allocations:", blocks);

    void *again[3] = {take(heap, POOL_1, 400), take(heap, POOL_2, 32), take(heap, POOL_2, 80)};
    show(heap, "The same requests find the same memory.");
    print_addresses("Once more:", again);

    must(heap, th_deallocate(heap, again[2]));
    status = th_deallocate(heap, again[2]);
    printf("\nA block is freed twice: %s.\n", th_strerror(status));

    must(heap, th_check(heap));
    must(heap, th_heap_destroy(heap));
    return EXIT_SUCCESS;
}
