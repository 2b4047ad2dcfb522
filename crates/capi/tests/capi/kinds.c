/* Every kind of pool from C, as it is, behind a lock, and with pooling switched off.
 *
 * Prints the name of each it has passed, and ends with 1 at the first thing that is not as it should be.
 */
#include "kinds.h"

static size_t held(const th_heap *heap, uint64_t of) {
    th_tag_stats stats;
    CHECK(th_stats_of_tag(heap, of, &stats) == TH_OK);
    return stats.blocks;
}

static void what_all_kinds_do(th_heap *heap, const struct kind *kind, options with) {
    enum { PIECES = 30 };
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];
    th_usage usage;
    th_status why = TH_NULL;
    const bool passes = with != NULL && (with->flags & TH_PASS_THROUGH) != 0;
    th_pool *pool = kind->make(heap, with, &why);
    CHECK(pool != NULL && why == TH_OK && th_pool_tag(pool) == tag && th_pool_check(pool) == TH_OK);
    CHECK(kind->make(heap, with, &why) == NULL && why == TH_TAG_IN_USE);

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < PIECES; i++) {
            sizes[i] = 1 + (i * 7 + (size_t)round) % 60;
            pieces[i] = th_pool_allocate(pool, sizes[i], 8, &why);
            CHECK(pieces[i] != NULL && why == TH_OK && (uintptr_t)pieces[i] % 8 == 0);
            memset(pieces[i], (int)i + 1, sizes[i]);
            CHECK(th_pool_contains(pool, pieces[i]));
        }
        for (size_t i = 0; i < PIECES; i++) {
            for (size_t k = 0; k < sizes[i]; k++) CHECK(pieces[i][k] == i + 1);
        }
        CHECK(th_pool_usage(pool, &usage) == TH_OK && usage.allocations - usage.deallocations == PIECES);
        CHECK(usage.used <= usage.total && usage.used > 0 && usage.peak >= usage.used);

        if (round == 1) {
            CHECK(th_pool_reset(pool) == TH_OK);
        } else {
            for (size_t n = 0; n < PIECES; n++) {
                /* Backwards where that is needed, else in some order. */
                const size_t i = kind->stacked ? PIECES - 1 - n : (n * 11 + 5) % PIECES;
                const th_status done = th_pool_deallocate(pool, pieces[i], sizes[i], 8);
                CHECK(done == TH_OK);
                if (kind->again != TH_OK) {
                    th_status status = th_pool_deallocate(pool, pieces[i], sizes[i], 8);
                    CHECK(status == (passes ? TH_DOUBLE_FREE : kind->again));
                }
            }
        }
        CHECK(th_pool_check(pool) == TH_OK);
        CHECK(th_pool_usage(pool, &usage) == TH_OK);
        CHECK(usage.allocations == usage.deallocations);
    }

    /* Pointers that are none of this pool's. */
    static char elsewhere[64];
    void *mine = th_allocate(heap, 1, 32, 16, &why);
    CHECK(mine != NULL);
    CHECK(th_pool_deallocate(pool, NULL, 1, 1) == TH_OK && th_pool_deallocate(pool, NULL, SIZE_MAX, 0) == TH_OK);
    CHECK(th_pool_deallocate(pool, elsewhere, 32, 16) != TH_OK || kind->again == TH_OK);
    CHECK(th_pool_deallocate(pool, mine, 32, 16) != TH_OK || kind->again == TH_OK);
    CHECK(!th_pool_contains(pool, elsewhere) && !th_pool_contains(pool, mine) && !th_pool_contains(pool, NULL));
    CHECK(th_contains(heap, mine) && th_deallocate(heap, mine) == TH_OK);

    /* Requests that make no sense. */
    CHECK(th_pool_allocate(pool, 1, 0, &why) == NULL && why == TH_BAD_ALIGN);
    CHECK(th_pool_allocate(pool, 1, 24, &why) == NULL && why == TH_BAD_ALIGN);
    CHECK(th_pool_allocate(pool, SIZE_MAX, 16, &why) == NULL && why == TH_TOO_LARGE);
    CHECK(th_pool_allocate(pool, SIZE_MAX / 2 - 4096, 16, &why) == NULL && why < TH_RESERVED_TAG && why != TH_OK);
    CHECK(th_pool_allocate(pool, SIZE_MAX, 16, NULL) == NULL && th_pool_usage(pool, NULL) == TH_NULL);

    /* Size 0, and resizing. */
    void *zero = th_pool_allocate(pool, 0, 1, &why), *next = th_pool_allocate(pool, 0, 1, &why);
    CHECK(zero != NULL && next != NULL && zero != next);
    unsigned char *piece = th_pool_allocate(pool, 10, 8, &why);
    CHECK(piece != NULL);
    for (int i = 0; i < 10; i++) piece[i] = (unsigned char)(i + 1);
    unsigned char *larger = th_pool_resize(pool, piece, 10, 8, 60, &why);
    CHECK(larger != NULL && why == TH_OK);
    for (int i = 0; i < 10; i++) CHECK(larger[i] == i + 1);
    unsigned char *smaller = th_pool_resize(pool, larger, 60, 8, 5, &why);
    CHECK(smaller != NULL && smaller[4] == 5);
    CHECK(th_pool_resize(pool, NULL, 1, 1, 2, &why) == NULL && why == TH_NULL);
    CHECK(th_pool_resize(pool, smaller, 5, 8, SIZE_MAX, &why) == NULL && why == TH_TOO_LARGE);
    /* Nothing is copied from where nothing of the pool's is. */
    void *wild[] = {(void *)1, (void *)16, (void *)(uintptr_t)-16, (void *)UINTPTR_MAX, elsewhere, heap};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        CHECK(th_pool_resize(pool, wild[i], 20, 8, 50, &why) == NULL && why == TH_NOT_FROM_HERE);
        CHECK(th_pool_resize(pool, wild[i], 50, 8, 20, &why) == NULL && why == TH_NOT_FROM_HERE);
    }
    const size_t claims[] = {(size_t)1 << 40, SIZE_MAX / 2 - 4096};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        CHECK(th_pool_resize(pool, smaller, claims[i], 8, claims[i] + 8, &why) == NULL && why == TH_SIZE_MISMATCH);
        CHECK(th_pool_resize(pool, smaller, claims[i], 8, 5, &why) == NULL && why == TH_SIZE_MISMATCH);
    }
    CHECK(th_pool_deallocate(pool, smaller, 5, 8) == TH_OK);

    /* Full, or not. */
    if (kind->bounded && with == NULL) {
        int taken = 0;
        while (th_pool_allocate(pool, 60, 8, &why) != NULL) CHECK(++taken < 100);
        CHECK(why == TH_FULL && taken > 10);
        CHECK(th_pool_usage(pool, &usage) == TH_OK && usage.failures > 0);
    }
    CHECK(th_pool_reset(pool) == TH_OK && th_pool_check(pool) == TH_OK);
    CHECK(th_pool_before_fork(pool) == TH_OK && th_pool_after_fork(pool) == TH_OK);
    CHECK(th_pool_destroy(pool) == TH_OK && held(heap, tag) == 0 && held(heap, TH_TAG_LIBRARY) == 0);
    CHECK(th_check(heap) == TH_OK);
}

