/* Every kind of pool, each made in the same way, for the programs that try all of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tagheap.h"

static const uint64_t tag = 42;

typedef const th_pool_options *options;

static th_pool *blocks(th_heap *heap, options with, th_status *why) { return th_pool_blocks(heap, tag, with, why); }
static th_pool *fixed(th_heap *heap, options with, th_status *why) {
    return th_pool_fixed(heap, tag, 64, 16, 50, with, why);
}
static th_pool *fixed_growing(th_heap *heap, options with, th_status *why) {
    return th_pool_fixed_growing(heap, tag, 64, 16, 8, with, why);
}
static th_pool *lock_free(th_heap *heap, options with, th_status *why) {
    return th_pool_lock_free(heap, tag, 64, 16, 50, with, why);
}
static th_pool *bump(th_heap *heap, options with, th_status *why) { return th_pool_bump(heap, tag, with, why); }
static th_pool *size_classes(th_heap *heap, options with, th_status *why) {
    return th_pool_size_classes(heap, tag, with, why);
}
static th_pool *size_classes_with_chunk(th_heap *heap, options with, th_status *why) {
    return th_pool_size_classes_with_chunk(heap, tag, 4096, with, why);
}
static th_pool *classes(th_heap *heap, options with, th_status *why) {
    const th_class sizes[] = {{16, 50}, {64, 50}, {32, 50}};
    return th_pool_classes(heap, tag, sizes, 3, with, why);
}
static th_pool *priority(th_heap *heap, options with, th_status *why) {
    const th_class levels[] = {{16, 1}, {64, 2}, {128, 3}, {64, 60}};
    return th_pool_priority(heap, tag, levels, with, why);
}
static th_pool *stack(th_heap *heap, options with, th_status *why) {
    return th_pool_stack(heap, tag, 4096, with, why);
}
static th_pool *stack_with_limit(th_heap *heap, options with, th_status *why) {
    return th_pool_stack_with_limit(heap, tag, 4096, 1024, with, why);
}
static th_pool *free_list(th_heap *heap, options with, th_status *why) {
    return th_pool_free_list(heap, tag, 4096, with, why);
}
static th_pool *buddy(th_heap *heap, options with, th_status *why) {
    return th_pool_buddy(heap, tag, 4096, 16, with, why);
}

static const struct kind {
    const char *name;
    th_pool *(*make)(th_heap *heap, options with, th_status *why);
    /* What a second free is told; TH_OK where it is not found. */
    th_status again;
    /* Whether pieces go in the opposite order only. */
    bool stacked;
    bool bounded;
} kinds[] = {
    {"blocks", blocks, TH_DOUBLE_FREE, false, false},
    {"fixed", fixed, TH_DOUBLE_FREE, false, true},
    {"fixed_growing", fixed_growing, TH_DOUBLE_FREE, false, false},
    {"lock_free", lock_free, TH_DOUBLE_FREE, false, true},
    {"bump", bump, TH_OK, false, false},
    {"size_classes", size_classes, TH_DOUBLE_FREE, false, false},
    {"size_classes_with_chunk", size_classes_with_chunk, TH_DOUBLE_FREE, false, false},
    {"classes", classes, TH_DOUBLE_FREE, false, true},
    {"priority", priority, TH_DOUBLE_FREE, false, true},
    {"stack", stack, TH_DOUBLE_FREE, true, true},
    {"stack_with_limit", stack_with_limit, TH_DOUBLE_FREE, true, true},
    {"free_list", free_list, TH_DOUBLE_FREE, false, true},
    {"buddy", buddy, TH_DOUBLE_FREE, false, true},
};
