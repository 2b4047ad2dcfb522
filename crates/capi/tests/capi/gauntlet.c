/* Bad input from C, by the rows of the gauntlet: each ends as the header says, and the heap is whole afterwards.
 *
 * Prints the id of each row it has passed, for each heap, and ends with 1 at the first thing that is not as it
 * should be.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tagheap.h"

static uint64_t level = 7, other = 8;

static void *take(th_heap *heap, uint64_t tag, size_t size) {
    th_status why = TH_NULL;
    void *block = th_allocate(heap, tag, size, 16, &why);
    CHECK(block != NULL && why == TH_OK);
    return block;
}

static size_t held(const th_heap *heap, uint64_t tag) {
    th_tag_stats stats;
    CHECK(th_stats_of_tag(heap, tag, &stats) == TH_OK);
    return stats.blocks;
}

static void a01_size_0_gives_unique_pointers_that_can_be_freed(th_heap *heap) {
    void *blocks[8];
    for (int i = 0; i < 8; i++) {
        blocks[i] = take(heap, level, 0);
        for (int k = 0; k < i; k++) CHECK(blocks[k] != blocks[i]);
        size_t size = 1;
        CHECK(th_requested_size(heap, blocks[i], &size) == TH_OK && size == 0);
        CHECK(th_usable_size(heap, blocks[i], &size) == TH_OK && size >= 16);
    }
    for (int i = 0; i < 8; i++) CHECK(th_deallocate(heap, blocks[i]) == TH_OK);
}

static void a04_a05_sizes_that_overflow_give_null(th_heap *heap) {
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 31, SIZE_MAX - 32, SIZE_MAX - 48,
                            (size_t)1 << 63, ((size_t)1 << 63) - 1, ((size_t)1 << 63) - 16, (size_t)PTRDIFF_MAX - 31};
    const size_t aligns[] = {1, 16, 4096, (size_t)1 << 31, (size_t)1 << 62, (size_t)1 << 63};
    void *kept = take(heap, level, 100);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizeof aligns / sizeof *aligns; k++) {
            th_status why = TH_OK;
            errno = 0;
            CHECK(th_allocate(heap, level, sizes[i], aligns[k], &why) == NULL);
            CHECK(why == TH_TOO_LARGE || why == TH_NO_MEMORY || why == TH_NO_INDEX);
            CHECK(errno == ENOMEM);
            CHECK(th_allocate(heap, level, sizes[i], aligns[k], NULL) == NULL);
            CHECK(th_allocate_zeroed(heap, level, sizes[i], aligns[k], &why) == NULL && why != TH_OK);
            CHECK(th_resize(heap, kept, sizes[i], aligns[k], &why) == NULL && why != TH_OK);
            CHECK(th_resize_zeroed(heap, kept, sizes[i], aligns[k], &why) == NULL && why != TH_OK);
            CHECK(th_deallocate_sized(heap, kept, sizes[i], aligns[k]) != TH_OK);
        }
    }
    /* Small, but nowhere so aligned. */
    th_status why = TH_OK;
    CHECK(th_allocate(heap, level, 1, (size_t)1 << 63, &why) == NULL && why != TH_OK);
    CHECK(th_deallocate(heap, kept) == TH_OK);
}

static void a06_bad_alignments_are_errors(th_heap *heap) {
    const size_t aligns[] = {0, 3, 24, 6, SIZE_MAX, ((size_t)1 << 63) + 1};
    void *kept = take(heap, level, 100);
    for (size_t i = 0; i < sizeof aligns / sizeof *aligns; i++) {
        th_status why = TH_OK;
        errno = 0;
        CHECK(th_allocate(heap, level, 100, aligns[i], &why) == NULL && why == TH_BAD_ALIGN);
        CHECK(errno == EINVAL);
        CHECK(th_allocate_zeroed(heap, level, 100, aligns[i], &why) == NULL && why == TH_BAD_ALIGN);
        CHECK(th_resize(heap, kept, 200, aligns[i], &why) == NULL && why == TH_BAD_ALIGN);
        CHECK(th_deallocate_sized(heap, kept, 100, aligns[i]) == TH_BAD_ALIGN);
    }
    for (size_t align = 1; align <= 256; align *= 2) {
        th_status why;
        void *block = th_allocate(heap, level, 10, align, &why);
        CHECK(block != NULL && (uintptr_t)block % align == 0);
        CHECK(th_deallocate_sized(heap, block, 10, align) == TH_OK);
    }
    CHECK(th_deallocate(heap, kept) == TH_OK);
}