static void what_only_some_kinds_do(th_heap *heap) {
    th_status why;
    th_usage usage;
    const th_class levels[] = {{16, 1}, {64, 2}, {128, 3}, {32, 4}};
    th_pool_options with = {.flags = TH_BORROW | TH_LOCKED};
    name = "parts";
    th_pool *pool = th_pool_priority(heap, tag, levels, &with, &why);
    CHECK(pool != NULL);
    void *critical = th_pool_allocate_at(pool, TH_CRITICAL, 16, 8, &why);
    CHECK(critical != NULL && th_pool_usage_of(pool, TH_CRITICAL, &usage) == TH_OK && usage.used == 1 && usage.slots);
    CHECK(th_pool_allocate_at(pool, TH_CRITICAL, 16, 8, &why) != NULL);
    CHECK(th_pool_usage_of(pool, TH_NORMAL, &usage) == TH_OK && usage.used == 1);
    CHECK(th_pool_allocate_at(pool, 4, 16, 8, &why) == NULL && why == TH_OUT_OF_RANGE);
    CHECK(th_pool_allocate_at(pool, UINT32_MAX, 16, 8, &why) == NULL && why == TH_OUT_OF_RANGE);
    CHECK(th_pool_allocate_at(pool, TH_CRITICAL, 17, 8, &why) == NULL && why == TH_OVERSIZED);
    CHECK(th_pool_allocate_at(pool, TH_CRITICAL, 16, 4096, &why) == NULL && why == TH_OVERALIGNED);
    CHECK(th_pool_usage_of(pool, 4, &usage) == TH_OUT_OF_RANGE && th_pool_usage_of(pool, 0, NULL) == TH_NULL);
    CHECK(th_pool_destroy(pool) == TH_OK);

    pool = th_pool_priority(heap, tag, NULL, NULL, &why);
    CHECK(pool != NULL && th_pool_usage_of(pool, TH_LARGE, &usage) == TH_OK && usage.total == 8);
    CHECK(th_pool_destroy(pool) == TH_OK);

    const th_class sizes[] = {{8, 1}, {16, 2}, {24, 3}, {32, 4}, {40, 5}, {48, 6}, {56, 7}, {64, 8}, {72, 9}};
    for (size_t count = 0; count < 12; count++) {
        pool = th_pool_classes(heap, tag, sizes, count, &with, &why);
        CHECK((pool != NULL) == (count > 0 && count <= TH_CLASSES) && (pool != NULL || why == TH_OUT_OF_RANGE));
        for (size_t i = 0; i < count && pool != NULL; i++) {
            CHECK(th_pool_usage_of(pool, i, &usage) == TH_OK && usage.total == i + 1);
        }
        CHECK(pool == NULL || th_pool_usage_of(pool, count, &usage) == TH_OUT_OF_RANGE);
        CHECK(th_pool_destroy(pool) == TH_OK);
    }
    CHECK(th_pool_classes(heap, tag, NULL, 2, NULL, &why) == NULL && why == TH_NULL);

    pool = th_pool_bump(heap, tag, NULL, &why);
    CHECK(th_pool_usage_of(pool, 0, &usage) == TH_WRONG_KIND);
    CHECK(th_pool_allocate_at(pool, 0, 1, 1, &why) == NULL && why == TH_WRONG_KIND);
    CHECK(th_pool_destroy(pool) == TH_OK);

    pool = th_pool_stack(heap, tag, 1024, NULL, &why);
    char text[200];
    void *below = th_pool_allocate(pool, 10, 8, &why), *top = th_pool_allocate(pool, 10, 8, &why);
    CHECK(th_pool_deallocate(pool, below, 10, 8) == TH_OUT_OF_ORDER);
    CHECK(th_last_error(heap, text, sizeof text, NULL) == TH_OK && strncmp(text, "out of order: 0x", 16) == 0);
    CHECK(th_pool_deallocate(pool, top, 10, 8) == TH_OK && th_pool_deallocate(pool, below, 10, 8) == TH_OK);
    CHECK(th_pool_destroy(pool) == TH_OK);
    CHECK(th_pool_stack(heap, tag, SIZE_MAX, NULL, &why) == NULL && why == TH_TOO_LARGE);
    CHECK(th_pool_free_list(heap, tag, SIZE_MAX, NULL, &why) == NULL && why == TH_TOO_LARGE);
    CHECK(th_pool_buddy(heap, tag, SIZE_MAX, 16, NULL, &why) == NULL && why == TH_TOO_LARGE);
    CHECK(th_pool_buddy(heap, tag, 64, SIZE_MAX, NULL, &why) == NULL && why == TH_TOO_LARGE);

    /* Refused constructors leave nothing behind. */
    CHECK(th_pool_fixed(heap, tag, 64, 3, 10, NULL, &why) == NULL && why == TH_BAD_ALIGN);
    CHECK(th_pool_fixed(heap, tag, SIZE_MAX, 16, 10, NULL, &why) == NULL && why == TH_TOO_LARGE);
    CHECK(th_pool_fixed(heap, tag, 64, 16, SIZE_MAX, NULL, &why) == NULL && why == TH_TOO_LARGE);
    CHECK(th_pool_lock_free(heap, tag, 64, 16, SIZE_MAX, NULL, &why) == NULL && why == TH_TOO_LARGE);
    with.flags = 1u << 31;
    CHECK(th_pool_bump(heap, tag, &with, &why) == NULL && why == TH_BAD_FLAGS);
    with.flags = 0;
    with.bound = 100;
    CHECK(th_pool_fixed(heap, tag, 64, 16, 10, &with, &why) == NULL && why == TH_FULL);
    CHECK(held(heap, tag) == 0 && held(heap, TH_TAG_LIBRARY) == 0 && th_check(heap) == TH_OK);
    puts(name);
}

