/* A signal handler that comes in behind each instruction of a scope and of what is allocated in it, and enters one of its
 * own. Says how each object was tagged in the end. */
#define _GNU_SOURCE
#include "tagheap_malloc.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#undef NDEBUG

#define STEPS 100000

static uint64_t of_program, of_handler;

/* What the handler got, outside its scope and in it. */
static void *outside[STEPS], *in_scope[STEPS];
static size_t steps, some_outside, some_in_scope, refused;

static void comes_in(int number) {
    (void)number;
    outside[steps] = malloc(24);
    th_scope scope = th_scope_enter(of_handler);
    in_scope[steps] = malloc(24);
    refused += th_scope_tag() != of_handler || th_scope_leave(scope) != TH_MALLOC_OK;
    some_outside += outside[steps] != NULL;
    some_in_scope += in_scope[steps] != NULL;
    steps += steps < STEPS - 1;
}

static void trap(int begins) {
    unsigned long long flags = __builtin_ia32_readeflags_u64();
    __builtin_ia32_writeeflags_u64(begins ? flags | 0x100 : flags & ~0x100ull);
}

static size_t objects(uint64_t tag) {
    th_holding holding;
    assert(th_malloc_holding(tag, &holding) == TH_MALLOC_OK);
    return holding.objects;
}

int main(void) {
    of_program = th_malloc_tag("program");
    of_handler = th_malloc_tag("handler");
    struct sigaction action = {.sa_handler = comes_in};
    assert(sigaction(SIGTRAP, &action, NULL) == 0);
    size_t untagged = objects(TH_MALLOC_UNTAGGED);

    trap(1);
    void *before = malloc(24);
    th_scope scope = th_scope_enter(of_program);
    void *within = malloc(24);
    th_scope none = th_scope_enter(TH_MALLOC_UNTAGGED);
    void *in_none = malloc(24);
    th_malloc_status left = th_scope_leave(none);
    void *within_again = malloc(24);
    th_malloc_status left_too = th_scope_leave(scope);
    void *after = malloc(24);
    trap(0);

    assert(before && within && in_none && within_again && after && steps > 500 && steps < STEPS - 1);
    assert(left == TH_MALLOC_OK && left_too == TH_MALLOC_OK && refused == 0);
    assert(th_scope_tag() == TH_MALLOC_UNTAGGED && some_in_scope > 500 && objects(of_handler) == some_in_scope);
    untagged = objects(TH_MALLOC_UNTAGGED) - untagged;
    if (getenv("TAGHEAP_TAGS"))
        assert(untagged == 0 && objects(of_program) >= 2);
    else
        assert(untagged >= 3 && untagged + objects(of_program) == 5 + some_outside);
    for (size_t n = 0; n < steps; n++) {
        free(outside[n]);
        free(in_scope[n]);
    }
    assert(objects(of_handler) == 0 && objects(of_program) == 2);
    puts("kept");
    return 0;
}
