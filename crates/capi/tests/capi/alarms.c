/* Watermarks from C, in every kind of pool: each calls at every request that reaches it, with its own context.
 *
 * Prints the name of each kind it has passed, and ends with 1 at the first thing that is not as it should be.
 */
#include "kinds.h"

struct listener {
    th_heap *heap;
    th_pool *pool;
    bool locked;
    size_t calls;
    th_usage usage;
    /* Whether it takes a piece, and which. */
    bool greedy;
    unsigned char *taken;
};

/* What an alarm may do, and what it may not. */
static void listen(uint64_t of, const th_usage *usage, void *context) {
    struct listener *me = context;
    th_status why;
    th_pool_moment moment;
    th_usage now;
    memset(&moment, 0x11, sizeof moment);
    me->calls++;
    me->usage = *usage;
    CHECK(of == tag && me->pool != NULL);
    CHECK(th_pool_reset(me->pool) == TH_REENTERED && th_pool_destroy(me->pool) == TH_REENTERED);
    CHECK(th_heap_destroy(me->heap) == TH_REENTERED && th_pool_rewind(me->pool, moment) != TH_OK);
    if (th_pool_mark(me->pool, &moment) == TH_OK) CHECK(th_pool_rewind(me->pool, moment) == TH_REENTERED);
    CHECK(th_pool_usage(me->pool, &now) == (me->locked ? TH_REENTERED : TH_OK));
    CHECK(me->locked || now.used == usage->used);
    void *block = th_allocate(me->heap, 1, 10, 16, &why);
    CHECK(block != NULL || why < TH_RESERVED_TAG);
    CHECK(th_deallocate(me->heap, block) == TH_OK);
    if (me->greedy) {
        me->greedy = false;
        me->taken = th_pool_allocate(me->pool, 8, 8, &why);
        CHECK((me->taken == NULL) == me->locked && (me->taken != NULL || why == TH_REENTERED));
        if (me->taken != NULL) memset(me->taken, 0xee, 8);
    }
}

static bool is_same(const th_usage *a, const th_usage *b) {
    return a->slots == b->slots && a->total == b->total && a->used == b->used && a->peak == b->peak &&
           a->allocations == b->allocations && a->deallocations == b->deallocations && a->failures == b->failures;
}

static size_t mark_of(size_t total, size_t percent) {
    const size_t mark = (total * percent + 99) / 100;
    return mark > 0 ? mark : 1;
}

/* Fills the pool, which calls at those requests that reach the watermark, and no others. */
static size_t fill(struct listener *me, size_t percent) {
    static const size_t sizes[] = {48, 30, 10};
    size_t dues = 0, size = 0;
    th_usage before, after;
    CHECK(th_pool_usage(me->pool, &before) == TH_OK);
    while (size < sizeof sizes / sizeof *sizes) {
        const size_t calls = me->calls;
        if (th_pool_allocate(me->pool, sizes[size], 8, NULL) == NULL) {
            CHECK(me->calls == calls);
            size++;
            CHECK(th_pool_usage(me->pool, &before) == TH_OK);
            continue;
        }
        CHECK(th_pool_usage(me->pool, &after) == TH_OK);
        const size_t mark = mark_of(after.total, percent);
        const bool due = before.used < mark && after.used >= mark;
        CHECK(me->calls - calls == due);
        if (due) CHECK(is_same(&me->usage, &after));
        dues += due;
        before = after;
    }
    CHECK(dues > 0 || percent == 100);
    return dues;
}

