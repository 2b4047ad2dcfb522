/* Moments of pools from C, and the way back to them; and what is none.
 *
 * Prints the name of each kind it has passed, and ends with 1 at the first thing that is not as it should be.
 */
#include "kinds.h"

static unsigned char *take(th_pool *pool, size_t size, int with) {
    th_status why;
    unsigned char *piece = th_pool_allocate(pool, size, 8, &why);
    CHECK(piece != NULL);
    memset(piece, with, size);
    return piece;
}

static th_pool_moment mark(const th_pool *pool) {
    th_pool_moment moment;
    memset(&moment, 0x55, sizeof moment);
    CHECK(th_pool_mark(pool, &moment) == TH_OK);
    return moment;
}

static size_t used(const th_pool *pool) {
    th_usage usage;
    CHECK(th_pool_usage(pool, &usage) == TH_OK);
    return usage.used;
}

static void what_was_there_stays(th_pool *pool) {
    const th_pool_moment start = mark(pool);
    unsigned char *first = take(pool, 40, 1);
    const size_t before = used(pool);
    const th_pool_moment moment = mark(pool);
    unsigned char *second = take(pool, 100, 2);
    const th_pool_moment later = mark(pool);
    for (int i = 0; i < 20; i++) take(pool, 100, 3);
    /* As often as one likes. */
    for (int i = 0; i < 3; i++) {
        CHECK(th_pool_rewind(pool, moment) == TH_OK && used(pool) == before);
        CHECK(th_pool_rewind(pool, later) == TH_STALE_MARK && used(pool) == before);
        CHECK(take(pool, 100, 2) == second);
    }
    for (int i = 0; i < 40; i++) CHECK(first[i] == 1);
    CHECK(th_pool_check(pool) == TH_OK);
    CHECK(th_pool_rewind(pool, start) == TH_OK && used(pool) == 0);
    CHECK(th_pool_rewind(pool, moment) == TH_STALE_MARK && take(pool, 40, 1) == first);
    const th_pool_moment old = mark(pool);
    CHECK(th_pool_reset(pool) == TH_OK && th_pool_rewind(pool, old) == TH_STALE_MARK);
}

/* Any program of requests and ways back: pieces from before a moment are as they were written. */
static void random_programs(th_pool *pool) {
    enum { MOST = 24 };
    struct {
        unsigned char *piece;
        size_t size, used;
        th_pool_moment before;
    } pieces[MOST];
    size_t count = 0;
    uint32_t random = 4711;
    for (int step = 0; step < 3000; step++) {
        random = random * 1664525 + 1013904223;
        if (count == MOST || (count > 0 && random >> 30 == 0)) {
            count = random / 64 % count;
            CHECK(th_pool_rewind(pool, pieces[count].before) == TH_OK && used(pool) == pieces[count].used);
        } else {
            pieces[count].used = used(pool);
            pieces[count].before = mark(pool);
            pieces[count].size = random / 64 % 120;
            pieces[count].piece = take(pool, pieces[count].size, (int)count);
            count++;
        }
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < pieces[i].size; k++) CHECK(pieces[i].piece[k] == i);
        }
        CHECK(th_pool_check(pool) == TH_OK);
    }
    CHECK(th_pool_reset(pool) == TH_OK);
}

