/* The program break under a libc: refused, or, in a library built for that, taken over. The first argument is the
   status that is expected of the first heap at the break. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tagheap.h"

int main(int count, char **arguments) {
    th_status why = TH_OK, again = TH_OK;
    if (count < 2) return 2;
    th_heap *heap = th_heap_at_break(0, &why);
    if ((int)why != atoi(arguments[1]) || (heap == NULL) == (why == TH_OK)) return 3;
    if (th_heap_at_break(0, &again) != NULL || again != TH_BREAK_OWNED) return 4;
    if (heap == NULL) return 0;

    /* glibc and the heap keep out of each other's way. */
    char *theirs[100], *ours[100];
    for (int i = 0; i < 100; i++) {
        theirs[i] = malloc(10000);
        ours[i] = th_allocate(heap, 1, 10000, 16, NULL);
        if (theirs[i] == NULL || ours[i] == NULL) return 5;
        memset(theirs[i], i, 10000);
        memset(ours[i], 100 + i, 10000);
    }
    for (int i = 0; i < 100; i++) {
        for (int k = 0; k < 10000; k++) {
            if (theirs[i][k] != (char)i || ours[i][k] != (char)(100 + i)) return 6;
        }
        free(theirs[i]);
    }
    if (th_check(heap) != TH_OK || th_heap_destroy(heap) != TH_OK) return 7;
    heap = th_heap_at_break(0, &why);
    if (heap == NULL || th_heap_destroy(heap) != TH_OK) return 8;
    return 0;
}