static void calls_at_the_watermark(th_heap *const heaps[2], const struct kind *kind, uint32_t flags) {
    static const uint32_t percents[] = {0, 1, 50, 100};
    th_status why;
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        struct listener both[2];
        memset(both, 0, sizeof both);
        /* Of the same tag. */
        for (int n = 0; n < 2; n++) {
            const th_pool_options with = {flags, 16 * 1024, listen, &both[n], percents[i]};
            both[n].heap = heaps[n];
            both[n].locked = (flags & TH_LOCKED) != 0 && kind->make != lock_free;
            if (kind->make == lock_free && (flags & TH_PASS_THROUGH) != 0) both[n].locked = true;
            both[n].pool = kind->make(heaps[n], &with, &why);
            CHECK(both[n].pool != NULL && both[n].calls == 0);
        }
        const size_t percent = percents[i] == 0 ? 90 : percents[i];
        size_t dues = 0;
        for (int round = 0; round < 2; round++) {
            dues += fill(&both[0], percent);
            CHECK(both[1].calls == dues - dues / (size_t)(round + 1));
            CHECK(th_pool_reset(both[0].pool) == TH_OK);
            CHECK(fill(&both[1], percent) == dues / (size_t)(round + 1) && both[0].calls == dues);
            CHECK(both[1].calls == dues && th_pool_reset(both[1].pool) == TH_OK);
        }
        for (int n = 0; n < 2; n++) CHECK(th_pool_destroy(both[n].pool) == TH_OK && th_check(heaps[n]) == TH_OK);
    }
}

/* A piece that is taken by the alarm is not the one that rang it. */
static void pieces_of_an_alarm_are_its_own(th_heap *heap, const struct kind *kind, uint32_t flags) {
    th_status why;
    struct listener me = {.heap = heap, .locked = flags == TH_LOCKED && kind->make != lock_free, .greedy = true};
    const th_pool_options with = {flags, 16 * 1024, listen, &me, 1};
    me.pool = kind->make(heap, &with, &why);
    CHECK(me.pool != NULL);
    while (me.calls == 0) {
        unsigned char *piece = th_pool_allocate(me.pool, 48, 8, &why);
        CHECK(piece != NULL);
        memset(piece, 0x44, 48);
    }
    for (int i = 0; i < 8 && me.taken != NULL; i++) CHECK(me.taken[i] == 0xee);
    CHECK(th_pool_check(me.pool) == TH_OK && th_pool_destroy(me.pool) == TH_OK && th_check(heap) == TH_OK);
}

static void settings_that_make_no_sense(th_heap *heap, const struct kind *kind) {
    static const uint32_t percents[] = {101, 256, 256 + 50, 1u << 31, UINT32_MAX};
    th_status why;
    th_tag_stats stats;
    struct listener me = {.heap = heap};
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        const th_pool_options with = {0, 0, listen, &me, percents[i]};
        why = TH_OK;
        CHECK(kind->make(heap, &with, &why) == NULL && why == TH_OUT_OF_RANGE);
        CHECK(th_stats_of_tag(heap, TH_TAG_LIBRARY, &stats) == TH_OK && stats.blocks == 0);
    }
    /* Nobody to call. */
    const th_pool_options with = {0, 16 * 1024, NULL, &me, 50};
    th_pool *pool = kind->make(heap, &with, &why);
    CHECK(pool != NULL);
    while (th_pool_allocate(pool, 48, 8, NULL) != NULL) {}
    CHECK(me.calls == 0 && th_pool_destroy(pool) == TH_OK);
}

int main(void) {
    static const uint32_t flags[] = {0, TH_LOCKED, TH_PASS_THROUGH, TH_TIMED, TH_TIMED | TH_LOCKED};
    th_heap *const heaps[2] = {th_heap_reserve(0, TH_LOCKED, NULL), th_heap_reserve(0, TH_LOCKED, NULL)};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        name = kinds[i].name;
        for (size_t n = 0; n < sizeof flags / sizeof *flags; n++) calls_at_the_watermark(heaps, &kinds[i], flags[n]);
        pieces_of_an_alarm_are_its_own(heaps[0], &kinds[i], 0);
        pieces_of_an_alarm_are_its_own(heaps[0], &kinds[i], TH_LOCKED);
        settings_that_make_no_sense(heaps[0], &kinds[i]);
        puts(name);
    }
    return th_heap_destroy(heaps[0]) == TH_OK && th_heap_destroy(heaps[1]) == TH_OK ? 0 : 1;
}