static void c01_a_double_free_is_found(th_heap *heap) {
    void *first = take(heap, level, 40), *second = take(heap, level, 40), *last = take(heap, level, 40);
    CHECK(th_deallocate(heap, second) == TH_OK);
    CHECK(th_deallocate(heap, second) == TH_DOUBLE_FREE);
    CHECK(th_deallocate_sized(heap, second, 40, 16) == TH_DOUBLE_FREE);
    CHECK(th_deallocate_in(heap, level, second) == TH_DOUBLE_FREE);
    CHECK(th_deallocate(heap, first) == TH_OK);
    CHECK(th_deallocate(heap, second) == TH_DOUBLE_FREE);
    CHECK(th_release(heap, level, NULL) == TH_OK);
    th_status status = th_deallocate(heap, last);
    CHECK(status == TH_RELEASED || status == TH_NOT_A_BLOCK || status == TH_NOT_FROM_HERE);
}

static void c03_interior_pointers_are_found(th_heap *heap) {
    char *block = take(heap, level, 200);
    memset(block, 0, 200);
    for (int i = 1; i < 200; i++) {
        uint64_t tag;
        CHECK(th_deallocate(heap, block + i) == TH_NOT_A_BLOCK);
        CHECK(th_tag_of(heap, block + i, &tag) == TH_NOT_A_BLOCK && !th_contains(heap, block + i));
    }
    CHECK(th_deallocate(heap, block) == TH_OK);
}

static void c04_null_is_no_operation(th_heap *heap) {
    th_status why = TH_OK;
    uint64_t tag = 99;
    CHECK(th_deallocate(heap, NULL) == TH_OK && th_deallocate_in(heap, level, NULL) == TH_OK);
    CHECK(th_deallocate_sized(heap, NULL, 10, 16) == TH_OK);
    CHECK(th_resize(heap, NULL, 10, 16, &why) == NULL && why == TH_NULL);
    CHECK(th_retag(heap, NULL, level) == TH_NULL && !th_contains(heap, NULL));
    CHECK(th_tag_of(heap, NULL, &tag) == TH_NULL && tag == 99);
    CHECK(th_heap_destroy(NULL) == TH_OK && th_pool_destroy(NULL) == TH_OK);
    th_global_deallocate(NULL);
}

