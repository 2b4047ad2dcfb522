/* A request of each kind that a tag's limit forbids, each for another number of bytes. */
#define _GNU_SOURCE
#include "tagheap_malloc.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#undef NDEBUG

#define REFUSED(call) \
    do { \
        errno = 0; \
        assert((call) == NULL && errno == ENOMEM); \
    } while (0)

int main(void) {
    uint64_t bounded = th_malloc_tag("bounded");
    assert(th_malloc_set_limit(bounded, 1 << 20) == TH_MALLOC_OK);
    th_scope scope = th_scope_enter(bounded);
    void *slot = malloc(100), *block = malloc(100000), *place = NULL;
    assert(slot && block);
    REFUSED(malloc(2000000));
    REFUSED(calloc(1, 2000001));
    REFUSED(realloc(slot, 2000002));
    REFUSED(realloc(block, 2000003));
    REFUSED(realloc(NULL, 2000004));
    REFUSED(reallocarray(block, 1, 2000005));
    REFUSED(aligned_alloc(64, 2000006));
    REFUSED(memalign(64, 2000007));
    REFUSED(valloc(2000008));
    assert(posix_memalign(&place, 64, 2000009) == ENOMEM && place == NULL);
    free(slot);
    free(block);
    assert(th_scope_leave(scope) == TH_MALLOC_OK);
    puts("kept");
    return 0;
}
