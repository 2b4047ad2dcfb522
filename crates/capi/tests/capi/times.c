/* How long pools take, from C, in every kind: as it is, behind a lock, and with pooling switched off.
 *
 * Prints the name of each kind it has passed, and ends with 1 at the first thing that is not as it should be.
 */
#include "kinds.h"

enum { OPERATIONS = 5 };

static th_timing timing(const th_pool *pool, uint32_t operation) {
    th_timing taken;
    memset(&taken, 0x55, sizeof taken);
    CHECK(th_pool_timing(pool, operation, &taken) == TH_OK);
    CHECK(taken.longest.cycles >= taken.last.cycles);
    /* By a counter that is said to count nanoseconds. */
    CHECK(taken.last.nanoseconds == taken.last.cycles && taken.limit.nanoseconds == taken.limit.cycles);
    return taken;
}

/* Those operations that there were have been timed, and no others. */
static void were(const th_pool *pool, uint32_t operations) {
    size_t lines = 0, length = 0;
    char text[1000];
    for (uint32_t operation = 0; operation < OPERATIONS; operation++) {
        CHECK((timing(pool, operation).last.cycles > 0) == (operations >> operation & 1));
    }
    CHECK(th_pool_times(pool, text, sizeof text, &length) == TH_OK && length == strlen(text));
    for (size_t i = 0; i < length; i++) lines += text[i] == '\n';
    size_t wanted = 0;
    for (uint32_t operation = 0; operation < OPERATIONS; operation++) wanted += operations >> operation & 1;
    CHECK(wanted == 0 ? length == 0 : lines + 1 == wanted);
}

static void each_operation_has_its_own(th_pool *pool) {
    th_status why;
    uint32_t so_far = 0;
    were(pool, so_far);
    void *piece = th_pool_allocate(pool, 8, 8, &why);
    CHECK(piece != NULL);
    were(pool, so_far |= 1u << TH_ALLOCATE);
    piece = th_pool_resize(pool, piece, 8, 8, 16, &why);
    CHECK(piece != NULL);
    were(pool, so_far |= 1u << TH_GROW);
    piece = th_pool_resize(pool, piece, 16, 8, 4, &why);
    CHECK(piece != NULL);
    were(pool, so_far |= 1u << TH_SHRINK);
    CHECK(th_pool_deallocate(pool, piece, 4, 8) == TH_OK);
    were(pool, so_far |= 1u << TH_DEALLOCATE);
    CHECK(th_pool_reset(pool) == TH_OK);
    were(pool, so_far |= 1u << TH_RESET);
    CHECK(so_far == (1u << OPERATIONS) - 1);
    CHECK(th_pool_clear_times(pool) == TH_OK);
    were(pool, 0);
}

/* Each that takes longer is counted, one that is refused, too. A counter that moves on only every so many cycles may
 * say of some that they took one. */
static void limits_are_counted(th_pool *pool) {
    th_status why;
    uint64_t wanted = 0;
    CHECK(timing(pool, TH_ALLOCATE).limit.cycles == 0 && th_pool_limit_time(pool, TH_ALLOCATE, 1) == TH_OK);
    CHECK(timing(pool, TH_ALLOCATE).limit.cycles == 1 && timing(pool, TH_DEALLOCATE).limit.cycles == 0);
    for (uint64_t n = 0; n < 10; n++) {
        void *piece = th_pool_allocate(pool, 8, 8, &why);
        wanted += timing(pool, TH_ALLOCATE).last.cycles > 1;
        CHECK(timing(pool, TH_ALLOCATE).exceeded == wanted);
        CHECK(piece != NULL && th_pool_deallocate(pool, piece, 8, 8) == TH_OK);
        CHECK(th_pool_allocate(pool, SIZE_MAX / 2 - 4096, 8, &why) == NULL && why != TH_OK);
        wanted += timing(pool, TH_ALLOCATE).last.cycles > 1;
        CHECK(timing(pool, TH_ALLOCATE).exceeded == wanted);
    }
    CHECK(wanted > 0);
    CHECK(timing(pool, TH_DEALLOCATE).exceeded == 0);
    const uint64_t before = timing(pool, TH_ALLOCATE).exceeded;
    static const uint64_t none[] = {UINT64_MAX, 0};
    for (int i = 0; i < 2; i++) {
        CHECK(th_pool_limit_time(pool, TH_ALLOCATE, none[i]) == TH_OK);
        CHECK(th_pool_allocate(pool, 8, 8, &why) != NULL);
        CHECK(timing(pool, TH_ALLOCATE).exceeded == before && before == wanted);
    }
    CHECK(timing(pool, TH_ALLOCATE).limit.cycles == 0);
    CHECK(th_pool_limit_time(pool, TH_RESET, 1) == TH_OK && th_pool_reset(pool) == TH_OK);
    CHECK(timing(pool, TH_RESET).exceeded == (timing(pool, TH_RESET).last.cycles > 1) && th_pool_clear_times(pool) == TH_OK);
    CHECK(timing(pool, TH_RESET).exceeded == 0 && timing(pool, TH_RESET).limit.cycles == 1);
}

