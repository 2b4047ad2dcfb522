/* What must hold in a program that tries several things: where it does not, says of which, and ends with 1. */
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, name, #condition); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

static const char *name;