/* Numbers that are no moment of this pool's, and a pool that is none. */
static void none_of_its_moments(th_heap *heap, const struct kind *kind, options with) {
    th_status why;
    th_pool *pool = kind->make(heap, with, &why);
    CHECK(pool != NULL);
    const th_pool_moment of_nothing = mark(pool);
    CHECK(th_pool_destroy(pool) == TH_OK);
    pool = kind->make(heap, with, &why);
    th_pool *another = th_pool_bump(heap, tag + 1, NULL, &why);
    CHECK(pool != NULL && another != NULL);
    take(pool, 40, 1);
    const size_t before = used(pool);
    const th_pool_moment moment = mark(pool), theirs = mark(another);
    take(pool, 40, 1);
    const size_t after = used(pool);
    CHECK(th_pool_rewind(pool, of_nothing) == TH_STALE_MARK && th_pool_rewind(pool, theirs) == TH_STALE_MARK);
    CHECK(th_pool_rewind(another, moment) == TH_STALE_MARK && th_pool_rewind(another, of_nothing) == TH_STALE_MARK);
    th_pool_moment other;
    for (int byte = 0; byte < 256; byte++) {
        memset(&other, byte, sizeof other);
        CHECK(th_pool_rewind(pool, other) == TH_STALE_MARK);
    }
    for (size_t bit = 0; bit < 8 * sizeof other; bit++) {
        other = moment;
        other.opaque[bit / 64] ^= (uint64_t)1 << bit % 64;
        CHECK(th_pool_rewind(pool, other) == TH_STALE_MARK);
    }
    char text[100];
    CHECK(th_last_error(heap, text, sizeof text, NULL) == TH_OK && strstr(text, "mark") != NULL);
    CHECK(used(pool) == after && th_pool_mark(pool, NULL) == TH_NULL);
    CHECK(th_pool_rewind(pool, moment) == TH_OK && used(pool) == before);

    char garbage[512] = {1, 2, 3};
    th_pool *none[] = {NULL, (th_pool *)(void *)garbage, (th_pool *)(void *)(garbage + 1)};
    for (int i = 0; i < 3; i++) {
        const th_status wanted = i == 0 ? TH_NULL : TH_NOT_A_HANDLE;
        CHECK(th_pool_mark(none[i], &other) == wanted && th_pool_rewind(none[i], moment) == wanted);
    }
    const bool locked = with != NULL && (with->flags & TH_LOCKED) != 0;
    CHECK(th_pool_before_fork(pool) == TH_OK);
    CHECK(th_pool_mark(pool, &other) == (locked ? TH_REENTERED : TH_OK));
    CHECK(th_pool_rewind(pool, moment) == (locked ? TH_REENTERED : TH_OK));
    CHECK(th_pool_rewind(pool, theirs) == (locked ? TH_REENTERED : TH_STALE_MARK));
    CHECK(th_pool_after_fork(pool) == TH_OK);
    CHECK(th_pool_destroy(another) == TH_OK && th_pool_destroy(pool) == TH_OK);
}

/* Where each piece is a block of the heap's, there is no way back. */
static void passing(th_heap *heap, const struct kind *kind) {
    const th_pool_options passes = {.flags = TH_PASS_THROUGH};
    th_status why;
    th_pool *pool = kind->make(heap, &passes, &why);
    CHECK(pool != NULL);
    const th_pool_moment moment = mark(pool);
    unsigned char *piece = take(pool, 40, 7);
    CHECK(th_pool_rewind(pool, moment) == TH_STALE_MARK && th_pool_contains(pool, piece) && piece[39] == 7);
    CHECK(th_pool_destroy(pool) == TH_OK);
}

static void chunks_go_back_to_the_heap(th_heap *heap) {
    th_status why;
    th_tag_stats stats;
    th_pool *pool = th_pool_bump(heap, tag, NULL, &why);
    unsigned char *first = take(pool, 100, 9);
    const th_pool_moment moment = mark(pool);
    CHECK(th_stats_of_tag(heap, tag, &stats) == TH_OK);
    const size_t before = stats.blocks;
    for (int i = 0; i < 100; i++) take(pool, 1000, i);
    CHECK(th_stats_of_tag(heap, tag, &stats) == TH_OK && stats.blocks > before + 1);
    CHECK(th_pool_rewind(pool, moment) == TH_OK && th_stats_of_tag(heap, tag, &stats) == TH_OK);
    CHECK(stats.blocks == before && first[99] == 9);
    CHECK(th_pool_destroy(pool) == TH_OK);
}

struct busy {
    th_pool *pool;
    th_pool_moment moment;
};