/* What a pool keeps and nobody uses goes back to the heap, and from there to others. */
static void chunks_go_back(th_heap *heap, options with) {
    enum { PIECES = 2000 };
    void *pieces[PIECES];
    name = "trim";
    for (int kind = 0; kind < 2; kind++) {
        th_status why;
        th_pool *pool = kind == 0 ? th_pool_fixed_growing(heap, tag, 100, 16, 10, with, &why)
                                  : th_pool_size_classes(heap, tag, with, &why);
        size_t bytes = 77;
        CHECK(pool != NULL);
        const size_t before = held(heap, tag);
        for (size_t i = 0; i < PIECES; i++) CHECK((pieces[i] = th_pool_allocate(pool, 100, 16, &why)) != NULL);
        const size_t full = held(heap, tag);
        CHECK(full > before);
        CHECK(th_pool_trim(pool, &bytes) == TH_OK);
        CHECK(bytes == 0);
        CHECK(held(heap, tag) == full);
        for (size_t i = 0; i < PIECES; i++) CHECK(th_pool_deallocate(pool, pieces[i], 100, 16) == TH_OK);
        CHECK(th_pool_trim(pool, &bytes) == TH_OK && bytes > PIECES * 50 && held(heap, tag) < full);
        CHECK(th_pool_trim(pool, NULL) == TH_OK && th_pool_check(pool) == TH_OK && th_check(heap) == TH_OK);
        CHECK(th_pool_allocate(pool, 100, 16, &why) != NULL && th_pool_destroy(pool) == TH_OK);
    }
    th_pool *none[] = {NULL, (th_pool *)(void *)pieces, th_pool_bump(heap, tag, with, NULL)};
    for (int i = 0; i < 3; i++) {
        size_t bytes = 77;
        const th_status wanted = i == 0 ? TH_NULL : i == 1 ? TH_NOT_A_HANDLE : TH_WRONG_KIND;
        CHECK(th_pool_trim(none[i], &bytes) == wanted && bytes == 77);
    }
    CHECK(th_pool_destroy(none[2]) == TH_OK);
    puts(name);
}