static void c04_null_heaps_and_places_are_errors(th_heap *heap) {
    th_status why = TH_OK;
    void *block = take(heap, level, 10);
    char garbage[4096] = {1, 2, 3};
    th_heap *none[] = {NULL, (th_heap *)(void *)garbage, (th_heap *)(void *)(garbage + 1)};
    for (int i = 0; i < 3; i++) {
        const th_status wanted = i == 0 ? TH_NULL : TH_NOT_A_HANDLE;
        CHECK(th_allocate(none[i], level, 10, 16, &why) == NULL && why == wanted);
        CHECK(th_allocate_zeroed(none[i], level, 10, 16, &why) == NULL && why == wanted);
        CHECK(th_resize(none[i], block, 10, 16, &why) == NULL && why == wanted);
        CHECK(th_deallocate(none[i], block) == wanted && th_release(none[i], level, NULL) == wanted);
        CHECK(th_release_range(none[i], 1, 2, NULL) == wanted && th_merge(none[i], 1, 2, NULL) == wanted);
        CHECK(th_check(none[i]) == wanted && th_trim(none[i], NULL) == wanted);
        CHECK(th_purge(none[i], NULL) == wanted);
        CHECK(th_set_limit(none[i], level, 1) == wanted && th_set_name(none[i], level, "a") == wanted);
        CHECK(!th_contains(none[i], block) && th_walk(none[i], NULL, NULL) == wanted);
        CHECK(th_table(none[i], NULL, 0, NULL) == wanted && th_last_error(none[i], NULL, 0, NULL) == wanted);
        CHECK(th_pool_bump(none[i], level, NULL, &why) == NULL && why == wanted);
        CHECK(th_heap_before_fork(none[i]) == wanted && th_heap_after_fork(none[i]) == wanted);
        th_pool *pool = (th_pool *)(void *)none[i];
        CHECK(th_pool_allocate(pool, 1, 1, &why) == NULL && why == wanted);
        CHECK(th_pool_deallocate(pool, block, 1, 1) == wanted && th_pool_reset(pool) == wanted);
        CHECK(th_pool_check(pool) == wanted && !th_pool_contains(pool, block) && th_pool_tag(pool) == 0);
        if (i > 0) CHECK(th_heap_destroy(none[i]) == wanted && th_pool_destroy(pool) == wanted);
    }
    CHECK(th_stats_of_heap(heap, NULL) == TH_NULL && th_stats_of_tag(heap, level, NULL) == TH_NULL);
    CHECK(th_tag_of(heap, block, NULL) == TH_NULL && th_mark(heap, NULL) == TH_NULL);
    CHECK(th_usable_size(heap, block, NULL) == TH_NULL && th_requested_size(heap, block, NULL) == TH_NULL);
    CHECK(th_walk(heap, NULL, NULL) == TH_NULL && th_tags(heap, NULL, NULL) == TH_NULL);
    CHECK(th_set_name(heap, level, NULL) == TH_NULL && th_pinned_by(heap, NULL) == TH_NULL);
    CHECK(th_would_release(heap, level, NULL) == TH_NULL && th_tag_named(NULL) == 0);
    CHECK(th_table(heap, NULL, 100, NULL) == TH_OK);
    CHECK(th_heap_in_buffer(NULL, 10000, 0, &why) == NULL && why == TH_NULL);
    CHECK(th_heap_reserve(0, 2, &why) == NULL && why == TH_BAD_FLAGS);
    CHECK(th_heap_reserve(0, 16, &why) == NULL && why == TH_BAD_FLAGS);
    CHECK(th_heap_in_buffer(garbage, sizeof garbage, TH_HUGE_PAGES, &why) == NULL && why == TH_BAD_FLAGS);
    CHECK(th_heap_at_break(TH_HUGE_PAGES, &why) == NULL && why == TH_BAD_FLAGS);
    CHECK(th_heap_reserve(SIZE_MAX, 0, &why) == NULL && (why == TH_TOO_LARGE || why == TH_NO_MEMORY));
    CHECK(th_heap_in_buffer(garbage, SIZE_MAX, 0, &why) == NULL && why == TH_TOO_LARGE);
    for (size_t size = 0; size < th_heap_size() + 128; size++) {
        CHECK(th_heap_in_buffer(garbage, size, 0, &why) == NULL && why == TH_NO_MEMORY);
    }
    CHECK(th_deallocate(heap, block) == TH_OK);
}

static void c05_wild_pointers_are_found(th_heap *heap) {
    static char elsewhere[64];
    char local[64];
    void *wild[] = {elsewhere + 16, local, (void *)1, (void *)16, (void *)(uintptr_t)-16, (void *)UINTPTR_MAX,
                    (void *)((uintptr_t)1 << 63), (void *)heap};
    void *block = take(heap, level, 10);
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        th_status why = TH_OK;
        uint64_t tag;
        CHECK(th_deallocate(heap, wild[i]) == TH_NOT_FROM_HERE);
        CHECK(th_tag_of(heap, wild[i], &tag) == TH_NOT_FROM_HERE && !th_contains(heap, wild[i]));
        CHECK(th_resize(heap, wild[i], 20, 16, &why) == NULL && why == TH_NOT_FROM_HERE);
        CHECK(th_retag(heap, wild[i], other) == TH_NOT_FROM_HERE);
    }
    char text[200];
    CHECK(th_last_error(heap, text, sizeof text, NULL) == TH_OK && strstr(text, "not from this heap: 0x") == text);
    CHECK(th_deallocate(heap, block) == TH_OK);
}

