/* The three routines misused, each way in a process of its own: the first argument says which. */
#define TAGHEAP_NAMES
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tagheap.h"

int main(int count, char **arguments) {
    static char elsewhere[64];
    const char *way = count > 1 ? arguments[1] : "";
    char *block = allocate(1, 100), *other = allocate(1, 100);
    if (strcmp(way, "refused") == 0) {
        const uint64_t reserved[] = {0, UINT64_MAX, UINT64_MAX - 15, TH_TAG_LIBRARY};
        for (int i = 0; i < 4; i++) {
            if (allocate(reserved[i], 10) != NULL) return 2;
            deallocate_pool(reserved[i]);
        }
        if (allocate(1, SIZE_MAX) != NULL || allocate(1, SIZE_MAX - 47) != NULL) return 3;
        if (allocate(1, SIZE_MAX / 2) != NULL || allocate(1, (size_t)1 << 62) != NULL) return 4;
        if (allocate(3, 0) == NULL || allocate(3, 0) == allocate(3, 0)) return 5;
        deallocate(NULL);
        deallocate_pool(12345);
        deallocate(block);
        /* Reused whole. */
        char *again = allocate(2, 10), *next = allocate(2, 90);
        if (again != block || next == block) return 6;
        deallocate(again);
        deallocate(other);
        return 0;
    }
    if (strcmp(way, "double") == 0) deallocate(block), deallocate(block);
    if (strcmp(way, "released") == 0) deallocate_pool(1), deallocate(other);
    if (strcmp(way, "interior") == 0) deallocate(block + 16);
    if (strcmp(way, "odd") == 0) deallocate(block + 1);
    if (strcmp(way, "wild") == 0) deallocate(elsewhere + 32);
    if (strcmp(way, "low") == 0) deallocate((void *)1);
    if (strcmp(way, "damaged") == 0) other[-8] ^= 1, deallocate(other);
    if (strcmp(way, "damaged pool") == 0) other[-8] ^= 1, deallocate_pool(1);
    puts("still here");
    return 7;
}
