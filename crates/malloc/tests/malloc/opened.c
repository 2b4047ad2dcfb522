/* A program of C that opens a library, to itself, in the way that is asked for, and does what that has. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments) {
    int how = RTLD_NOW | RTLD_LOCAL;
    if (count > 2 && strcmp(arguments[2], "deep") == 0)
        how |= RTLD_DEEPBIND;
    void *library = dlopen(arguments[1], how);
    if (!library)
        return fprintf(stderr, "%s\n", dlerror()), 1;
    int (*does)(void *) = (int (*)(void *))dlsym(library, "does");
    return does(malloc(100));
}