static void c08_a_wrong_size_or_alignment_is_found(th_heap *heap) {
    char *block = take(heap, level, 100);
    for (size_t size = 0; size < 200; size++) {
        if (size != 100) CHECK(th_deallocate_sized(heap, block, size, 16) == TH_SIZE_MISMATCH);
    }
    size_t align = 16;
    while ((uintptr_t)block % (2 * align) == 0) align *= 2;
    CHECK(th_deallocate_sized(heap, block, 100, 2 * align) == TH_ALIGN_MISMATCH);
    CHECK(th_deallocate_sized(heap, block, 100, align) == TH_OK);
}

static void c09_questions_about_freed_blocks_are_answered_by_an_error(th_heap *heap) {
    void *block = take(heap, level, 50), *behind = take(heap, level, 50);
    CHECK(th_deallocate(heap, block) == TH_OK);
    uint64_t tag = 99;
    size_t size = 99;
    th_status why = TH_OK;
    CHECK(th_tag_of(heap, block, &tag) == TH_DOUBLE_FREE && tag == 99);
    CHECK(th_usable_size(heap, block, &size) == TH_DOUBLE_FREE && size == 99);
    CHECK(th_requested_size(heap, block, &size) == TH_DOUBLE_FREE && size == 99);
    CHECK(th_retag(heap, block, other) == TH_DOUBLE_FREE && !th_contains(heap, block));
    CHECK(th_resize(heap, block, 60, 16, &why) == NULL && why == TH_DOUBLE_FREE);
    CHECK(th_deallocate(heap, behind) == TH_OK);
}

static void c10_a_wrong_claim_is_found(th_heap *heap) {
    void *block = take(heap, level, 50);
    CHECK(th_deallocate_in(heap, other, block) == TH_TAG_MISMATCH);
    CHECK(th_deallocate_in(heap, 0, block) == TH_TAG_MISMATCH);
    CHECK(th_retag(heap, block, other) == TH_OK || held(heap, other) == 0);
    CHECK(th_deallocate_in(heap, held(heap, other) ? other : level, block) == TH_OK);
}

static void d06_a_release_frees_the_tag_and_nothing_else(th_heap *heap) {
    th_amount released = {0, 0};
    void *kept[3];
    for (int i = 0; i < 3; i++) {
        take(heap, level, 10);
        kept[i] = take(heap, other, 10);
    }
    th_forecast forecast;
    CHECK(th_would_release(heap, level, &forecast) == TH_OK && forecast.amount.blocks == 3);
    CHECK(th_release(heap, level, &released) == TH_OK && released.blocks == 3 && released.bytes == 3 * 48);
    CHECK(held(heap, level) == 0 && held(heap, other) == 3);
    for (int i = 0; i < 3; i++) CHECK(th_deallocate(heap, kept[i]) == TH_OK);
}

static void d01_a_released_block_is_told_from_a_freed_one(th_heap *heap) {
    void *freed = take(heap, level, 10), *before = take(heap, other, 10);
    void *released = take(heap, level, 10), *behind = take(heap, other, 10);
    CHECK(th_deallocate(heap, freed) == TH_OK && th_release(heap, level, NULL) == TH_OK);
    CHECK(th_deallocate(heap, freed) == TH_DOUBLE_FREE && th_deallocate(heap, released) == TH_RELEASED);
    CHECK(th_deallocate_in(heap, level, released) == TH_RELEASED);
    CHECK(th_deallocate_sized(heap, released, 10, 16) == TH_RELEASED);
    CHECK(th_deallocate(heap, before) == TH_OK && th_deallocate(heap, behind) == TH_OK);
}

static void d02_a_tag_without_blocks_releases_nothing(th_heap *heap) {
    th_amount released = {9, 9};
    CHECK(th_release(heap, 12345, &released) == TH_OK && released.blocks == 0 && released.bytes == 0);
    CHECK(th_release(heap, 12345, NULL) == TH_OK);
}

static void d03_a_second_release_releases_nothing(th_heap *heap) {
    th_amount released = {9, 9};
    take(heap, level, 10);
    CHECK(th_release(heap, level, NULL) == TH_OK && th_release(heap, level, &released) == TH_OK);
    CHECK(released.blocks == 0 && released.bytes == 0);
}