/* Bytes of the blocks that a pool of size classes has after its first request. */
static size_t first_chunk(th_heap *heap, th_pool *pool) {
    th_tag_stats stats;
    CHECK(pool != NULL && th_stats_of_tag(heap, tag, &stats) == TH_OK && stats.bytes == 0);
    CHECK(th_pool_allocate(pool, 16, 16, NULL) != NULL);
    CHECK(th_stats_of_tag(heap, tag, &stats) == TH_OK && stats.blocks == 1);
    CHECK(th_pool_check(pool) == TH_OK && th_pool_destroy(pool) == TH_OK);
    return stats.bytes;
}

/* The first chunk is as large as was said, whatever the tag held before; else 16 KiB in a buffer, or as before. */
static void chunks_are_as_large_as_said(th_heap *heap, options with, bool in_buffer) {
    static const struct {
        size_t said, has;
    } sizes[] = {{0, 1024}, {1, 1024}, {1024, 1024}, {5000, 4992}, {4096, 4096}, {128 * 1024, 128 * 1024}, {2048, 2048}};
    name = "chunks";
    CHECK(th_forget(heap, tag) == TH_OK);
    CHECK(first_chunk(heap, th_pool_size_classes(heap, tag, with, NULL)) == 16 * 1024);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        th_pool *pool = th_pool_size_classes_with_chunk(heap, tag, sizes[i].said, with, NULL);
        CHECK(first_chunk(heap, pool) == sizes[i].has);
    }
    const size_t as_before = in_buffer ? 16 * 1024 : 128 * 1024;
    CHECK(first_chunk(heap, th_pool_size_classes(heap, tag, with, NULL)) == as_before);
    /* What the heap does not have it does not get, and does with less. */
    if (in_buffer) {
        th_pool *pool = th_pool_size_classes_with_chunk(heap, tag, SIZE_MAX, with, NULL);
        const size_t bytes = first_chunk(heap, pool);
        CHECK(bytes >= 64 * 1024 && bytes < 512 * 1024);
    }
    puts(name);
}

