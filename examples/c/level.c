/* The reason for tags: a game's level, loaded in hundreds of pieces and unloaded in one call.
 *
 * The level's blocks lie between those of a player who stays, and each frame has an arena of its own, which says when
 * it is nearly full. The next level is loaded into the memory that the last one left.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tagheap.h"

static uint64_t player, level, frame;

static void fail(const char *what, th_status status) {
    fprintf(stderr, "%s: %s\n", what, th_strerror(status));
    exit(EXIT_FAILURE);
}

static void *take(th_heap *heap, uint64_t tag, size_t size, size_t align) {
    th_status why;
    void *block = th_allocate(heap, tag, size, align, &why);
    if (block == NULL) fail("a block", why);
    return block;
}

static void load(th_heap *heap) {
    static const size_t textures[] = {256 * 256 * 4, 256 * 256 * 4, 64 * 64 * 4, 32 * 32 * 4};
    uint32_t random = 4711;
    take(heap, level, 20000 * 12, 16);
    for (size_t i = 0; i < sizeof textures / sizeof textures[0]; i++) take(heap, level, textures[i], 64);
    for (int i = 0; i < 400; i++) {
        random = random * 1664525 + 1013904223;
        take(heap, level, 16 + random / 65536 % 600, 16);
    }
}

static void *put(th_pool *arena, size_t size) {
    th_status why;
    void *piece = th_pool_allocate(arena, size, 8, &why);
    if (piece == NULL) fail("a piece", why);
    return piece;
}

/* What a frame needs is gone with its end, and nobody gives it back; what a search needs, with the search's. */
static void play(th_pool *arena) {
    th_pool_moment search;
    th_status status;
    for (size_t command = 0; command < 50; command++) {
        put(arena, 64 + command % 7 * 32);
        if ((status = th_pool_mark(arena, &search)) != TH_OK) fail("a search", status);
        for (size_t step = 0; step < 20; step++) put(arena, 64);
        if ((status = th_pool_rewind(arena, search)) != TH_OK) fail("a search's end", status);
    }
    status = th_pool_reset(arena);
    if (status != TH_OK) fail("the frame's end", status);
}

/* Tells whoever sizes the frame's arena, long before it is too small. */
static void warn(uint64_t tag, const th_usage *usage, void *warnings) {
    (void)tag;
    if ((*(int *)warnings)++ == 0) printf("A frame needs %zu of %zu bytes.\n\n", usage->used, usage->total);
}

static void show(const th_heap *heap, const char *caption) {
    th_tag_stats stats;
    printf("%s\n", caption);
    const uint64_t tags[] = {player, level, frame};
    const char *const names[] = {"player", "level", "frame"};
    for (int i = 0; i < 3; i++) {
        th_status status = th_stats_of_tag(heap, tags[i], &stats);
        if (status != TH_OK) fail("numbers", status);
        printf("%-8s %4zu %8zu\n", names[i], stats.blocks, stats.bytes);
    }
    printf("\n");
}

int main(void) {
    th_status status;
    player = th_tag_named("player");
    level = th_tag_named("level");
    frame = th_tag_named("frame");

    th_heap *heap = th_heap_reserve(0, 0, &status);
    if (heap == NULL) fail("a heap", status);
    take(heap, player, 2000, 16);
    load(heap);
    take(heap, player, 320, 16);
    show(heap, "A player joins, a level is loaded.");

    int warnings = 0;
    const th_pool_options options = {.bound = 16 * 1024, .alarm = warn, .context = &warnings, .percent = 50};
    th_pool *arena = th_pool_bump(heap, frame, &options, &status);
    if (arena == NULL) fail("an arena", status);
    for (int i = 0; i < 60; i++) play(arena);
    show(heap, "Sixty frames are played.");

    th_stats before, after;
    th_amount released;
    if ((status = th_stats_of_heap(heap, &before)) != TH_OK) fail("numbers", status);
    if ((status = th_release(heap, level, &released)) != TH_OK) fail("the level's end", status);
    printf("The level is released in one call: %zu blocks, %zu bytes.\n\n", released.blocks, released.bytes);
    load(heap);
    show(heap, "The next level is loaded.");
    if ((status = th_stats_of_heap(heap, &after)) != TH_OK) fail("numbers", status);
    printf("The heap grew by %zu bytes.\n", after.row - before.row);

    if ((status = th_pool_destroy(arena)) != TH_OK) fail("the arena's end", status);
    if ((status = th_check(heap)) != TH_OK) fail("the heap", status);
    if ((status = th_heap_destroy(heap)) != TH_OK) fail("the heap's end", status);
    return EXIT_SUCCESS;
}
