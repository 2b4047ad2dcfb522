/* Holds memory in scopes and outside any, and ends. */
#define _POSIX_C_SOURCE 200809L
#include "tagheap_malloc.h"

#include <stdlib.h>
#include <string.h>

static void *volatile last;

static void hold(int count, size_t size) {
    while (count--)
        last = malloc(size);
}

int main(void) {
    hold(3, 100);
    th_malloc_set_name(4711, "index of all words");
    th_scope parser = th_scope_enter(th_malloc_tag("parser"));
    hold(5, 200);
    /* By the code of another library. */
    last = strdup("harbour");
    th_scope words = th_scope_enter(4711);
    hold(7, 300);
    th_scope none = th_scope_enter(TH_MALLOC_UNTAGGED);
    hold(2, 100);
    if (th_scope_leave(none) != TH_MALLOC_OK || th_scope_leave(words) != TH_MALLOC_OK)
        return 1;
    hold(1, 200);
    return th_scope_leave(parser) != TH_MALLOC_OK;
}