static void ranges_of_tags_are_released_together(th_heap *heap) {
    th_amount released;
    for (uint64_t tag = 10; tag < 16; tag++) take(heap, tag, 10);
    CHECK(th_release_range(heap, 11, 13, &released) == TH_OK && released.blocks == 3);
    CHECK(th_release_range(heap, 13, 11, &released) == TH_OK && released.blocks == 0);
    CHECK(held(heap, 10) == 1 && held(heap, 11) == 0 && held(heap, 13) == 0 && held(heap, 14) == 1);
    CHECK(th_release_range(heap, 0, UINT64_MAX, &released) == TH_OK && released.blocks == 3);
    CHECK(th_check(heap) == TH_OK);
}

static void d04_reserved_tags_are_refused(th_heap *heap) {
    const uint64_t tags[] = {TH_TAG_FREE, TH_TAG_HEAP, TH_TAG_FOREIGN, TH_TAG_LIBRARY, TH_TAG_LIBRARY + 1};
    void *block = take(heap, level, 10);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        th_status why = TH_OK;
        CHECK(th_allocate(heap, tags[i], 10, 16, &why) == NULL && why == TH_RESERVED_TAG);
        CHECK(th_release(heap, tags[i], NULL) == TH_RESERVED_TAG);
        CHECK(th_retag(heap, block, tags[i]) == TH_RESERVED_TAG);
        CHECK(th_merge(heap, level, tags[i], NULL) == TH_RESERVED_TAG);
        CHECK(th_merge(heap, tags[i], level, NULL) == TH_RESERVED_TAG);
        CHECK(th_set_name(heap, tags[i], "x") != TH_OK && th_set_limit(heap, tags[i], 1) != TH_OK);
        CHECK(th_pool_bump(heap, tags[i], NULL, &why) == NULL && why == TH_RESERVED_TAG);
    }
    CHECK(th_deallocate(heap, block) == TH_OK);
}

static void what_a_pool_owns_is_left_to_the_pool(th_heap *heap) {
    th_status why = TH_OK;
    th_amount released;
    void *mine = take(heap, level, 10);
    CHECK(th_pool_bump(heap, level, NULL, &why) == NULL && why == TH_TAG_IN_USE);
    th_pool *pool = th_pool_bump(heap, other, NULL, &why);
    CHECK(pool != NULL && th_pool_tag(pool) == other);
    CHECK(th_pool_blocks(heap, other, NULL, &why) == NULL && why == TH_TAG_IN_USE);
    void *piece = th_pool_allocate(pool, 20, 16, &why);
    CHECK(piece != NULL && th_pool_contains(pool, piece) && !th_pool_contains(pool, mine));
    CHECK(th_allocate(heap, other, 10, 16, &why) == NULL && why == TH_TAG_IN_USE);
    CHECK(th_release(heap, other, NULL) == TH_TAG_IN_USE && th_merge(heap, other, level, NULL) == TH_TAG_IN_USE);
    CHECK(th_merge(heap, level, other, NULL) == TH_TAG_IN_USE && th_retag(heap, mine, other) == TH_TAG_IN_USE);
    CHECK(th_deallocate(heap, pool) == TH_RESERVED_TAG);
    CHECK(th_release_range(heap, 1, UINT64_MAX, &released) == TH_OK && released.blocks == 1);
    CHECK(th_pool_check(pool) == TH_OK && th_pool_reset(pool) == TH_OK);
    CHECK(th_pool_destroy(pool) == TH_OK && held(heap, other) == 0 && held(heap, TH_TAG_LIBRARY) == 0);
    CHECK(th_pool_destroy(pool) == TH_NOT_A_HANDLE);
}

struct seen {
    th_heap *heap;
    size_t blocks, most;
};

static bool see(const th_block *block, void *context) {
    struct seen *seen = context;
    uint64_t tag;
    th_status why;
    /* The heap is busy. */
    CHECK(th_deallocate(seen->heap, (void *)(uintptr_t)block->payload) == TH_REENTERED);
    CHECK(th_allocate(seen->heap, level, 1, 1, &why) == NULL && why == TH_REENTERED && errno == EDEADLK);
    CHECK(th_tag_of(seen->heap, block->payload, &tag) == TH_REENTERED);
    CHECK(th_check(seen->heap) == TH_REENTERED && th_heap_destroy(seen->heap) == TH_REENTERED);
    CHECK(th_pool_bump(seen->heap, other, NULL, &why) == NULL && why == TH_REENTERED);
    return ++seen->blocks < seen->most;
}

