/* A library that holds memory: small objects, and a large one. */
#include <stdlib.h>
#include <string.h>

static char *objects[1000];
static char *large;

void hold(void) {
    for (int n = 0; n < 1000; n++)
        objects[n] = malloc(100);
    large = malloc(1000000);
    memset(large, 1, 1000000);
}

void let_go(void) {
    for (int n = 0; n < 1000; n += 2)
        free(objects[n]);
    /* Whoever makes it larger, it is the library's. */
}

char *of_library(void) { return objects[1]; }