static bool go_back(const th_block *block, void *context) {
    const struct busy *busy = context;
    (void)block;
    CHECK(th_pool_rewind(busy->pool, busy->moment) == TH_REENTERED && th_pool_reset(busy->pool) == TH_REENTERED);
    return true;
}

/* While the heap is busy no chunk can go back to it: what is refused then has changed nothing. */
static void a_busy_heap_keeps_its_chunks(th_heap *heap) {
    th_status why;
    struct busy busy = {th_pool_bump(heap, tag, NULL, &why), {{0}}};
    CHECK(busy.pool != NULL);
    unsigned char *first = take(busy.pool, 100, 9), *others[30];
    const size_t before = used(busy.pool);
    busy.moment = mark(busy.pool);
    for (int i = 0; i < 30; i++) others[i] = take(busy.pool, 1000, i);
    const size_t after = used(busy.pool);
    CHECK(th_walk(heap, go_back, &busy) == TH_OK);
    CHECK(used(busy.pool) == after && th_pool_check(busy.pool) == TH_OK && th_pool_contains(busy.pool, first));
    for (int i = 0; i < 30; i++) CHECK(th_pool_contains(busy.pool, others[i]) && others[i][999] == i);
    CHECK(th_pool_rewind(busy.pool, busy.moment) == TH_OK && used(busy.pool) == before && first[99] == 9);
    CHECK(th_pool_check(busy.pool) == TH_OK && th_pool_destroy(busy.pool) == TH_OK);
}

static void count(uint64_t of, const th_usage *usage, void *context) {
    CHECK(of == tag && usage->used > 0);
    ++*(size_t *)context;
}

/* What goes back under the watermark reaches it again. */
static void rings_again(th_heap *heap, const struct kind *kind, uint32_t flags) {
    th_status why;
    size_t calls = 0;
    const th_pool_options with = {flags, 8 * 1024, count, &calls, 50};
    th_pool *pool = kind->make(heap, &with, &why);
    CHECK(pool != NULL);
    const th_pool_moment moment = mark(pool);
    for (size_t round = 1; round <= 3; round++) {
        while (th_pool_allocate(pool, 100, 8, NULL) != NULL) {}
        CHECK(calls == round && th_pool_rewind(pool, moment) == TH_OK);
    }
    CHECK(th_pool_destroy(pool) == TH_OK);
}

int main(void) {
    th_status why;
    const th_pool_options settings[] = {{.flags = TH_LOCKED}, {.flags = TH_TIMED}, {.flags = TH_LOCKED | TH_TIMED}};
    th_heap *heap = th_heap_reserve(0, TH_LOCKED, &why);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        name = kinds[i].name;
        for (int way = 0; way < 4; way++) {
            options with = way == 0 ? NULL : &settings[way - 1];
            th_pool *pool = kinds[i].make(heap, with, &why);
            CHECK(pool != NULL);
            if (kinds[i].make == bump || kinds[i].make == stack || kinds[i].make == stack_with_limit) {
                what_was_there_stays(pool);
                random_programs(pool);
                CHECK(th_pool_destroy(pool) == TH_OK);
                none_of_its_moments(heap, &kinds[i], with);
                rings_again(heap, &kinds[i], with == NULL ? 0 : with->flags);
                passing(heap, &kinds[i]);
            } else {
                th_pool_moment moment;
                memset(&moment, 0, sizeof moment);
                CHECK(th_pool_mark(pool, &moment) == TH_WRONG_KIND && th_pool_rewind(pool, moment) == TH_WRONG_KIND);
                CHECK(th_pool_destroy(pool) == TH_OK);
            }
            CHECK(th_check(heap) == TH_OK);
        }
        puts(name);
    }
    chunks_go_back_to_the_heap(heap);
    a_busy_heap_keeps_its_chunks(heap);
    CHECK(th_heap_destroy(heap) == TH_OK);
    return 0;
}