/* A stack with a limit refuses what is larger, and grows no piece beyond; its room is the same. */
static void limits_are_kept(th_heap *heap, options with) {
    static const size_t limits[] = {0, 1, 60, 64, 1000, 1024, 1025, SIZE_MAX};
    name = "limits";
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const size_t most = limits[i] < 1024 ? limits[i] : 1024;
        th_status why;
        th_usage usage;
        th_pool *pool = th_pool_stack_with_limit(heap, tag, 1024, limits[i], with, &why);
        CHECK(pool != NULL && th_pool_usage(pool, &usage) == TH_OK && usage.total == 1024);
        CHECK(th_pool_allocate(pool, most + 1, 1, &why) == NULL && why == TH_OVERSIZED);
        if (most > 0) {
            void *piece = th_pool_allocate(pool, 1, 1, &why);
            CHECK(piece != NULL && th_pool_resize(pool, piece, 1, 1, most + 1, &why) == NULL && why == TH_OVERSIZED);
            CHECK(th_pool_resize(pool, piece, 1, 1, most, &why) == piece && why == TH_OK);
            /* Two of the largest, where two have room. */
            CHECK((th_pool_allocate(pool, most, 1, &why) == NULL) == (most > 512));
            CHECK(why == (most > 512 ? TH_FULL : TH_OK));
        }
        CHECK(th_pool_check(pool) == TH_OK && th_pool_destroy(pool) == TH_OK);
    }
    CHECK(th_pool_stack_with_limit(heap, tag, SIZE_MAX, 10, with, NULL) == NULL && held(heap, tag) == 0);
    puts(name);
}

/* Pools end in any order, and each takes its own tag with it and no other's. */
static void pools_end_in_any_order(th_heap *heap) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    name = "orders";
    for (int order = 0; order < 6; order++) {
        th_pool *pools[3];
        bool there[3] = {true, true, true};
        for (int i = 0; i < 3; i++) {
            pools[i] = th_pool_bump(heap, tag + (uint64_t)i, NULL, NULL);
            CHECK(pools[i] != NULL && th_pool_allocate(pools[i], 10, 8, NULL) != NULL);
        }
        for (int n = 0; n < 3; n++) {
            const int gone = orders[order][n];
            CHECK(th_pool_destroy(pools[gone]) == TH_OK);
            there[gone] = false;
            for (int i = 0; i < 3; i++) {
                th_status why;
                void *block = th_allocate(heap, tag + (uint64_t)i, 10, 16, &why);
                CHECK((block == NULL) == there[i] && (!there[i] || why == TH_TAG_IN_USE));
                CHECK(block == NULL || th_deallocate(heap, block) == TH_OK);
                CHECK(!there[i] || th_pool_check(pools[i]) == TH_OK);
            }
        }
        CHECK(held(heap, TH_TAG_LIBRARY) == 0);
    }
    puts(name);
}