static void a_walk_keeps_the_heap_busy_and_can_be_stopped(th_heap *heap) {
    struct seen seen = {heap, 0, SIZE_MAX};
    for (int i = 0; i < 4; i++) take(heap, level, 10);
    CHECK(th_walk(heap, see, &seen) == TH_OK && seen.blocks == 5);
    seen.blocks = 0;
    seen.most = 2;
    CHECK(th_walk(heap, see, &seen) == TH_OK && seen.blocks == 2);
    CHECK(th_release(heap, level, NULL) == TH_OK);
}

static void e01_a_flip_of_a_bit_is_found(th_heap *heap) {
    char *first = take(heap, level, 32), *second = take(heap, level, 32);
    char kept = first[32];
    first[32] ^= 4;
    CHECK(th_deallocate(heap, second) == TH_DAMAGED_HEADER && th_check(heap) == TH_DAMAGED_HEADER);
    CHECK(th_release(heap, level, NULL) == TH_DAMAGED_HEADER);
    first[32] = kept;
    CHECK(th_check(heap) == TH_OK && th_release(heap, level, NULL) == TH_OK);
}

static void g05_every_resize_keeps_what_fits(th_heap *heap) {
    unsigned char *block = take(heap, level, 10);
    size_t kept = 10;
    for (size_t i = 0; i < 10; i++) block[i] = (unsigned char)(i + 1);
    const size_t sizes[] = {100, 1, 0, 500, 300, 500, 17};
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        th_status why;
        void *behind = take(heap, other, 1);
        block = th_resize_zeroed(heap, block, sizes[n], 64, &why);
        CHECK(block != NULL && why == TH_OK && (uintptr_t)block % 64 == 0);
        if (sizes[n] < kept) kept = sizes[n];
        for (size_t i = 0; i < sizes[n]; i++) CHECK(block[i] == (i < kept ? i + 1 : 0));
        size_t size;
        CHECK(th_requested_size(heap, block, &size) == TH_OK && size == sizes[n]);
        CHECK(th_deallocate(heap, behind) == TH_OK);
    }
    CHECK(th_deallocate(heap, block) == TH_OK);
}

static void names_limits_and_marks(th_heap *heap) {
    th_status why;
    th_tag_stats stats;
    if (th_set_name(heap, level, "harbour") == TH_NO_INDEX) {
        /* Too small for indexes. */
        th_moment moment;
        CHECK(th_set_limit(heap, level, 1) == TH_NO_INDEX && th_mark(heap, &moment) == TH_OK);
        CHECK(th_release_since(heap, level, moment, NULL) == TH_NO_INDEX);
        return;
    }
    CHECK(th_stats_of_tag(heap, level, &stats) == TH_OK && strcmp(stats.name, "harbour") == 0);
    CHECK(stats.limit == SIZE_MAX);
    /* A name is cut in front of a character, and no other bytes are one. */
    CHECK(th_set_name(heap, level, "123456789012345678901234567890\xc3\xa4") == TH_OK);
    CHECK(th_stats_of_tag(heap, level, &stats) == TH_OK);
    CHECK(strcmp(stats.name, "123456789012345678901234567890") == 0);
    CHECK(th_set_name(heap, level, "a\xff") == TH_BAD_TEXT && th_set_name(heap, level, "a\xc3") == TH_BAD_TEXT);
    char name_of_many[100];
    for (int length = 0; length < 99; length++) {
        for (int i = 0; i < length; i++) name_of_many[i] = "\xe2\x82\xac"[i % 3];
        name_of_many[length] = '\0';
        /* Whole characters, or cut behind what is looked at. */
        th_status status = th_set_name(heap, level, name_of_many);
        CHECK(status == (length % 3 == 0 || length >= 35 ? TH_OK : TH_BAD_TEXT));
    }
    CHECK(th_set_limit(heap, level, 100) == TH_OK);
    void *block = take(heap, level, 60);
    CHECK(th_allocate(heap, level, 60, 16, &why) == NULL && why == TH_LIMIT && errno == ENOMEM);
    CHECK(th_stats_of_tag(heap, level, &stats) == TH_OK && stats.limit == 100 && stats.failures >= 1);
    CHECK(th_set_limit(heap, level, SIZE_MAX) == TH_OK);
    th_moment moment;
    th_amount released;
    CHECK(th_mark(heap, &moment) == TH_OK);
    take(heap, level, 10);
    take(heap, level, 10);
    CHECK(th_release_since(heap, level, moment, &released) == TH_OK && released.blocks == 2);
    CHECK(th_contains(heap, block));
    moment.opaque = UINT64_MAX;
    CHECK(th_release_since(heap, level, moment, &released) == TH_STALE_MARK);
    CHECK(th_merge(heap, level, other, &released) == TH_OK && released.blocks == 1);
    uint64_t tag = 0;
    CHECK(th_pinned_by(heap, &tag) == TH_OK && tag == other);
    CHECK(th_deallocate_in(heap, other, block) == TH_OK);
    CHECK(th_pinned_by(heap, &tag) == TH_OK && tag == 0);
    CHECK(th_reset_peak(heap, level) == TH_OK && th_forget(heap, level) == TH_OK);
    CHECK(th_stats_of_tag(heap, level, &stats) == TH_OK && stats.name[0] == '\0' && stats.allocations == 0);
}