static void questions_that_make_no_sense(th_heap *heap, th_pool *pool) {
    th_timing taken;
    char text[8] = "before", garbage[512] = {1, 2, 3};
    size_t length = 77;
    static const uint32_t numbers[] = {OPERATIONS, OPERATIONS + 1, UINT32_MAX};
    for (int i = 0; i < 3; i++) {
        CHECK(th_pool_timing(pool, numbers[i], &taken) == TH_OUT_OF_RANGE);
        CHECK(th_pool_limit_time(pool, numbers[i], 1) == TH_OUT_OF_RANGE);
    }
    CHECK(th_pool_timing(pool, TH_RESET, NULL) == TH_NULL);
    th_pool *none[] = {NULL, (th_pool *)(void *)garbage, (th_pool *)(void *)(garbage + 1), NULL};
    none[3] = th_pool_bump(heap, tag + 1, NULL, NULL);
    CHECK(none[3] != NULL);
    for (int i = 0; i < 4; i++) {
        const th_status wanted = i == 0 ? TH_NULL : i == 3 ? TH_WRONG_KIND : TH_NOT_A_HANDLE;
        CHECK(th_pool_timing(none[i], TH_RESET, &taken) == wanted && th_pool_limit_time(none[i], TH_RESET, 1) == wanted);
        CHECK(th_pool_clear_times(none[i]) == wanted && th_pool_times(none[i], text, 8, &length) == wanted);
        CHECK(length == 77 && strcmp(text, "before") == 0);
    }
    CHECK(th_pool_destroy(none[3]) == TH_OK);
    /* Text that is cut. */
    CHECK(th_pool_allocate(pool, 8, 8, NULL) != NULL && th_pool_times(pool, text, 8, &length) == TH_OK);
    CHECK(strcmp(text, "allocat") == 0 && length > 8 && th_pool_times(pool, NULL, 0, NULL) == TH_OK);
}

static void requests_of_levels_count(th_heap *heap) {
    const th_pool_options timed = {.flags = TH_TIMED};
    th_pool *pool = priority(heap, &timed, NULL);
    CHECK(pool != NULL && th_pool_allocate_at(pool, TH_NORMAL, 8, 8, NULL) != NULL);
    were(pool, 1u << TH_ALLOCATE);
    CHECK(th_pool_destroy(pool) == TH_OK);
}

int main(void) {
    th_tag_stats stats;
    static const uint32_t flags[] = {0, TH_LOCKED, TH_PASS_THROUGH};
    CHECK(!th_assume_cycles_per_second(0) && th_assume_cycles_per_second(1000000000));
    CHECK(th_assume_cycles_per_second(1000000000) && !th_assume_cycles_per_second(2000000000));
    th_heap *heap = th_heap_reserve(0, TH_LOCKED, NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        name = kinds[i].name;
        for (size_t n = 0; n < sizeof flags / sizeof *flags; n++) {
            const th_pool_options with = {.flags = TH_TIMED | flags[n]};
            th_pool *pool = kinds[i].make(heap, &with, NULL);
            CHECK(pool != NULL);
            each_operation_has_its_own(pool);
            limits_are_counted(pool);
            questions_that_make_no_sense(heap, pool);
            CHECK(th_pool_destroy(pool) == TH_OK && th_check(heap) == TH_OK);
            CHECK(th_stats_of_tag(heap, TH_TAG_LIBRARY, &stats) == TH_OK && stats.blocks == 0);
        }
        puts(name);
    }
    requests_of_levels_count(heap);
    CHECK(th_heap_destroy(heap) == TH_OK);
    return 0;
}