/* What has a lock is busy while this thread has it, and what has none is not. A lock-free pool has one for its check. */
static void locks_are_there_when_asked_for(th_heap *heap, bool has_lock) {
    th_status why;
    const th_pool_options locked = {.flags = TH_LOCKED};
    name = "locks";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const bool is_free = kinds[i].make == lock_free, waits = has_lock && !is_free, checks = has_lock || is_free;
        th_pool *pool = kinds[i].make(heap, has_lock ? &locked : NULL, &why);
        CHECK(pool != NULL && th_pool_before_fork(pool) == TH_OK);
        CHECK((th_pool_allocate(pool, 10, 8, &why) == NULL) == waits && why == (waits ? TH_REENTERED : TH_OK));
        CHECK(th_pool_check(pool) == (checks ? TH_REENTERED : TH_OK));
        CHECK(th_pool_before_fork(pool) == (checks ? TH_REENTERED : TH_OK));
        CHECK(th_pool_after_fork(pool) == TH_OK && th_pool_allocate(pool, 10, 8, &why) != NULL);
        CHECK(th_pool_destroy(pool) == TH_OK);
    }
    CHECK(th_heap_before_fork(heap) == TH_OK);
    CHECK((th_allocate(heap, 1, 10, 16, &why) == NULL) == has_lock && why == (has_lock ? TH_REENTERED : TH_OK));
    CHECK(th_heap_before_fork(heap) == (has_lock ? TH_REENTERED : TH_OK));
    CHECK(th_heap_after_fork(heap) == TH_OK && th_release(heap, 1, NULL) == TH_OK);
    puts(name);
}

int main(void) {
    th_status why;
    static char buffer[512 * 1024];
    for (int place = 0; place < 3; place++) {
        th_heap *heap = place == 0   ? th_heap_reserve(0, TH_LOCKED, &why)
                        : place == 1 ? th_heap_in_buffer(buffer, sizeof buffer, TH_LOCKED, &why)
                                     : th_heap_reserve(0, 0, &why);
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            name = kinds[i].name;
            what_all_kinds_do(heap, &kinds[i], NULL);
            for (uint32_t timed = 0; timed <= TH_TIMED; timed += TH_TIMED) {
                const th_pool_options without = {.flags = timed}, locked = {.flags = TH_LOCKED | timed};
                const th_pool_options passing = {.flags = TH_PASS_THROUGH | timed};
                what_all_kinds_do(heap, &kinds[i], &without);
                what_all_kinds_do(heap, &kinds[i], &passing);
                if (place < 2) {
                    what_all_kinds_do(heap, &kinds[i], &locked);
                } else if (kinds[i].make != lock_free) {
                    CHECK(kinds[i].make(heap, &locked, &why) == NULL && why == TH_NOT_LOCKED);
                }
            }
            puts(name);
        }
        if (place < 2) what_only_some_kinds_do(heap);
        for (uint32_t timed = 0; timed <= TH_TIMED; timed += TH_TIMED) {
            const th_pool_options without = {.flags = timed}, locked = {.flags = TH_LOCKED | timed};
            chunks_go_back(heap, &without);
            if (place < 2) chunks_go_back(heap, &locked);
            chunks_are_as_large_as_said(heap, &without, place == 1);
            limits_are_kept(heap, &without);
        }
        /* Locks were used: they know how threads are told from one another. */
        CHECK(!th_assume_one_thread());
        pools_end_in_any_order(heap);
        locks_are_there_when_asked_for(heap, place < 2);
        CHECK(th_heap_destroy(heap) == TH_OK);
    }
    return 0;
}