/* Half of the row is free, between two blocks in use; a buffer has no pages to give. */
static void a_purge_gives_pages_and_keeps_what_is_in_use(th_heap *heap) {
    th_status why;
    const size_t size = 5 << 20;
    uint8_t *before = take(heap, level, 1000);
    void *hole = th_allocate(heap, level, size, 16, &why);
    bool is_large = hole != NULL;
    if (!is_large) hole = take(heap, level, 2000);
    uint8_t *behind = take(heap, level, 1000);
    memset(before, 1, 1000);
    memset(behind, 2, 1000);
    CHECK(th_trim(heap, NULL) == TH_OK && th_deallocate(heap, hole) == TH_OK);
    size_t purged = 1, again = 1;
    CHECK(th_purge(heap, &purged) == TH_OK && th_purge(heap, NULL) == TH_OK && th_purge(heap, &again) == TH_OK);
    /* In huge pages, less than one of them is left at each end. */
    CHECK(is_large ? purged > size - (4 << 20) && purged <= size : purged == 0);
    CHECK(again == purged && th_check(heap) == TH_OK);
    for (size_t i = 0; i < 1000; i++) CHECK(before[i] == 1 && behind[i] == 2);
    CHECK(th_release(heap, level, NULL) == TH_OK);
}

static void text_is_cut_where_the_room_ends(th_heap *heap) {
    char text[400], small[400];
    size_t length = 0, again = 0;
    take(heap, level, 10);
    CHECK(th_table(heap, text, sizeof text, &length) == TH_OK && strlen(text) == length);
    for (size_t room = 0; room < length + 5; room++) {
        memset(small, '#', sizeof small);
        CHECK(th_table(heap, small, room, &again) == TH_OK && again == length);
        size_t fits = room == 0 ? 0 : room - 1 < length ? room - 1 : length;
        CHECK(memcmp(small, text, fits) == 0 && (room == 0 || small[fits] == '\0') && small[room] == '#');
    }
    CHECK(th_drawing(heap, NULL, 0, &length) == TH_OK && length > 0);
    CHECK(th_release(heap, level, NULL) == TH_OK);
}

#define ROW(function) {#function, function}
static const struct {
    const char *name;
    void (*run)(th_heap *);
} rows[] = {
    ROW(a01_size_0_gives_unique_pointers_that_can_be_freed),
    ROW(a04_a05_sizes_that_overflow_give_null),
    ROW(a06_bad_alignments_are_errors),
    ROW(g05_every_resize_keeps_what_fits),
    ROW(c01_a_double_free_is_found),
    ROW(c03_interior_pointers_are_found),
    ROW(c04_null_is_no_operation),
    ROW(c04_null_heaps_and_places_are_errors),
    ROW(c05_wild_pointers_are_found),
    ROW(c08_a_wrong_size_or_alignment_is_found),
    ROW(c09_questions_about_freed_blocks_are_answered_by_an_error),
    ROW(c10_a_wrong_claim_is_found),
    ROW(a_walk_keeps_the_heap_busy_and_can_be_stopped),
    ROW(d01_a_released_block_is_told_from_a_freed_one),
    ROW(d06_a_release_frees_the_tag_and_nothing_else),
    ROW(d02_a_tag_without_blocks_releases_nothing),
    ROW(d03_a_second_release_releases_nothing),
    ROW(ranges_of_tags_are_released_together),
    ROW(d04_reserved_tags_are_refused),
    ROW(what_a_pool_owns_is_left_to_the_pool),
    ROW(e01_a_flip_of_a_bit_is_found),
    ROW(names_limits_and_marks),
    ROW(a_purge_gives_pages_and_keeps_what_is_in_use),
    ROW(text_is_cut_where_the_room_ends),
};

/* Whether the kernel was asked for huge pages there; wanted where it knows of none. */
static bool in_huge_pages(const void *at, bool wanted) {
    FILE *maps = fopen("/proc/self/smaps", "r"), *kernel = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    CHECK(maps != NULL);
    char line[512];
    unsigned long from, to;
    bool inside = false, asked = false;
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) inside = from <= (uintptr_t)at && (uintptr_t)at < to;
        if (inside && strncmp(line, "VmFlags:", 8) == 0) asked = strstr(line, " hg") != NULL;
    }
    fclose(maps);
    if (kernel == NULL) return wanted;
    fclose(kernel);
    return asked;
}

static char small[8 * 1024], large[256 * 1024];

int main(void) {
    for (int kind = 0; kind < 5; kind++) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            th_status why = TH_NULL;
            name = rows[i].name;
            memset(small, 0x5a, sizeof small);
            memset(large, 0x5a, sizeof large);
            th_heap *heap = kind == 0   ? th_heap_reserve(0, 0, &why)
                            : kind == 1 ? th_heap_reserve(1 << 23, TH_LOCKED | TH_HUGE_PAGES, &why)
                            : kind == 2 ? th_heap_in_buffer(small, sizeof small, 0, &why)
                            : kind == 3 ? th_heap_in_buffer(large + 1, sizeof large - 1, 0, &why)
                                        : th_heap_in_buffer(large + 15, sizeof large - 15, TH_LOCKED, &why);
            CHECK(heap != NULL && why == TH_OK && th_check(heap) == TH_OK);
            if (i == 0) {
                void *block = take(heap, level, 100);
                CHECK(in_huge_pages(block, kind == 1) == (kind == 1));
                CHECK(th_deallocate(heap, block) == TH_OK);
            }
            rows[i].run(heap);
            CHECK(th_check(heap) == TH_OK);
            th_stats stats;
            CHECK(th_stats_of_heap(heap, &stats) == TH_OK && stats.used.blocks == 0);
            th_pool *pools[] = {th_pool_bump(heap, level, NULL, &why), th_pool_blocks(heap, other, NULL, &why)};
            CHECK(pools[0] != NULL && pools[1] != NULL);
            CHECK(th_heap_destroy(heap) == TH_OK);
            if (kind >= 2) {
                /* The bytes are there, the heap and its pools are not. */
                CHECK(th_heap_destroy(heap) == TH_NOT_A_HANDLE);
                for (int n = 0; n < 2; n++) {
                    CHECK(th_pool_allocate(pools[n], 10, 8, &why) == NULL && why == TH_NOT_A_HANDLE);
                    CHECK(th_pool_reset(pools[n]) == TH_NOT_A_HANDLE && th_pool_check(pools[n]) == TH_NOT_A_HANDLE);
                    CHECK(th_pool_destroy(pools[n]) == TH_NOT_A_HANDLE && th_pool_tag(pools[n]) == 0);
                }
            }
            printf("%s\n", name);
        }
    }
    return 0;
}
